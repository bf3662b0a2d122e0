#  SPDX-License-Identifier: MIT
"""What changed between two stacks of layers, as seen through the overlay.

Decides only: what the layers hold comes from listings.  The walk goes where layers that are in one stack and not in the
other have something, or hide something, and nowhere else.
"""

from __future__ import annotations

from itertools import zip_longest

from extension_runtime.layers.lookup import Node, Source, root_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


PATH_MAX = 4096  # bytes at least, as of characters
COMPARE_MAX = 64 << 20  # bytes; two larger files from different layers count as different without being read


class Changed:
    """A path of the merged hierarchy ("/usr/...") that was "added", "removed" or "modified", and whose doing that is.

    `extension` is the one whose layer came, went or was replaced; "" when only the order of layers changed hands.
    """

    __slots__ = ("extension", "kind", "path")

    def __init__(self, path: str, kind: str, extension: str) -> None:
        self.path = path
        self.kind = kind
        self.extension = extension

    def __repr__(self) -> str:
        return f"Changed({self.path!r}, {self.kind!r}, {self.extension!r})"


def compare(
    old: Sequence[Source], new: Sequence[Source], hierarchy: str, within: tuple[str, ...] | None = None
) -> list[Changed]:
    """What the replacement of the stack `old` by `new` changes in `hierarchy` ("usr", "opt", "etc"), in path order.

    Stacks are lowest first, the base included; an upper is the topmost layer of each, with the extension "".
    With `within`, absolute paths, only those and what is below them is looked at.
    A folder counts as modified when its mode or owner differ.  A file does when its mode, owner, size or content differ
    (times say nothing: images are rebuilt), or when both are larger than COMPARE_MAX.
    """
    comparison = _Comparison(old, new, f"/{hierarchy}", within)
    return sorted(comparison.walk(root_of(old), root_of(new)), key=lambda change: change.path)


class _Comparison:
    __slots__ = ("new", "old", "prefix", "within")

    def __init__(
        self, old: Sequence[Source], new: Sequence[Source], prefix: str, within: tuple[str, ...] | None
    ) -> None:
        self.old = frozenset(old)
        self.new = frozenset(new)
        self.prefix = prefix
        self.within = within

    def walk(self, old: Node, new: Node) -> Iterator[Changed]:
        """The changes below the folder that `old` and `new` are look-ups of; either may be no folder at all.

        What lies deeper than a path can tell of is not looked at: no program opens it by its path.
        """
        todo = [(old, new)]
        while todo:
            old, new = todo.pop()
            for name in _differing(old, new):
                before, after = old.child(name), new.child(name)
                path = f"{self.prefix}/{before.path}"
                if not self.relevant(path):
                    continue
                kind = _kind(before, after)
                if kind is not None:
                    yield Changed(path, kind, self.whose(before, after))
                if before.sources != after.sources and len(path) < PATH_MAX:
                    todo.append((before, after))

    def relevant(self, path: str) -> bool:
        if self.within is None:
            return True
        return any(path == w or path.startswith(w + "/") or w.startswith(path + "/") for w in self.within)

    def whose(self, before: Node, after: Node) -> str:
        if after.decider is not None and after.decider not in self.old:
            return after.decider.extension
        if before.decider is not None and before.decider not in self.new:
            return before.decider.extension
        for node in (after, before):
            if node.decider is not None and node.decider.extension:
                return node.decider.extension
        return ""


def _differing(old: Node, new: Node) -> list[str]:
    """The names whose look-up may end differently in the two folders."""
    if old.sources == new.sources:
        return []
    before, after = set(old.sources), set(new.sources)
    touched = before ^ after
    if [s for s in old.sources if s in after] != [s for s in new.sources if s in before]:
        touched = before | after  # the layers that stay changed their order
    return sorted({name for source in touched for name in source.listing.entries(old.path)})


def _kind(before: Node, after: Node) -> str | None:
    if before.entry is None:
        return None if after.entry is None else "added"
    if after.entry is None:
        return "removed"
    if before.decider is after.decider or _same(before, after):
        return None
    return "modified"


def _same(before: Node, after: Node) -> bool:
    first, second = before.entry, after.entry
    assert first is not None and second is not None
    if first.traits() != second.traits():
        return False
    if first.kind != "file":
        return True
    if first.size > COMPARE_MAX:
        return False
    assert before.decider is not None and after.decider is not None
    ones, others = before.decider.listing.blocks(before.path), after.decider.listing.blocks(after.path)
    try:
        return all(one == other for one, other in zip_longest(ones, others))
    except Exception:
        return False  # as different as files can be: who uses it is restarted
