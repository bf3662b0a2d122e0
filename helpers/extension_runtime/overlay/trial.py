#  SPDX-License-Identifier: MIT
"""Tries, in a mount namespace of its own, whether a machine's most needed programs start on new tops.

What no rule about files foresees (a library that another one needs, an interpreter that is too old) shows when
a program is run.  It is what PID 1 would run next in any case: nothing is run here that a merge would not let in.
"""

from __future__ import annotations

import os
import select
import signal
import time

from extension_runtime.kernel import syscalls
from extension_runtime.overlay.top import OverlayError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAMS: tuple[tuple[str, ...], ...] = (
    ("/usr/lib/systemd/systemd", "--version"),
    ("/usr/lib/systemd/systemd-executor", "--version"),  # starts every service, since systemd 255
    ("/usr/bin/systemctl", "--version"),
    ("/usr/bin/mount", "--version"),
    ("/bin/true",),
    ("/bin/sh", "-c", ":"),
    ("/usr/bin/python3", "-ISBc", "import ctypes, errno, json, os"),
)
TIMEOUT = 20.0  # seconds for all of them
_NOT_TRIED = 255
_ENVIRONMENT = {"PATH": "/usr/bin:/usr/sbin", "LC_ALL": "C", "SYSTEMD_LOG_TARGET": "null"}


def failing(
    tops: Mapping[str, int], programs: Sequence[Sequence[str]] = PROGRAMS, timeout: float = TIMEOUT
) -> list[str]:
    """Those of `programs` that do not end well where the detached mounts `tops` lie at their paths.

    The mounts are used up, their descriptors closed.  Whether a program fails without them, too, is the caller's to
    find out.  Raises OverlayError when nothing can be tried.
    """
    child = os.fork()
    if child == 0:
        _in_child(tops, programs, timeout)
    for top in tops.values():
        os.close(top)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not 0 <= status < 1 << len(programs):
        raise OverlayError("no mount namespace to try programs in")
    return [program[0] for number, program in enumerate(programs) if status & 1 << number]


def _in_child(tops: Mapping[str, int], programs: Sequence[Sequence[str]], timeout: float) -> None:
    """Never returns; the exit status has a bit for each program that failed."""
    status = _NOT_TRIED
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # What programs leave running would hold the mounts: it ends with the first process of a PID namespace.
        syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
        first = os.fork()
        if first == 0:
            _first(tops, programs, timeout)
        status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    finally:
        os._exit(status if status >= 0 else _NOT_TRIED)


def _first(tops: Mapping[str, int], programs: Sequence[Sequence[str]], timeout: float) -> None:
    """The first process of the namespaces, which never returns."""
    status = _NOT_TRIED
    try:
        syscalls.mount_setattr("/", propagation=syscalls.MS_PRIVATE, recursive=True)
        for target, top in tops.items():
            syscalls.move_mount(top, target)
        os.chdir("/")
        status = _run(programs, timeout)
    finally:
        os._exit(status)


def _run(programs: Sequence[Sequence[str]], timeout: float) -> int:
    """Start all `programs` and wait for them; a bit for each that failed."""
    deadline = time.monotonic() + timeout
    started = [_start(program) for program in programs]
    failed = 0
    for number, pid in enumerate(started):
        ended = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            os.kill(pid, signal.SIGKILL)
        os.close(ended)
        failed |= (os.waitpid(pid, 0)[1] != 0) << number
    return failed


def _start(program: Sequence[str]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            os.execve(program[0], list(program), _ENVIRONMENT)
        finally:
            os._exit(127)
    return pid
