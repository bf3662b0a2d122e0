#  SPDX-License-Identifier: MIT
"""PID 1, through systemctl: no bus is needed for it, so it works before sysinit, too."""

from __future__ import annotations

from extension_runtime.pid1 import commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

RELOAD_TIMEOUT = 300.0  # seconds; generators and units of a slow machine
RUNNING = ("active", "reloading", "activating", "refreshing", "maintenance")


class Unit:
    """A loaded unit: `load`, `active` and `sub` as systemctl's list-units has them."""

    __slots__ = ("active", "load", "name", "sub")

    def __init__(self, name: str, load: str, active: str, sub: str) -> None:
        self.name = name
        self.load = load
        self.active = active
        self.sub = sub

    @property
    def running(self) -> bool:
        """Whether it is active, or about to be."""
        return self.active in RUNNING


class Systemd:
    """Calls systemctl.  Methods raise CommandError when it fails, but for those that say otherwise."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[..., commands.Completed] = commands.run) -> None:
        self._run = run

    def _call(self, *arguments: str, check: bool = True, timeout: float = 90.0) -> str:
        return self._run(["systemctl", *arguments], check=check, timeout=timeout).stdout

    def units(self) -> dict[str, Unit]:
        """All units that are loaded."""
        text = self._call("list-units", "--all", "--full", "--plain", "--no-legend", "--no-pager")
        found = {}
        for line in text.split("\n"):
            words = line.lstrip(" ●*×○↻").split(None, 4)
            if len(words) >= 4:
                found[words[0]] = Unit(words[0], words[1], words[2], words[3])
        return found

    def jobs(self) -> dict[str, tuple[str, str]]:
        """Unit to (type, "waiting" or "running") of every queued job."""
        text = self._call("list-jobs", "--full", "--plain", "--no-legend", "--no-pager")
        lines = [line.split() for line in text.split("\n")]
        return {words[1]: (words[2], words[3]) for words in lines if len(words) == 4 and words[0].isdigit()}

    def show(self, units: Sequence[str], properties: Iterable[str], must: bool = False) -> dict[str, dict[str, str]]:
        """Each unit's properties; one that has several lines has them in one text.  Unknown units have them, too.

        With `must` a failure raises CommandError, else what could not be shown is empty.
        """
        if not units:
            return {}
        text = self._call("show", f"--property={','.join(properties)}", "--no-pager", "--", *units, check=must)
        found: dict[str, dict[str, str]] = {unit: {} for unit in units}
        for unit, block in zip(units, text.strip("\n").split("\n\n"), strict=must):
            # Not splitlines(): a description may hold what Unicode takes for the end of a line, and more behind it.
            for line in block.split("\n"):
                key, _, value = line.partition("=")
                found[unit][key] = f"{found[unit][key]}\n{value}" if key in found[unit] else value
        return found

    def daemon_reload(self) -> None:
        """Have PID 1 read all units again; returns when it has."""
        self._call("daemon-reload", timeout=RELOAD_TIMEOUT)

    def queue(self, verb: str, units: Sequence[str], mode: str = "") -> None:
        """Queue jobs ("start", "restart", "try-restart", ...) and return at once.

        Waiting could last for ever: a unit may be ordered after the merge that is waited for.
        """
        if verb in ("restart", "try-restart"):
            # Start limits are for units that crash in a loop; many refreshes in a short time are none.
            self.reset_failed(units)
        if units:
            self._call(verb, "--no-block", *([f"--job-mode={mode}"] if mode else []), "--", *units)

    def bring(self, verb: str, units: Sequence[str], timeout: float | None = None) -> None:
        """Do `verb` to units and wait for the end of it, whatever that is.  Raises CommandError when time is up."""
        if units:
            self._run(["systemctl", verb, "--", *units], check=False, timeout=timeout)

    def stop(self, units: Sequence[str], timeout: float = 90.0) -> None:
        """Stop units and wait: a stop never waits for what the unit is ordered after."""
        if units:
            self._call("stop", "--", *units, timeout=timeout)

    def reset_failed(self, units: Sequence[str]) -> None:
        """Forget failures and start limits; a unit that is not loaded is no error."""
        if units:
            self._call("reset-failed", "--", *units, check=False)

    def log(self, invocation: str, lines: int = 5) -> list[str]:
        """The last lines that the processes of a unit's invocation logged, else those that PID 1 logged about it.

        Empty when they cannot be read.
        """
        for field in ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID") if invocation else ():
            argv = ["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"{field}={invocation}"]
            try:
                # What a unit says last is on its way to the journal when PID 1 knows of its end.
                self._run(["journalctl", "--sync"], check=False, timeout=10.0)
                found = self._run(argv, check=False, timeout=10.0).stdout.splitlines()[-lines:]
            except commands.CommandError:
                return []
            if found:
                return found
        return []
