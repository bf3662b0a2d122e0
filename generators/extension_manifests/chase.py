#  SPDX-License-Identifier: MIT
"""Reads files below a root: links never lead out of it, and no kind of file makes a read hang."""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests.errors import ManifestError, decoded

SIZE_MAX = 1 << 20  # bytes; as long as the longest line that systemd reads
LINKS_MAX = 40
MASK = "/dev/null"


def chase(root: str, path: str, base: str = "") -> str:
    """`path` with all links resolved as if `root` ("" for the machine's own) were "/"; the result is below root again.

    `base` is a resolved directory that `path` is relative to. /dev/null need not exist, it is a mask.
    Raises OSError: missing, a loop, not permitted."""
    done = base
    todo = path.split("/")
    todo.reverse()
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        step = f"{done}/{part}"
        if step == "/dev" and todo == ["null"]:
            return MASK
        try:
            target = os.readlink(root + step)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            done = step
            continue
        links += 1
        if links > LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done = ""
        todo.extend(reversed(target.split("/")))
    return done or "/"


def is_mask(root: str, real: str) -> bool:
    """Whether the resolved path `real` masks: /dev/null or an empty file. Raises OSError when it is missing."""
    if real == MASK:
        return True
    info = os.lstat(root + real)
    if stat.S_ISREG(info.st_mode):
        return info.st_size == 0
    # A bind of /dev/null, wherever it is.
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(1, 3)


def read_text(root: str, real: str, shown: str) -> str:
    """The text of the resolved path `real`; `shown` is the path for messages.

    Raises ManifestError for anything but a readable regular file of at most SIZE_MAX bytes of UTF-8 without NUL."""
    try:
        data = _read(root + real, shown)
    except OSError as error:
        raise ManifestError(shown, 0, f"cannot be read: {error.strerror}") from None
    return decoded(data, lambda line, text: ManifestError(shown, line, text))


def _read(path: str, shown: str) -> bytes:
    # Before open() too: opening a device can have effects of its own.
    _want_regular(os.lstat(path).st_mode, shown)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _want_regular(os.fstat(fd).st_mode, shown)
        data = b""
        while len(data) <= SIZE_MAX:
            piece = os.read(fd, SIZE_MAX + 1 - len(data))
            if not piece:
                return data
            data += piece
    finally:
        os.close(fd)
    raise ManifestError(shown, 0, "is larger than 1 MiB; that is no text for this program")


def _want_regular(mode: int, shown: str) -> None:
    if stat.S_ISREG(mode):
        return
    kind = "a special file"
    for test, word in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            kind = word
    raise ManifestError(shown, 0, f"is {kind}; put a regular file there")
