#  SPDX-License-Identifier: MIT
"""What one layer holds, folder by folder, read when it is asked for.  Imports: os, stat, errno only."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Listing(Protocol):
        """A layer: its folders and its files.  Paths are relative to the layer, "" is the layer itself."""

        def entries(self, path: str) -> dict[str, Entry]:
            """What the folder `path` holds, whiteouts included; nothing when it is none."""

        def blocks(self, path: str) -> Iterator[bytes]:
            """The content of a file in pieces of BLOCK bytes.  Raises OSError."""


BLOCK = 1 << 18  # bytes
OPAQUE = "trusted.overlay.opaque"
WHITEOUT = "trusted.overlay.whiteout"


class Entry:
    """One name in a folder of a layer.

    `kind` is "file", "folder", "link", "whiteout" or "other"; `target` is where a link leads or a device's number.
    `opaque`: a folder that hides the folders of its name in the layers below it.
    """

    __slots__ = ("gid", "kind", "mode", "mtime", "opaque", "size", "target", "uid")

    def __init__(
        self,
        kind: str,
        mode: int = 0o755,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime: int = 0,
        target: str = "",
        opaque: bool = False,
    ) -> None:
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime = mtime
        self.target = target
        self.opaque = opaque

    def traits(self) -> tuple[object, ...]:
        """What must be equal for two entries to be the same; a folder's size and times say nothing about it."""
        size = self.size if self.kind == "file" else 0
        return self.kind, self.mode, self.uid, self.gid, size, self.target


class Folder:
    """The layer in the directory `path` of this machine.  What cannot be read is as if it were not there."""

    __slots__ = ("_known", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: dict[str, dict[str, Entry]] = {}

    def entries(self, path: str) -> dict[str, Entry]:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = _scan(f"{self.path}/{path}" if path else self.path)
        return known

    def blocks(self, path: str) -> Iterator[bytes]:
        fd = os.open(f"{self.path}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            while block := file.read(BLOCK):
                yield block


def _scan(path: str) -> dict[str, Entry]:
    """The entries of the directory `path`; overlayfs.rst, "Whiteouts and opaque directories", says what they mean.

    Only trusted.overlay.* counts: the overlays are mounted without "userxattr".
    """
    found: dict[str, Entry] = {}
    marked = _attribute(path, OPAQUE) == b"x"  # whiteouts may then be files with an attribute
    try:
        with os.scandir(path) as names:
            for name in names:
                try:
                    found[name.name] = _entry(name.path, name.stat(follow_symlinks=False), marked)
                except OSError:
                    continue
    except OSError:
        pass
    return found


def _entry(path: str, info: os.stat_result, marked: bool) -> Entry:
    mode, kind, target, opaque = info.st_mode, "other", "", False
    if stat.S_ISREG(mode):
        kind = "file"
        if marked and info.st_size == 0 and _attribute(path, WHITEOUT) is not None:
            kind = "whiteout"
    elif stat.S_ISDIR(mode):
        kind, opaque = "folder", _attribute(path, OPAQUE) == b"y"
    elif stat.S_ISLNK(mode):
        kind, target = "link", os.readlink(path)
    elif stat.S_ISCHR(mode) and info.st_rdev == 0:
        kind = "whiteout"
    else:
        target = str(info.st_rdev)
    return Entry(kind, mode, info.st_uid, info.st_gid, info.st_size, info.st_mtime_ns, target, opaque)


def _attribute(path: str, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None
