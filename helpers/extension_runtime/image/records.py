#  SPDX-License-Identifier: MIT
"""Reads the records of all images; see record.py for what one holds."""

from __future__ import annotations

import os

from extension_runtime import jsontext
from extension_runtime.image.record import LISTS, STATES, TEXTS, Record
from extension_runtime.kernel import mountinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.paths import Paths


def attached(paths: Paths) -> dict[str, Record]:
    """What became of each image, by extension; what was attached and is no longer mounted is left out."""
    found = read_all(paths.attached)
    # Not os.path.ismount(): that does not know a bind within one file system.
    mounted = {mount.path for mount in mountinfo.read().mounts.values()}
    return {
        name: became
        for name, became in found.items()
        if became.state == "failed" or f"{paths.extension}/{name}" in mounted
    }


def read_all(directory: str) -> dict[str, Record]:
    """All records in `directory` by name.  One that cannot be read counts as failed, with the reason."""
    found: dict[str, Record] = {}
    try:
        entries = sorted(os.listdir(directory))
    except FileNotFoundError:
        return found
    for entry in entries:
        name = entry.removesuffix(".json")
        if entry.startswith(".") or name == entry:
            continue
        path = f"{directory}/{entry}"
        try:
            with open(path, encoding="utf-8") as file:
                record = from_json(file.read())
            record.name = name
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, RecursionError) as error:
            record = Record(name, "failed", f"{path}: {error}; restart the extension's mount unit")
        found[name] = record
    return found


def from_json(text: str) -> Record:
    """The record that `to_json` wrote.  Raises ValueError."""
    data = jsontext.loads(text)
    if not isinstance(data, dict):
        raise ValueError("no record")
    record = Record(str(data.get("name", "")), str(data.get("state", "")))
    for key in TEXTS[2:]:
        setattr(record, key, str(data.get(key, "")))
    for key in LISTS:
        setattr(record, key, [str(item) for item in data.get(key, [])])
    if record.state not in STATES:
        raise ValueError(f"no such state: {record.state}")
    return record
