#  SPDX-License-Identifier: MIT
"""The extensions that somebody insists on, until the next boot: made for another host or not, harmful or not.

Each is an empty file in /run/extensionctl/forced: the mount helper, a process of its own for each image, looks there.
"""

from __future__ import annotations

import os

from extension_manifests.errors import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from extension_runtime.paths import Paths


def names(paths: Paths) -> frozenset[str]:
    """Who is forced."""
    try:
        return frozenset(os.listdir(paths.forced))
    except FileNotFoundError:
        return frozenset()


def add(paths: Paths, extensions: Iterable[str]) -> None:
    """From now on insist on `extensions`, whose names are valid.  Raises ImageError."""
    try:
        for made in (os.path.dirname(paths.forced), paths.forced):
            if not os.path.isdir(made):
                os.makedirs(made, 0o700, exist_ok=True)
        for name in extensions:
            os.close(os.open(f"{paths.forced}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ImageError(f"{paths.forced}: cannot be written: {error.strerror}") from None


def forget(paths: Paths) -> None:
    """Insist on nobody any more."""
    for name in names(paths):
        os.unlink(f"{paths.forced}/{name}")
