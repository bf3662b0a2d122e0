#  SPDX-License-Identifier: MIT
"""What changed between two stacks, against a brute-force walk of both merged trees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from extension_runtime.layers import compare
from extension_runtime.layers.lookup import Item, Source
from hypothesis import given, settings
from hypothesis import strategies as st

# A tree is {name: content or "-" (whiteout) or (opaque, tree)}: what a layer is made of.
Tree = dict[str, object]


class Fake:
    """A listing of a tree of this test's own model."""

    def __init__(self, tree: Tree) -> None:
        self.problem: Exception | None = None
        self.tree = tree
        self.asked: list[str] = []

    def _at(self, path: str) -> object:
        found: object = (False, self.tree)
        for part in path.split("/") if path else []:
            assert isinstance(found, tuple)
            found = found[1].get(part)
            if found is None:
                break
        return found

    def entries(self, path: str) -> dict[str, Item]:
        self.asked.append(path)
        found = self._at(path)
        return {name: _entry(value) for name, value in found[1].items()} if isinstance(found, tuple) else {}

    def blocks(self, path: str) -> Iterator[bytes]:
        found = self._at(path)
        assert isinstance(found, str)
        yield found.encode()


def _entry(value: object) -> Item:
    if isinstance(value, tuple):
        return Item("folder", opaque=value[0])
    assert isinstance(value, str)
    return Item("whiteout") if value == "-" else Item("file", mode=0o644, size=len(value))


def merge(trees: list[Tree]) -> Tree:
    """The merged tree, made from the bottom up, which is not how the code looks things up."""
    merged: Tree = {}
    for tree in trees:
        merged = _over(merged, tree)
    return merged


def _over(below: Tree, above: Tree) -> Tree:
    out = dict(below)
    for name, value in above.items():
        if value == "-":
            out.pop(name, None)
        elif isinstance(value, tuple):
            under = out.get(name)
            keep = under[1] if isinstance(under, tuple) and not value[0] else {}
            out[name] = (False, _over(keep, value[1]))
        else:
            out[name] = value
    return out


def flat(tree: Tree, prefix: str) -> dict[str, str]:
    found = {}
    for name, value in tree.items():
        found[f"{prefix}/{name}"] = "/" if isinstance(value, tuple) else str(value)
        if isinstance(value, tuple):
            found.update(flat(value[1], f"{prefix}/{name}"))
    return found


def brute(old: list[Tree], new: list[Tree]) -> dict[str, str]:
    before, after = flat(merge(old), "/usr"), flat(merge(new), "/usr")
    found = {path: "added" for path in after if path not in before}
    found |= {path: "removed" for path in before if path not in after}
    return found | {path: "modified" for path in after if path in before and before[path] != after[path]}


names = st.sampled_from("abc")
trees: st.SearchStrategy[Tree] = st.recursive(
    st.dictionaries(names, st.sampled_from(["1", "2", "long", "-"]), max_size=3),
    lambda inner: st.dictionaries(
        names, st.one_of(st.sampled_from(["1", "2", "-"]), st.tuples(st.booleans(), inner)), max_size=3
    ),
    max_leaves=12,
)


@given(pool=st.lists(trees, min_size=1, max_size=5), data=st.data())
@settings(max_examples=600, deadline=None)
def test_equals_a_walk_of_both_merged_trees(pool: list[Tree], data: st.DataObject) -> None:
    pool_sources = [Source(f"e{number}", Fake(tree)) for number, tree in enumerate(pool)]
    pick = st.lists(st.sampled_from(range(len(pool))), unique=True)
    base = data.draw(trees)
    bottom = Source("", Fake(base))
    old, new = data.draw(pick), data.draw(pick)
    found = compare.compare([bottom, *(pool_sources[i] for i in old)], [bottom, *(pool_sources[i] for i in new)], "usr")
    expected = brute([base, *(pool[i] for i in old)], [base, *(pool[i] for i in new)])
    assert {change.path: change.kind for change in found} == expected
    assert [change.path for change in found] == sorted(expected)
    for change in found:
        assert change.extension or set(old) & set(new), change


def test_walks_only_what_changed_layers_hold() -> None:
    base = Fake({"big": (False, {"deep": (False, {"x": "1"})}), "lib": (False, {"y": "1"})})
    stays = Fake({"big": (False, {"other": "1"})})
    comes = Fake({"lib": (False, {"z": "1"})})
    kept = [Source("", base), Source("stays", stays)]
    found = compare.compare(kept, [*kept, Source("comes", comes)], "usr")
    assert [(c.path, c.kind, c.extension) for c in found] == [("/usr/lib/z", "added", "comes")]
    assert "big" not in base.asked + stays.asked


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ({"d": "-"}, {"/usr/d": "removed", "/usr/d/x": "removed", "/usr/d/y": "removed"}),
        ({"d": (True, {"x": "1"})}, {"/usr/d/y": "removed"}),
        ({"d": (True, {"x": "2"})}, {"/usr/d/x": "modified", "/usr/d/y": "removed"}),
        ({"d": "file"}, {"/usr/d": "modified", "/usr/d/x": "removed", "/usr/d/y": "removed"}),
        ({"d": (False, {"x": "1"})}, {}),
    ],
)
def test_names_who_hides(above: Tree, expected: dict[str, str]) -> None:
    base = Source("", Fake({"d": (False, {"x": "1", "y": "1"})}))
    found = compare.compare([base], [base, Source("e", Fake(above))], "usr")
    assert {c.path: c.kind for c in found} == expected
    assert {c.extension for c in found} <= {"e"}
    back = compare.compare([base, Source("e", Fake(above))], [base], "usr")
    other = {"removed": "added", "modified": "modified"}
    assert {c.path: c.kind for c in back} == {path: other[kind] for path, kind in expected.items()}
    assert {c.extension for c in back} <= {"e"}


def test_within_looks_nowhere_else() -> None:
    layer = Fake(
        {"lib": (False, {"units": (False, {"a": "1"}), "big": (False, {"b": "1"})}), "bin": (False, {"c": "1"})}
    )
    found = compare.compare([], [Source("e", layer)], "usr", ("/usr/lib/units",))
    assert [c.path for c in found] == ["/usr/lib", "/usr/lib/units", "/usr/lib/units/a"]
    assert "bin" not in layer.asked and "lib/big" not in layer.asked


class Unreadable(Fake):
    """A listing whose files cannot be read to their end."""

    def blocks(self, path: str) -> Iterator[bytes]:
        yield from super().blocks(path)
        raise OSError(5, "Input/output error", path)


def test_what_cannot_be_compared_counts_as_different(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Source("a", Fake({"f": "1"})), Source("b", Fake({"f": "1"}))
    assert compare.compare([one], [other], "usr") == []
    for old, new in ((one, Source("b", Unreadable({"f": "1"}))), (Source("a", Unreadable({"f": "1"})), other)):
        assert [(c.path, c.kind) for c in compare.compare([old], [new], "usr")] == [("/usr/f", "modified")]
    monkeypatch.setattr(compare, "COMPARE_MAX", 0)
    assert [(c.path, c.kind) for c in compare.compare([one], [other], "usr")] == [("/usr/f", "modified")]


def test_a_change_of_order_is_the_doing_of_who_is_seen_now() -> None:
    one, two, base = Source("a", Fake({"f": "1"})), Source("b", Fake({"f": "2"})), Source("", Fake({"f": "0"}))
    assert [c.extension for c in compare.compare([base, one, two], [base, two, one], "usr")] == ["a"]
    assert [c.extension for c in compare.compare([one, base], [base, one], "usr")] == ["a"]
    assert [c.extension for c in compare.compare([base, one], [one, base], "usr")] == ["a"]
    other = Source("", Fake({"f": "3"}))
    assert [c.extension for c in compare.compare([base, other], [other, base], "usr")] == [""]


def test_a_change_tells_what_it_is() -> None:
    (change,) = compare.compare([], [Source("e", Fake({"a": "1"}))], "etc")
    assert repr(change) == "Changed('/etc/a', 'added', 'e')"
