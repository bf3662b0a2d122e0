#  SPDX-License-Identifier: MIT
"""What a layer or a base has where: kinds first, and more only of what is asked for.

A listing (listing.py) looks at every file; here a folder of thousands costs one look at the folder.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_runtime.layers.harm import FILE, FOLDER, LINK, SPECIAL, WHITE, Traits
from extension_runtime.layers.listing import OPAQUE, WHITEOUT
from extension_runtime.layers.lookup import BLOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

REDIRECT = "trusted.overlay.redirect"
_OVERLAY = "trusted.overlay."


class Outline:
    """The tree in the directory `path` of this machine.  Paths are relative to it, "" is the tree itself.

    Methods raise OSError for what cannot be read; a folder that is not there has nothing in it.
    """

    __slots__ = ("_known", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: dict[str, dict[str, str]] = {}

    def kinds(self, folder: str) -> dict[str, str]:
        """The names in `folder`, and what each is at first sight; nothing where it is no folder."""
        known = self._known.get(folder)
        if known is None:
            known = self._known[folder] = _scan(self._place(folder))
        return known

    def hides(self, path: str) -> bool:
        """Whether the file `path` is a whiteout, whatever its folder says of that (overlayfs.rst says it should)."""
        place = self._place(path)
        return os.lstat(place).st_size == 0 and _attribute(place, WHITEOUT) is not None

    def traits(self, folder: str) -> Traits:
        """Mode, owner and attributes of `folder`."""
        return traits(self._place(folder))

    def target(self, link: str) -> str:
        """Where `link` leads, as it is written."""
        return os.readlink(self._place(link))

    def blocks(self, path: str) -> Iterator[bytes]:
        """The content of a regular file in pieces of BLOCK bytes."""
        with open(os.open(self._place(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            while block := file.read(BLOCK):
                yield block

    def _place(self, path: str) -> str:
        return f"{self.path}/{path}" if path else self.path


def traits(path: str) -> Traits:
    """Mode, owner and attributes of the folder `path` of this machine.  Raises OSError."""
    info = os.lstat(path)
    labels, bent = {}, ""
    for name in _attributes(path):
        if not name.startswith(_OVERLAY):
            labels[name] = os.getxattr(path, name, follow_symlinks=False)
        elif name == REDIRECT or (name == OPAQUE and _attribute(path, name) == b"y"):
            bent = name.removeprefix(_OVERLAY)
    return Traits(stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, labels, bent)


def _scan(path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        names = os.scandir(path)
    except (FileNotFoundError, NotADirectoryError):
        return found
    with names:
        for entry in names:
            if entry.is_file(follow_symlinks=False):
                found[entry.name] = FILE
            elif entry.is_dir(follow_symlinks=False):
                found[entry.name] = FOLDER
            elif entry.is_symlink():
                found[entry.name] = LINK
            else:
                info = entry.stat(follow_symlinks=False)
                found[entry.name] = WHITE if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0 else SPECIAL
    return found


def _attributes(path: str) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:  # a file system without any
            raise
        return []


def _attribute(path: str, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None
