#  SPDX-License-Identifier: MIT
"""Reads the records of all images; see record.py for what one holds."""

from __future__ import annotations

import os

from extension_manifests.classes import HIERARCHIES
from extension_manifests.errors import ImageError, printable

from extension_runtime import boundary, files, jsontext
from extension_runtime.image.record import LISTS, STATES, TEXTS, UNKNOWN, Record
from extension_runtime.kernel import mountinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.paths import Paths


class RecordError(ImageError):
    """What is written of an image is not what this program writes."""


SIZE_MAX = 256 << 10  # bytes of one record; reasons are lines


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
            record = from_json(files.read(path, SIZE_MAX), path)
            record.name = name
        except FileNotFoundError:
            continue
        except Exception as error:
            reason = f"{boundary.reason(error, path)}; restart the extension's mount unit"
            record = Record(name, "failed", reason, identity=UNKNOWN)
        found[name] = record
    return found


def from_json(text: str, path: str) -> Record:
    """The record that `to_json` wrote, read from `path`.  Raises RecordError."""
    try:
        data = jsontext.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise RecordError(f"{path}: is no record")
    record = Record("", "")
    for key in TEXTS:
        setattr(record, key, _text(path, key, data.get(key, "")))
    for key in LISTS:
        items = data.get(key, [])
        if not isinstance(items, list):
            raise RecordError(f"{path}: has no right {key}")
        setattr(record, key, [_text(path, key, item) for item in items])
    if record.state not in STATES:
        raise RecordError(printable(f"{path}: no such state: {record.state[:80]}"))
    if not {*record.hierarchies} <= {*HIERARCHIES}:
        raise RecordError(f"{path}: has no right hierarchies")
    return record


def _text(path: str, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise RecordError(f"{path}: has no right {key}")
    return value
