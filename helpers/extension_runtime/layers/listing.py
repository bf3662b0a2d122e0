#  SPDX-License-Identifier: MIT
"""What one layer holds, folder by folder, read when it is asked for."""

from __future__ import annotations

import os
import stat

from extension_runtime.layers.lookup import BLOCK, Item, Layer, Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


OPAQUE = "trusted.overlay.opaque"
WHITEOUT = "trusted.overlay.whiteout"


def sources(old: Sequence[Layer], new: Sequence[Layer], base: str | None) -> tuple[list[Source], list[Source]]:
    """Both stacks with their listings, the base lowest in each; a layer that stays is one object."""
    known: dict[tuple[str, str], Source] = {}

    def stack(layers: Sequence[Layer]) -> list[Source]:
        found = []
        for layer in [*([Layer("", base)] if base is not None else []), *layers]:
            key = (layer.extension, layer.path)
            if key not in known:
                known[key] = Source(layer.extension, Folder(layer.path))
            found.append(known[key])
        return found

    return stack(old), stack(new)


class Folder:
    """The layer in the directory `path` of this machine.

    What cannot be read is as if it were not there; `problem` is the first thing that was raised over it.
    """

    __slots__ = ("_known", "path", "problem")

    def __init__(self, path: str) -> None:
        self.path = path
        self.problem: Exception | None = None
        self._known: dict[str, dict[str, Item]] = {}

    def entries(self, path: str) -> dict[str, Item]:
        known = self._known.get(path)
        if known is None:
            known = {}
            try:
                _scan(f"{self.path}/{path}" if path else self.path, known)
            except (FileNotFoundError, NotADirectoryError):
                pass
            except Exception as error:
                self.problem = self.problem or error
            self._known[path] = known
        return known

    def blocks(self, path: str) -> Iterator[bytes]:
        fd = os.open(f"{self.path}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            while block := file.read(BLOCK):
                yield block


def _scan(path: str, found: dict[str, Item]) -> None:
    """Fill `found` with the entries of the directory `path`.  Raises OSError, with those that were seen before.

    overlayfs.rst, "Whiteouts and opaque directories", says what they mean.  Only trusted.overlay.* counts: the overlays
    are mounted without "userxattr".
    """
    with os.scandir(path) as names:
        for name in names:
            try:
                found[name.name] = _entry(name.path, name.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue


def _entry(path: str, info: os.stat_result) -> Item:
    mode, kind, target, opaque = info.st_mode, "other", "", False
    if stat.S_ISREG(mode):
        kind = "file"
        # The folder should be marked for this, but only a listing needs that: a look-up goes without.
        if info.st_size == 0 and _attribute(path, WHITEOUT) is not None:
            kind = "whiteout"
    elif stat.S_ISDIR(mode):
        kind, opaque = "folder", _attribute(path, OPAQUE) == b"y"
    elif stat.S_ISLNK(mode):
        kind, target = "link", os.readlink(path)
    elif stat.S_ISCHR(mode) and info.st_rdev == 0:
        kind = "whiteout"
    else:
        target = str(info.st_rdev)
    return Item(kind, mode, info.st_uid, info.st_gid, info.st_size, info.st_mtime_ns, target, opaque)


def _attribute(path: str, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None
