#  SPDX-License-Identifier: MIT
"""Layer order, circles, needs and conflicts."""

from __future__ import annotations

from extension_manifests import resolve
from extension_manifests.errors import Diagnostic
from extension_manifests.manifest import Manifest
from hypothesis import given, settings
from hypothesis import strategies as st


def made(*manifests: Manifest) -> dict[str, Manifest]:
    return {item.name: item for item in manifests}


def layer(name: str, above: str = "", below: str = "") -> Manifest:
    return Manifest(name, f"/m/{name}", above=tuple(above.split()), below=tuple(below.split()))


def unit(name: str, *pairs: tuple[str, str], wanted: bool = True) -> Manifest:
    return Manifest(name, f"/m/{name}", pairs, **({} if wanted else {"wanted_by": ()}))


def order(*manifests: Manifest) -> tuple[list[str], list[str]]:
    diagnostics: list[Diagnostic] = []
    out = [item.name for item in resolve.order(made(*manifests), diagnostics)]
    # The order that files are read in must not matter.
    assert [item.name for item in resolve.order(made(*manifests[::-1]), [])] == out
    return out, [str(item) for item in diagnostics]


def test_version_order_of_names() -> None:
    assert order(layer("a10"), layer("b"), layer("a9")) == (["a9", "a10", "b"], [])


def test_above_and_below() -> None:
    assert order(layer("a", above="c"), layer("b"), layer("c")) == (["b", "c", "a"], [])
    assert order(layer("a"), layer("b"), layer("c", below="a")) == (["b", "c", "a"], [])
    assert order(layer("a", above="missing")) == (["a"], [])


def test_circles_are_named_and_dropped_alone() -> None:
    out, diagnostics = order(
        layer("a", above="b"), layer("b", above="c"), layer("c", above="a d"), layer("d", above="e"), layer("e")
    )
    assert out == ["e", "d", "c", "a", "b"] or out.index("e") < out.index("d") < out.index("c")
    assert diagnostics == [
        "/m/a: Above= and Below= go in a circle: a, b, c; remove one, until then those among them are ignored"
    ]


def test_two_circles_two_warnings() -> None:
    _, diagnostics = order(layer("a", above="b", below="b"), layer("b"), layer("c", above="d"), layer("d", above="c"))
    assert [text.partition("circle: ")[2].partition(";")[0] for text in diagnostics] == ["a, b", "c, d"]


def test_a_long_chain_needs_no_recursion() -> None:
    chain = [layer(f"n{number}", above=f"n{number + 1}") for number in range(3000)]
    out, diagnostics = order(*chain, layer("n3000"))
    assert out == [f"n{number}" for number in range(3000, -1, -1)]
    assert not diagnostics


NAMES = st.sampled_from(list("abcdef"))


@settings(max_examples=150, deadline=None, database=None)
@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=6))
def test_order_keeps_every_edge_outside_circles(graph: dict[str, list[str]]) -> None:
    manifests = [
        layer(name, above=" ".join(other for other in lower if other != name)) for name, lower in graph.items()
    ]
    out, diagnostics = order(*manifests)
    assert sorted(out) == sorted(graph)
    if not diagnostics:
        for item in manifests:
            for lower in item.above:
                assert lower not in graph or out.index(lower) < out.index(item.name)


def test_unit_order_in_circles() -> None:
    diagnostics: list[Diagnostic] = []
    found = resolve.unordered(
        made(
            unit("a", ("After", "b.extension")),
            unit("b", ("Requires", "a.extension x.service")),
            unit("c", ("Before", "a.extension"), ("After", "c.extension")),
            unit("d", ("BindsTo", "missing.extension")),
        ),
        diagnostics,
    )
    assert found == {"a": {"a", "b"}, "b": {"a", "b"}}
    assert found["a"] is found["b"]  # a circle of thousands has thousands of members
    assert [str(item) for item in diagnostics] == [
        "/m/a: After=, Before= and needs go in a circle: a, b; remove one, until then those among them are ignored"
    ]


def check(*manifests: Manifest) -> list[str]:
    found = resolve.check(made(*manifests), {"masked": "/m/masked"}, {"broken"})
    assert all(item.severity == "warning" for item in found)
    return [str(item) for item in found]


def test_needs_that_nothing_fulfils() -> None:
    assert check(
        unit("a", ("Requires", "masked.extension broken.extension"), ("Wants", "gone.extension")), unit("b")
    ) == [
        "/m/a: Requires=masked.extension cannot be fulfilled, it is masked; a will not be attached",
        "/m/a: Requires=broken.extension cannot be fulfilled, it is broken; a will not be attached",
    ]
    assert check(unit("a", ("Requisite", "gone.extension"))) == [
        "/m/a: Requisite=gone.extension cannot be fulfilled, it has no manifest; a will not be attached"
    ]


def test_conflicts_at_boot() -> None:
    clash = ("Conflicts", "b.extension")
    expected = "/m/a: conflicts with b, but both are wanted at boot; clear WantedBy= or set a condition in one"
    assert check(unit("a", clash), unit("b")) == [expected]
    assert check(unit("a", clash), unit("b", ("Conflicts", "a.extension"))) == [expected]
    assert check(unit("a", clash)) == []
    assert check(unit("a", clash), unit("b", wanted=False)) == []
    assert check(unit("a", clash), unit("b", ("ConditionHost", "x"))) == []
