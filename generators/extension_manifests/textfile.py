#  SPDX-License-Identifier: MIT
"""Reads files that are text, or masks: no kind of file makes a read hang."""

from __future__ import annotations

import os
import stat

from extension_manifests.errors import ManifestError, decoded
from extension_manifests.origin import MASK

SIZE_MAX = 1 << 20  # bytes; as long as the longest line that systemd reads


def is_mask(real: str) -> bool:
    """Whether the resolved path `real` masks: /dev/null or an empty file. Raises OSError when it is missing."""
    if real == MASK:
        return True
    info = os.lstat(real)
    if stat.S_ISREG(info.st_mode):
        return info.st_size == 0
    # A bind of /dev/null, wherever it is.
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(1, 3)


def read_text(real: str, shown: str) -> str:
    """The text of the resolved path `real`; `shown` is the path for messages.

    Raises ManifestError for anything but a readable regular file of at most SIZE_MAX bytes of UTF-8 without NUL."""
    try:
        data = _read(real, shown)
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
