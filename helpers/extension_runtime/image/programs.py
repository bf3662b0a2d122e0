#  SPDX-License-Identifier: MIT
"""Looks a tree through for what gives rights: set-user-ID and set-group-ID files, capabilities, executables.

Only for who promises that there is none, or who asks: it is a walk over every file.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests import classes
from extension_manifests.errors import ImageError, printable

from extension_runtime.kernel import chase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extension_runtime.image.request import Request

_CAPABILITY = "security.capability"


def refuse(tree: int, hierarchies: Sequence[str], asked: Request, shown: str) -> None:
    """Raise ImageError for an image that holds what `asked` promises that it does not.

    `tree` is a descriptor of its top, `hierarchies` are what it brings, `shown` is its name for messages.
    """
    if not asked.noexec and not asked.nosuid:
        return
    nosuid = {name for class_ in classes.CLASSES.values() if class_.harmless for name in class_.hierarchies}
    for hierarchy in hierarchies:
        giving = asked.nosuid and hierarchy not in nosuid
        if not giving and not asked.noexec:
            continue
        for path, what in found(tree, hierarchy, executable=asked.noexec):
            if giving and what != EXECUTABLE:
                raise ImageError(printable(f"{shown}: /{path}: {what}, and NoSuid=yes takes no image with one"))
            if asked.noexec and what == EXECUTABLE:
                raise ImageError(printable(f"{shown}: /{path}: {what}, and NoExec=yes takes no image with one"))


EXECUTABLE = "is an executable file"


def found(tree: int, top: str, *, executable: bool = False) -> Iterator[tuple[str, str]]:
    """(path, what it is) of each file below the folder `top` of `tree` that gives its user rights.

    With `executable` what can be run, too.  Links are not followed.  Raises ImageError for what cannot be looked at.
    """
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            for name, info, capable in _entries(tree, folder):
                path = f"{folder}/{name}"
                if stat.S_ISDIR(info.st_mode):
                    folders.append(path)
                elif stat.S_ISREG(info.st_mode):
                    if info.st_mode & stat.S_ISUID:
                        yield path, "is a set-user-ID file"
                    elif info.st_mode & stat.S_ISGID:
                        yield path, "is a set-group-ID file"
                    elif capable:
                        yield path, "is a file with capabilities"
                    if executable and info.st_mode & 0o111:
                        yield path, EXECUTABLE
        except OSError as error:
            raise ImageError(
                printable(f"/{folder}: cannot be looked through: {os.strerror(error.errno or 0)}")
            ) from None


def _entries(tree: int, folder: str) -> Iterator[tuple[str, os.stat_result, bool]]:
    """Name, status and whether it has capabilities, of all in `folder`.  Raises OSError."""
    fd = chase.locate(tree, folder, folder=True)
    try:
        reader = chase.reopen(fd, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(fd)
    try:
        for name in sorted(os.listdir(reader)):
            info = os.stat(name, dir_fd=reader, follow_symlinks=False)
            yield name, info, stat.S_ISREG(info.st_mode) and _capable(f"/proc/self/fd/{reader}/{name}")
    finally:
        os.close(reader)


def _capable(path: str) -> bool:
    try:
        return bool(os.getxattr(path, _CAPABILITY, follow_symlinks=False))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return False
        raise
