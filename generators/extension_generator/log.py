#  SPDX-License-Identifier: MIT
"""Logging of the generator: /dev/kmsg when PID 1 runs it, else standard error. No IPC: there is none yet."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7
DAEMON = 3 << 3  # facility of messages to the kernel's log, syslog(3)
RECORD_MAX = 900  # bytes; the kernel refuses longer records


class Log:
    """Writes `<priority>extensions-generator[pid]: message` lines as SYSTEMD_LOG_LEVEL and SYSTEMD_LOG_TARGET ask."""

    __slots__ = ("fd", "kernel", "level")

    def __init__(self, environ: Mapping[str, str], booting: bool, kmsg: str = "/dev/kmsg") -> None:
        word = environ.get("SYSTEMD_LOG_LEVEL", "info").split(",")[0]
        self.level = int(word) if word.isdecimal() else LEVELS.get(word, INFO)
        if word == "null":
            self.level = -1
        target = environ.get("SYSTEMD_LOG_TARGET", "kmsg" if booting else "console")
        if target == "auto":
            target = "kmsg" if booting else "console"
        self.kernel = target in ("kmsg", "journal-or-kmsg", "syslog-or-kmsg", "journal", "syslog") and (
            booting or target == "kmsg"
        )
        self.fd = -1 if target == "null" else 2
        if self.kernel:
            try:
                self.fd = os.open(kmsg, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                self.kernel = False

    def write(self, priority: int, message: str) -> None:
        """One line; what cannot be logged is lost, a generator has no other way."""
        if priority > self.level or self.fd < 0:
            return
        if self._put(priority, message) or not self.kernel:
            return
        self.kernel, self.fd = False, 2
        self._put(priority, message)

    def _put(self, priority: int, message: str) -> bool:
        prefix = f"<{priority + DAEMON if self.kernel else priority}>extensions-generator[{os.getpid()}]: "
        # A line of its own would be a record of its own.
        data = (prefix + message).encode("utf-8", "replace").replace(b"\n", b"\\x0a")
        if self.kernel and len(data) > RECORD_MAX:
            data = data[:RECORD_MAX].decode("utf-8", "ignore").encode() + b"..."
        try:
            os.write(self.fd, data + b"\n")
        except OSError:
            return False
        return True
