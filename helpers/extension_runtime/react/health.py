#  SPDX-License-Identifier: MIT
"""Whether units that were started or restarted for a change came up, and stay up."""

from __future__ import annotations

import time

from extension_manifests.units import OURS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from extension_runtime.pid1.systemctl import Systemd


INTERVAL = 0.1  # seconds between two looks
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "Type", "Job", "NRestarts", "InvocationID",
    "ConditionResult", "AssertResult", "ExecMainCode", "ExecMainStatus", "TriggeredBy", "ReloadResult",
)  # fmt: skip
FROM_PID1 = ("Starting ", "Started ", "Reloading ", "Reload failed ", "Failed to start ", "Stopping ", "Stopped ")
LINES = 3  # of a log, in one message


class Failed:
    """A unit that did not come up or stay up, why, and the last lines of its log."""

    __slots__ = ("log", "unit", "why")

    def __init__(self, unit: str, why: str, log: list[str]) -> None:
        self.unit = unit
        self.why = why
        self.log = log

    def __str__(self) -> str:
        # That it failed is said already; only the unit itself can say why.
        own = [line for line in self.log if not line.startswith((f"{self.unit}: ", *FROM_PID1))]
        said = "; ".join(own[-LINES:] or self.log[-1:])
        return f"{self.unit}: {self.why}{': ' + said if said else ''}"


def judge(properties: Mapping[str, str], started: bool, first: Mapping[str, str] | None = None) -> str | None:
    """Why a unit with these properties is no good; "" when it is good, None when that is still open.

    `started`: it did not run before, so that it may also do its work and end.  `first`: its properties when it was
    first seen to be good.
    """
    load, active, sub = (properties.get(key, "") for key in ("LoadState", "ActiveState", "SubState"))
    result = properties.get("Result", "success") or "success"
    if load not in ("loaded", ""):
        return f"is {load}"
    if active == "failed":
        return f"failed{_how(result, properties)}"
    if sub.startswith("auto-restart") or _restarts(properties) > _restarts(first or {}):
        return f"came up and ended again{_how(result, properties)}"
    if properties.get("Job", "0") not in ("", "0") or active in (
        "activating",
        "reloading",
        "refreshing",
        "deactivating",
    ):
        return None
    if active == "active":
        if first is not None and first.get("InvocationID") != properties.get("InvocationID"):
            return "was started a second time"
        reloaded = properties.get("ReloadResult") or "success"
        # It runs on with what it had: to PID 1 that is no failure.
        return "" if reloaded == "success" else f"could not be reloaded ({reloaded})"
    if properties.get("ConditionResult") == "no":
        return ""  # it says itself that it is not for this machine
    if properties.get("AssertResult") == "no":
        return "an assertion of its own is not met"
    if result == "success" and (started or properties.get("Type") == "oneshot" or properties.get("TriggeredBy")):
        return ""
    return f"is not running any more{_how(result, properties)}"


def _restarts(properties: Mapping[str, str]) -> int:
    """How often PID 1 has restarted it, as far as it says so in a number."""
    said = properties.get("NRestarts", "")
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 20 else 0


def _how(result: str, properties: Mapping[str, str]) -> str:
    status = properties.get("ExecMainStatus", "0")
    if result == "exit-code" or (result == "success" and status not in ("", "0")):
        return f" (exit status {status})"
    return "" if result == "success" else f" ({result})"


def watch(
    systemd: Systemd,
    units: Mapping[str, bool],
    timeout: float,
    settle: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Failed]:
    """Wait until each of `units` is good (at most `timeout` seconds) and see whether it stays so for `settle` seconds.

    The values of `units` say whether a unit was started and not restarted.  A unit whose job waits for the merge itself
    is not waited for: it comes up after us.
    """
    if not units:
        return []
    deadline, settled = clock() + timeout, None
    first: dict[str, Mapping[str, str]] = {}
    bad: dict[str, str] = {}
    late: set[str] = set()
    while True:
        shown = systemd.show(sorted(units), PROPERTIES)
        pending = []
        for unit in sorted(units.keys() - late - bad.keys()):
            verdict = judge(shown[unit], units[unit], first.get(unit))
            if verdict:
                bad[unit] = verdict
            elif verdict is None:
                pending.append(unit)
            else:
                first.setdefault(unit, shown[unit])
        now = clock()
        if bad and not pending:
            break
        if pending and now >= deadline:
            bad.update(dict.fromkeys(pending, f"did not come up within {timeout:g} s"))
            break
        if pending:
            if _wait_for_us(systemd, pending):
                late.update(pending)
        else:
            settled = now + settle if settled is None else settled
            if now >= settled:
                break
        sleep(INTERVAL)
    return [Failed(unit, bad[unit], systemd.log(shown[unit].get("InvocationID", ""))) for unit in sorted(bad)]


def _wait_for_us(systemd: Systemd, units: Iterable[str]) -> bool:
    """Whether all that is left waits, and nothing runs that it could wait for but this program's own units."""
    jobs = systemd.jobs()
    if any(jobs.get(unit, ("", "running"))[1] == "running" for unit in units):
        return False
    return not any(state == "running" and not unit.startswith(OURS) for unit, (_kind, state) in jobs.items())
