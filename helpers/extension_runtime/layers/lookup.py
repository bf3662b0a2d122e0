#  SPDX-License-Identifier: MIT
"""What a look-up in a stack of layers ends on, by the rules of overlayfs.  Decides only: listings are given to it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    class Listing(Protocol):
        """A layer: its folders and its files.  Paths are relative to the layer, "" is the layer itself.

        `problem` is what was raised over it first.
        """

        problem: Exception | None

        def entries(self, path: str) -> dict[str, Item]:
            """What the folder `path` holds, whiteouts included; nothing when it is none."""

        def blocks(self, path: str) -> Iterator[bytes]:
            """The content of a file in pieces of BLOCK bytes.  Raises OSError."""


class Layer:
    """A directory that is stacked for one hierarchy.  `extension` is "" for an upper, which is no extension's."""

    __slots__ = ("extension", "path")

    def __init__(self, extension: str, path: str) -> None:
        self.extension = extension
        self.path = path

    def __repr__(self) -> str:
        return f"Layer({self.extension!r}, {self.path!r})"


class Source:
    """A layer and what it holds.  The same object stands in both stacks when the layer stays."""

    __slots__ = ("extension", "listing")

    def __init__(self, extension: str, listing: Listing) -> None:
        self.extension = extension
        self.listing = listing


class Node:
    """What a look-up of one path in a stack ends on.

    `entry` is None when there is nothing.  `sources` are the layers, highest first, whose folders are merged here.
    `decider` is the layer that gave the entry or hid it; `cut` the one that ended the merging of folders.
    """

    __slots__ = ("cut", "decider", "entry", "path", "sources")

    def __init__(
        self, path: str, entry: Item | None, sources: tuple[Source, ...], decider: Source | None, cut: Source | None
    ) -> None:
        self.path = path
        self.entry = entry
        self.sources = sources
        self.decider = decider
        self.cut = cut

    def child(self, name: str) -> Node:
        """The entry `name` of this folder, by the rules of overlayfs."""
        entry: Item | None = None
        decider: Source | None = None
        cut = self.cut
        folders: list[Source] = []
        for source in self.sources:
            found = source.listing.entries(self.path).get(name)
            if found is None:
                continue
            if entry is None and found.kind != "whiteout":
                entry, decider = found, source
            if found.kind != "folder":
                cut = source
                break
            folders.append(source)
            if found.opaque:
                cut = source
                break
        path = f"{self.path}/{name}" if self.path else name
        return Node(path, entry, tuple(folders), decider or cut, cut)

    def names(self) -> list[str]:
        """The visible entries of this folder, sorted."""
        found = {name for source in self.sources for name in source.listing.entries(self.path)}
        return sorted(name for name in found if self.child(name).entry is not None)


def root_of(sources: Sequence[Source]) -> Node:
    """The top of a stack of sources, lowest first."""
    return Node("", None, tuple(reversed(sources)), None, None)


BLOCK = 1 << 18  # bytes


class Item:
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
