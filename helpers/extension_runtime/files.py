#  SPDX-License-Identifier: MIT
"""Files that others read while they are written: whole, then renamed; and folders that must be ours."""

from __future__ import annotations

import os
import stat

from extension_manifests.errors import ExtensionError


class StateError(ExtensionError):
    """The state cannot be read, written or locked."""


def replace(path: str, text: str) -> None:
    """Write `text` beside `path`, readable by root only, and rename it there.  Raises StateError."""
    beside = f"{path}.new"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(beside, flags, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            os.fchmod(fd, 0o600)  # what a killed write has left may have any
            file.write(text)
        os.rename(beside, path)
    except OSError as error:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise StateError(f"{path}: {error.strerror}") from None


def read(path: str, limit: int) -> str:
    """The text of the file `path` of ours, whatever became of it: at most `limit` bytes, and never a wait.

    Raises FileNotFoundError, and StateError for what is no such text.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise StateError(f"{path}: is no regular file; remove it")
            data = file.read(limit + 1)
        if len(data) > limit:
            raise StateError(f"{path}: has more than {limit} bytes; remove it")
        return data.decode("utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StateError(f"{path}: is not UTF-8; remove it") from None


def folder(path: str, mode: int = 0o700) -> None:
    """Make the folder `path`, whose parent may be missing, too; an existing one must be a folder of this user.

    Raises StateError.
    """
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            pass
        found = os.lstat(path)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from None
    if found.st_uid != os.geteuid() or (found.st_mode & 0o170000) != 0o040000:
        raise StateError(f"{path}: not a folder of the user {os.geteuid()}; remove it")


def remove_empty(path: str) -> None:
    """Remove the empty folders in the folder `path`, and never more: one of them may be a mount point still."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return
    for name in names:
        try:
            os.rmdir(f"{path}/{name}")
        except OSError:
            continue
