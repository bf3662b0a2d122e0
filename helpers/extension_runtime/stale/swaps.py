#  SPDX-License-Identifier: MIT
"""Remembers what was swapped out, so that a later look finds who still uses it; and what is done about those."""

from __future__ import annotations

import os

from extension_runtime import boundary, files, jsontext
from extension_runtime.pid1.units import never
from extension_runtime.stale import search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from extension_runtime.pid1.systemctl import Systemd
    from extension_runtime.stale.search import StaleView

KEPT = 32  # swaps; of those before them it is known what changed since all of them, and not since each
SIZE_MAX = 1 << 20  # bytes of what is remembered of them; instead of paths it has folders then
READ_MAX = 64 << 20  # bytes; an earlier version knew no bound


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
    files.replace(f"{run}/views.json", bounded(entries))


def bounded(entries: list[dict[str, Any]]) -> str:
    """`entries` as JSON within bounds.  What is left out makes more units be told of, and never fewer."""
    while len(entries) > KEPT:
        one, other = entries[:2]
        joined: dict[str, Any] = {key: {**one[key], **other[key]} for key in ("swapped", "covered")}
        joined["changed"] = sorted({*one["changed"], *other["changed"]})
        entries[:2] = [joined]
    texts = [jsontext.dumps(entry) for entry in entries]
    while sum(map(len, texts)) > SIZE_MAX:
        largest = max(range(len(texts)), key=lambda number: len(texts[number]))
        entry = entries[largest]
        depth = max((_depth(path) for path in entry["changed"]), default=0)
        if depth <= 1:
            break  # it has no paths but the hierarchies themselves
        entry["changed"] = sorted({_cut(path, depth - 1) for path in entry["changed"]})
        texts[largest] = jsontext.dumps(entry)
    return f"[{', '.join(texts)}]"


def _depth(path: str) -> int:
    """How many names a path has."""
    return path.rstrip("/").count("/")


def _cut(path: str, depth: int) -> str:
    """The path, or the folder above it that has `depth` names."""
    names = path.rstrip("/").split("/")
    return path if len(names) - 1 <= depth else "/".join(names[: depth + 1]) + "/"


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
    units = [view.unit for view in found if view.sure and view.unit.endswith(".service") and view.unit in running]
    return [unit for unit in units if not never(unit)]


def restart(found: Sequence[StaleView], systemd: Systemd) -> list[StaleView]:
    """Queue restarts of what can be restarted, and return the others, which are only reported.  Raises CommandError."""
    units = restartable(found, [name for name, unit in systemd.units().items() if unit.running])
    systemd.queue("try-restart", units)
    return [view for view in found if view.unit not in units]


def _read(run: str) -> list[dict[str, Any]]:
    try:
        found = jsontext.loads(files.read(f"{run}/views.json", READ_MAX))
    except FileNotFoundError:
        return []
    except Exception as error:
        boundary.reason(error, f"{run}/views.json")
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
