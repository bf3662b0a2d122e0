#  SPDX-License-Identifier: MIT
"""What became of each image: one small JSON file for each extension in /run/extensionctl/attached.

It is written by the mount helper, in a process of its own for each image, and read (records.py) by the merge.
"""

from __future__ import annotations

import os

from extension_manifests.errors import ImageError

STATES = ("attached", "skipped", "failed")
UNKNOWN = "unknown"  # the identity of an image that could not be looked at
LISTS = ("classes", "hierarchies", "remarks")
TEXTS = ("name", "state", "reason", "image", "version", "identity", "format", "options", "excused")


class Record:
    """What became of the image of one extension.

    state: "attached"; "skipped": made for another host or masked; "failed".  reason: why, unless attached.
    image: the path of it, from the root; version, identity (see identity.py) and format: of that image.
    hierarchies: which of "usr", "opt", "etc" it brings for its classes.  remarks: what a person should know of it.
    options: those it was attached with, see extension_manifests.options; "" where that is not known.
    excused: why it is not made for this host, where somebody insisted on it.
    """

    __slots__ = (*TEXTS, *LISTS)

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
        options: str = "",
        remarks: list[str] | None = None,
        excused: str = "",
    ) -> None:
        self.name = name
        self.state = state
        self.reason = reason
        self.image = image
        self.version = version
        self.identity = identity
        self.format = format
        self.options = options
        self.classes = classes or []
        self.hierarchies = hierarchies or []
        self.remarks = remarks or []
        self.excused = excused

    def __repr__(self) -> str:
        return f"Record({self.name}: {self.state}{': ' + self.reason if self.reason else ''})"


def to_json(record: Record) -> str:
    """`record` as a line of JSON."""
    fields = [f'"{key}": {_text(getattr(record, key))}' for key in TEXTS]
    fields += [f'"{key}": [{", ".join(map(_text, getattr(record, key)))}]' for key in LISTS]
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


def write(directory: str, record: Record) -> None:
    """Put `record` into `directory` (which is made, 0700), whole or not at all.  Raises ImageError."""
    path = f"{directory}/{record.name}.json"
    temporary = f"{directory}/.{record.name}.{os.getpid()}"
    try:
        for made in (os.path.dirname(directory), directory):
            if not os.path.isdir(made):
                os.makedirs(made, 0o700, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(to_json(record))
        os.rename(temporary, path)
    except OSError as error:
        remedy = "; remove it" if os.path.isdir(path) else ""
        raise ImageError(f"{path}: cannot be written: {error.strerror}{remedy}") from None


def remove(directory: str, name: str) -> None:
    """Forget the record of `name`, if there is one."""
    try:
        os.unlink(f"{directory}/{name}.json")
    except (FileNotFoundError, IsADirectoryError):
        pass  # a folder is none of ours
