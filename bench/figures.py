"""Timing of commands, and the table they are shown in.  The standard library alone, for it also runs inside."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

MANIFEST = "[Unit]\nDescription=One of many\n[Extension]\nClass=sysext\n[Reload]\nRestart=some.service\n"


class Ran:
    """ms: the smallest wall time in milliseconds; peak_mib: the largest resident set in MiB."""

    def __init__(self, ms: float, peak_mib: float) -> None:
        self.ms = ms
        self.peak_mib = peak_mib


# Run by a small process: what is measured of a child includes what its parent had before the exec.
_PEAK = """
import os, sys
pid = os.fork()
if pid == 0:
    out = os.open("/dev/null", os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.execv(sys.argv[1], sys.argv[1:])
print(os.wait4(pid, 0)[2].ru_maxrss)
"""


def peak_mib(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Run a command: its largest resident set in MiB; never less than a bare interpreter's."""
    helper = ["/usr/bin/python3", "-ISc", _PEAK, *argv]
    ran = subprocess.run(helper, env=environment, stdout=subprocess.PIPE, check=True)
    return int(ran.stdout) / 1024


def once(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Run a command: wall time in ms.  It must not fail (3: something was left out)."""
    begun = time.perf_counter()
    pid = os.posix_spawn(
        argv[0], list(argv), dict(os.environ if environment is None else environment),
        file_actions=[(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_WRONLY, 0) for fd in (1, 2)],
    )  # fmt: skip
    _, status = os.waitpid(pid, 0)
    ms = (time.perf_counter() - begun) * 1000
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 3):
        raise SystemExit(f"{' '.join(argv)} ended with {code}")
    return ms


def timed(argv: Sequence[str], times: int, environment: Mapping[str, str] | None = None, out: object = "") -> Ran:
    """Run a command several times, with the directory `out` empty before each if given."""

    def afresh() -> None:
        if out:
            shutil.rmtree(str(out), ignore_errors=True)
            os.mkdir(str(out))

    found = []
    for _ in range(times):
        afresh()
        found.append(once(argv, environment))
    afresh()
    return Ran(min(found), peak_mib(argv, environment))


class Table:
    """Rows of what was measured; `met` says whether a goal was reached, None that there is none."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []
        self._met: list[bool] = []

    def row(
        self, name: str, ms: float | None, peak: float | None = None, note: str = "", met: bool | None = None
    ) -> None:
        """Add one line; ms and MiB may be missing."""
        if met is not None:
            self._met.append(met)
            note += " (met)" if met else " (MISSED)"
        self._rows.append((name, "" if ms is None else f"{ms:.1f}", "" if peak is None else f"{peak:.1f}", note))

    def note(self, text: str) -> None:
        """Add a line that measures nothing."""
        self._rows.append((text, "", "", ""))

    def all_met(self) -> bool:
        """Whether every goal was reached."""
        return all(self._met)

    def text(self) -> str:
        """The whole table."""
        width = max(len(name) for name, *_ in self._rows)
        lines = [f"{'':{width}}  {'ms':>8}  {'MiB':>6}"]
        lines += [f"{name:{width}}  {ms:>8}  {peak:>6}  {note}".rstrip() for name, ms, peak, note in self._rows]
        legend = "ms: wall time, the smallest of the generator, the median of others; MiB: largest resident set"
        return "\n".join([*lines, "", legend])
