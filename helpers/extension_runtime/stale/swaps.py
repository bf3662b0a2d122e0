#  SPDX-License-Identifier: MIT
"""Remembers what was swapped out, so that a later look finds who still uses it; and what is done about those."""

from __future__ import annotations

import os

from extension_runtime import files, jsontext
from extension_runtime.pid1.units import never
from extension_runtime.stale import search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from extension_runtime.pid1.systemctl import Systemd
    from extension_runtime.stale.search import StaleView

KEPT = 32  # swaps; who uses what is older than that is not told any more


def device(path: str) -> str:
    """The device of the file system at `path` as mount tables write it ("0:45").  Raises OSError."""
    number = os.stat(path).st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def record(
    run: str, swapped: Mapping[str, str], changed: Sequence[str], covered: Mapping[str, str] | None = None
) -> None:
    """Remember a swap in the folder `run`.  Raises StateError.

    `swapped`: device of each overlay that went, to its prefix ("/usr").  `covered`: device of each file system that was
    not an overlay and has one on top now, to "".  `changed`: the merged paths that are not what they were.
    """
    entries = _read(run)
    entries.append({"swapped": dict(swapped), "covered": dict(covered or {}), "changed": list(changed)})
    files.replace(f"{run}/views.json", jsontext.dumps(entries[-KEPT:]))


def find(run: str, proc: str = "/proc") -> list[StaleView]:
    """Who still uses what any remembered swap replaced."""
    swapped: dict[str, str] = {}
    covered: dict[str, str] = {}
    changed: dict[str, set[str]] = {}
    mounted = _mounted(proc)
    since: set[str] = set()
    for entry in reversed(_read(run)):
        since = since | set(entry["changed"])
        for dev, prefix in entry["swapped"].items():
            if dev not in mounted:  # else the number belongs to something else by now
                swapped[dev] = prefix
                changed[dev] = since
        for dev, prefix in entry["covered"].items():
            covered[dev] = prefix
            changed[dev] = since
    return search.find(swapped, changed, covered, proc) if swapped or covered else []


def restartable(found: Sequence[StaleView], running: Collection[str]) -> list[str]:
    """Which of the stale units can be restarted for Stale=restart: services whose restart harms nobody."""
    units = [view.unit for view in found if view.unit.endswith(".service") and view.unit in running]
    return [unit for unit in units if not never(unit)]


def restart(found: Sequence[StaleView], systemd: Systemd) -> list[StaleView]:
    """Queue restarts of what can be restarted, and return the others, which are only reported.  Raises CommandError."""
    units = restartable(found, [name for name, unit in systemd.units().items() if unit.running])
    systemd.queue("try-restart", units)
    return [view for view in found if view.unit not in units]


def _read(run: str) -> list[dict[str, Any]]:
    try:
        with open(f"{run}/views.json", encoding="utf-8") as file:
            found = jsontext.loads(file.read())
    except (OSError, ValueError):
        return []
    return [entry for entry in found if _sound(entry)] if isinstance(found, list) else []


def _sound(entry: object) -> bool:
    """Whether this is what record() wrote; what is not is no reason to fail."""
    if not isinstance(entry, dict):
        return False
    swapped, covered, changed = (entry.get(key) for key in ("swapped", "covered", "changed"))
    if not (isinstance(swapped, dict) and isinstance(covered, dict) and isinstance(changed, list)):
        return False
    words = [*swapped.values(), *covered.values(), *changed]
    return all(map(_device, (*swapped, *covered))) and all(isinstance(word, str) and _plain(word) for word in words)


def _device(word: str) -> bool:
    major, colon, minor = word.partition(":")
    return bool(colon) and all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (major, minor))


def _plain(word: str) -> bool:
    """Whether it is the name of a file: JSON can say more."""
    try:
        os.fsencode(word)
    except ValueError:
        return False
    return True


def _mounted(proc: str) -> set[str]:
    # A carriage return in a path is no end of a line.
    with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return {line.split(" ", 3)[2] for line in file}
