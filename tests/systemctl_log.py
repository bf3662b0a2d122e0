#  SPDX-License-Identifier: MIT
"""A systemctl that only writes down how it is called, and shows units as a test has them."""

from __future__ import annotations

from extension_runtime.pid1.commands import CommandError, Completed
from extension_runtime.pid1.systemctl import Systemd


class SystemctlLog:
    """`calls` are the arguments of each call but `show`; `shown` is unit to properties, `fails` a verb that does."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.shown: dict[str, dict[str, str]] = {}
        self.fails = ""

    @property
    def systemd(self) -> Systemd:
        return Systemd(self.run)

    def run(self, argv: list[str], *, check: bool = True, timeout: float | None = 90.0) -> Completed:
        if argv[1] == "show":
            wanted = argv[2].removeprefix("--property=").split(",")
            units = argv[argv.index("--") + 1 :]
            blocks = [[f"{key}={self.shown.get(unit, {}).get(key, '')}" for key in wanted] for unit in units]
            return Completed(0, "\n\n".join("\n".join(block) for block in blocks) + "\n", "")
        self.calls.append(" ".join(argv[1:]))
        if argv[1] == self.fails:
            raise CommandError(f"systemctl {self.fails}: not done after {timeout} s")
        return Completed(0, "", "")
