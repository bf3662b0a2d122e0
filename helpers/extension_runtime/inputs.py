#  SPDX-License-Identifier: MIT
"""Opens inputs, such as images and os-release, where their origin is: not through what is merged.

While nothing is merged the kernel follows links inside the root, in one call; else the origin resolves them, and what
it found is opened without following any.  Imports: os, stat, errno and this project only.
"""

from __future__ import annotations

import errno
import os

from extension_manifests.origin import Origin, origin_of

from extension_runtime.kernel import chase, syscalls

TRIES = 64


class Inputs:
    """What is read of one root, or of its origin.  Holds a descriptor: use it in a `with` block.

    Raises ImageError for a root that cannot be opened; its methods raise OSError.
    """

    __slots__ = ("_root", "origin")

    def __init__(self, root: str | Origin) -> None:
        self.origin = origin_of(root)
        self._root = chase.open_root(self.origin.root or "/")

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def locate(self, path: str) -> int:
        """A descriptor (O_PATH) of `path`, links followed inside the root; of a folder see `split`."""
        if not self.origin.merged:
            return chase.locate(self._root, path)
        for attempt in range(TRIES):
            try:
                return syscalls.openat2(self._places(path)[0], os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS)
            except OSError as error:
                # A link that was put there since: look again.  A loop of links is one in the end, too.
                if error.errno != errno.ELOOP or attempt == TRIES - 1:
                    raise
        raise AssertionError

    def split(self, path: str) -> bool:
        """Whether the folder `path` is partly in the upper of a mutable hierarchy and partly in its base."""
        return bool(self.origin.merged) and len(self._places(path)) > 1

    def names(self, fd: int, path: str) -> list[str]:
        """The names in the folder `path`, which `fd` was located of."""
        if not self.origin.merged:
            return os.listdir(f"/proc/self/fd/{fd}")
        return self.origin.listing(self.origin.find(path))

    def entry(self, path: str) -> os.stat_result | None:
        """What `path` itself is; None when there is none."""
        return self.origin.entry(path) if self.origin.merged else chase.entry(self._root, path)

    def read_text(self, path: str, shown: str, limit: int) -> str:
        """The text of the file `path`, as chase.read_text reads it.  Raises ImageError for anything else."""
        if not self.origin.merged:
            return chase.read_text(self._root, path, shown, limit)
        return chase.text_of(self.locate(path), shown, limit)

    def _places(self, path: str) -> tuple[str, ...]:
        """Where `path` is on this machine; two places, highest first, for a folder that has something in each."""
        inside = self.origin.find(path)
        folders = self.origin.folders(inside)
        if len(folders) < 2:
            return (self.origin.place(inside),)
        # One is empty where just the folder's mode was changed.
        return tuple(folder for folder in folders if os.listdir(folder)) or folders[:1]
