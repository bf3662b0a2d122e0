#  SPDX-License-Identifier: MIT
"""What became of each image: one small JSON file for each extension in /run/extensionctl/attached.

It is written by the mount helper, in a process of its own, and read by the merge.  Reading imports json, writing
does not: it would double the time that an image takes.
"""

from __future__ import annotations

import os

from extension_runtime import jsontext
from extension_runtime.kernel.chase import ImageError

_LISTS = ("classes", "hierarchies")
_TEXTS = ("name", "state", "reason", "image", "version", "identity", "format")


class Record:
    """What became of the image of one extension.

    state: "attached"; "skipped": made for another host or masked; "failed".  reason: why, unless attached.
    image: the path of it, from the root; version, identity (see image.identity) and format: of that image.
    hierarchies: which of "usr", "opt", "etc" it brings for its classes.
    """

    __slots__ = (*_TEXTS, *_LISTS)

    def __init__(
        self,
        name: str,
        state: str,
        reason: str = "",
        image: str = "",
        version: str = "",
        identity: str = "",
        format: str = "",
        classes: list[str] | None = None,
        hierarchies: list[str] | None = None,
    ) -> None:
        self.name = name
        self.state = state
        self.reason = reason
        self.image = image
        self.version = version
        self.identity = identity
        self.format = format
        self.classes = classes or []
        self.hierarchies = hierarchies or []

    def __repr__(self) -> str:
        return f"Record({self.name}: {self.state}{': ' + self.reason if self.reason else ''})"


def to_json(record: Record) -> str:
    """`record` as a line of JSON."""
    fields = [f'"{key}": {_text(getattr(record, key))}' for key in _TEXTS]
    fields += [f'"{key}": [{", ".join(map(_text, getattr(record, key)))}]' for key in _LISTS]
    return "{" + ", ".join(fields) + "}\n"


def _text(value: str) -> str:
    out = ['"']
    for char in value:
        if char in '"\\':
            out.append("\\" + char)
        elif " " <= char <= "~":
            out.append(char)
        else:
            units = char.encode("utf-16-be", "surrogatepass")
            out += [f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)]
    out.append('"')
    return "".join(out)


def from_json(text: str) -> Record:
    """The record that `to_json` wrote.  Raises ValueError."""
    data = jsontext.loads(text)
    if not isinstance(data, dict):
        raise ValueError("no record")
    record = Record(str(data.get("name", "")), str(data.get("state", "")))
    for key in _TEXTS[2:]:
        setattr(record, key, str(data.get(key, "")))
    for key in _LISTS:
        setattr(record, key, [str(item) for item in data.get(key, [])])
    if record.state not in ("attached", "skipped", "failed"):
        raise ValueError(f"no such state: {record.state}")
    return record


def write(directory: str, record: Record) -> None:
    """Put `record` into `directory` (which is made, 0700), whole or not at all.  Raises ImageError."""
    path = f"{directory}/{record.name}.json"
    temporary = f"{directory}/.{record.name}.{os.getpid()}"
    try:
        for made in (os.path.dirname(directory), directory):
            if not os.path.isdir(made):
                os.makedirs(made, 0o700, exist_ok=True)
        with open(temporary, "w", encoding="ascii") as file:
            file.write(to_json(record))
        os.rename(temporary, path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from None


def remove(directory: str, name: str) -> None:
    """Forget the record of `name`, if there is one."""
    try:
        os.unlink(f"{directory}/{name}.json")
    except FileNotFoundError:
        pass


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
            with open(path, encoding="ascii") as file:
                record = from_json(file.read())
            record.name = name
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            record = Record(name, "failed", f"{path}: {error}; restart the extension's mount unit")
        found[name] = record
    return found
