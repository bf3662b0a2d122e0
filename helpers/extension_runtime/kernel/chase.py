#  SPDX-License-Identifier: MIT
"""Opens what lies below a directory, as if that were "/": links never lead out, no kind of file makes it block.

The directory may be a root of files or a detached mount.  Imports: os, stat, errno and this project only.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests.errors import ImageError, decoded, printable

from extension_runtime.kernel import syscalls


def kind(mode: int) -> str:
    """What sort of file st_mode says it is, in words."""
    for test, word in (
        (stat.S_ISREG, "a regular file"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
    ):
        if test(mode):
            return word
    return "a special file"


def open_root(root: str) -> int:
    """Return a descriptor of the directory `root`.  Raises ImageError."""
    try:
        return os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(printable(f"{root}: {error.strerror}")) from None


def locate(dir_fd: int, path: str, *, folder: bool = False) -> int:
    """Return a descriptor (O_PATH: nothing is opened yet) of `path` below `dir_fd`.

    Links are followed as if `dir_fd` were "/".  With `folder`, what is no directory is ENOTDIR.
    Raises OSError.
    """
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    flags = os.O_PATH | (os.O_DIRECTORY if folder else 0)
    relative = path.lstrip("/") or "."
    for attempt in range(64):
        try:
            return syscalls.openat2(relative, flags, resolve, dir_fd)
        except OSError as error:
            # A rename elsewhere while ".." was being resolved (openat2(2)).
            if error.errno != errno.EAGAIN or attempt == 63:
                raise
    raise AssertionError


def entry(dir_fd: int, path: str) -> os.stat_result | None:
    """What `path` itself is, its parent found as `locate` finds it; None when there is none.  Raises OSError."""
    parent, _, name = path.strip("/").rpartition("/")
    try:
        fd = locate(dir_fd, parent)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    finally:
        os.close(fd)


def real_folder(root_fd: int, path: str) -> str:
    """The path on this machine of the directory `path` below `root_fd`.  Raises OSError."""
    fd = locate(root_fd, path, folder=True)
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def real_path(root: str, path: str) -> str:
    """The path on this machine of `path` below the directory `root`, links followed as if that were "/".

    What is missing at its end is kept as it is, and not made.  Raises ImageError for a loop and a link to nowhere.
    """
    root_fd = open_root(root or "/")
    try:
        parts = [part for part in path.split("/") if part]
        missing: list[str] = []
        while True:
            inside = "/".join(parts)
            try:
                fd = locate(root_fd, inside)
                break
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise ImageError(printable(f"{root}/{inside}: {os.strerror(error.errno or 0)}")) from None
                if entry(root_fd, inside) is not None:
                    raise ImageError(
                        printable(f"{root}/{inside}: is a link to nowhere inside the root; correct or remove it")
                    ) from None
            missing.insert(0, parts.pop())
        try:
            found = os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
    finally:
        os.close(root_fd)
    return "/".join([found.rstrip("/"), *missing]) or "/"


def reopen(fd: int, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor to read what the O_PATH descriptor `fd` stands for.  Raises OSError."""
    return os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def listing(dir_fd: int, path: str) -> list[str]:
    """The sorted names in the directory `path` below `dir_fd`.  Raises OSError."""
    fd = locate(dir_fd, path)
    try:
        reader = reopen(fd, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(fd)
    try:
        return sorted(os.listdir(reader))
    finally:
        os.close(reader)


def read_text(dir_fd: int, path: str, shown: str, limit: int) -> str:
    """The text of the regular file `path` below `dir_fd`, at most `limit` bytes; `shown` is its name for messages.

    Raises ImageError for anything else than such a file of UTF-8 without NUL, OSError where it cannot be reached.
    """
    return text_of(locate(dir_fd, path), shown, limit)


def text_of(fd: int, shown: str, limit: int) -> str:
    """As `read_text`, of what the O_PATH descriptor `fd` stands for, which is closed."""
    try:
        # Before it is opened: opening a device can have effects of its own, opening a FIFO waits.
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise ImageError(printable(f"{shown}: is {kind(info.st_mode)}; put a regular file there"))
        if info.st_size > limit:
            raise ImageError(printable(f"{shown}: has {info.st_size} bytes; at most {limit} are read"))
        reader = reopen(fd)
    finally:
        os.close(fd)
    try:
        with os.fdopen(reader, "rb", buffering=0) as file:
            data = b""
            while len(data) <= limit and (piece := file.read(limit + 1 - len(data))):
                data += piece
    except OSError as error:
        raise ImageError(printable(f"{shown}: cannot be read: {error.strerror}")) from None
    if len(data) > limit:
        raise ImageError(printable(f"{shown}: has more than {limit} bytes; no more are read"))
    return decoded(data, lambda line, text: ImageError(printable(f"{shown}:{line}: {text}")))
