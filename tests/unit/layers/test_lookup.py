#  SPDX-License-Identifier: MIT
"""What a look-up in a stack of layers ends on, and which layer decided it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from extension_runtime.layers.lookup import Item, Layer, Node, Source, root_of

FILE, WHITEOUT, LINK = Item("file"), Item("whiteout"), Item("link", target="x")
FOLDER, OPAQUE = Item("folder"), Item("folder", opaque=True)


class Flat:
    """A listing of a table of paths."""

    def __init__(self, items: dict[str, Item]) -> None:
        self.items = items
        self.problem: Exception | None = None

    def entries(self, path: str) -> dict[str, Item]:
        prefix = f"{path}/" if path else ""
        below = {name[len(prefix) :]: item for name, item in self.items.items() if name.startswith(prefix)}
        return {name: item for name, item in below.items() if "/" not in name}

    def blocks(self, path: str) -> Iterator[bytes]:
        yield path.encode()


def stack(*layers: dict[str, Item]) -> list[Source]:
    """Sources called 0, 1, ..., the lowest first."""
    return [Source(str(number), Flat(items)) for number, items in enumerate(layers)]


def who(source: Source | None) -> str:
    return source.extension if source is not None else ""


def told(node: Node) -> tuple[str, str, str, str]:
    """The kind of the entry, who decided, whose folders are merged (the highest first), and who cut."""
    kind = node.entry.kind if node.entry is not None else ""
    return kind, who(node.decider), "".join(map(who, node.sources)), who(node.cut)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([None, None], ("", "", "", "")),
        ([FILE, None], ("file", "0", "", "0")),
        ([FILE, LINK], ("link", "1", "", "1")),
        ([FOLDER, FILE], ("file", "1", "", "1")),
        ([FILE, FOLDER], ("folder", "1", "1", "0")),
        ([FOLDER, FOLDER], ("folder", "1", "10", "")),
        ([FOLDER, None, FOLDER], ("folder", "2", "20", "")),
        ([FOLDER, OPAQUE, FOLDER], ("folder", "2", "21", "1")),
        ([FOLDER, FILE, FOLDER], ("folder", "2", "2", "1")),
        ([FOLDER, WHITEOUT, FOLDER], ("folder", "2", "2", "1")),
        ([FOLDER, WHITEOUT], ("", "1", "", "1")),
        ([WHITEOUT, None], ("", "0", "", "0")),
        ([FILE, WHITEOUT, LINK], ("link", "2", "", "2")),
    ],
)
def test_a_child(items: list[Item | None], expected: tuple[str, str, str, str]) -> None:
    sources = stack(*({"a": item} if item is not None else {} for item in items))
    assert told(root_of(sources).child("a")) == expected


def test_what_is_below_a_cut_stays_cut() -> None:
    sources = stack(
        {"d": FOLDER, "d/low": FILE},
        {"d": OPAQUE, "d/high": FILE, "d/e": FOLDER},
        {"d": FOLDER},
    )
    folder = root_of(sources).child("d")
    assert told(folder.child("low")) == ("", "1", "", "1")
    assert told(folder.child("e")) == ("folder", "1", "1", "1")
    assert folder.child("e").child("x").path == "d/e/x"
    assert folder.names() == ["e", "high"]


def test_names_are_those_that_are_seen() -> None:
    sources = stack({"b": FILE, "gone": FILE, "a": FILE}, {"gone": WHITEOUT, "never": WHITEOUT, "c": LINK})
    assert root_of(sources).names() == ["a", "b", "c"]
    assert root_of([]).names() == []


def test_the_top_is_of_all_layers_the_highest_first() -> None:
    assert told(root_of(stack({}, {}, {}))) == ("", "", "210", "")
    assert root_of(stack({})).path == ""


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Item("file", size=1, mtime=5), True),
        (Item("file", size=2), False),
        (Item("file", mode=0o700, size=1), False),
        (Item("file", uid=1, size=1), False),
        (Item("file", gid=1, size=1), False),
        (Item("link", size=1), False),
    ],
)
def test_traits_of_a_file(other: Item, same: bool) -> None:
    assert (Item("file", size=1, mtime=1).traits() == other.traits()) is same


def test_traits_of_others() -> None:
    assert Item("folder", size=1, opaque=True).traits() == Item("folder", size=2).traits()
    assert Item("link", target="a").traits() != Item("link", target="b").traits()
    assert Item("other", target="1").traits() != Item("other", target="2").traits()


def test_a_layer_tells_what_it_is() -> None:
    assert repr(Layer("a", "/x")) == "Layer('a', '/x')"
