#  SPDX-License-Identifier: MIT
"""Which layers are stacked on which hierarchy: pure functions, table-tested."""

from __future__ import annotations

import pytest
from extension_manifests.settings import Settings
from extension_runtime.merge import wanted
from extension_runtime.merge.choose import NEW, NONE, Choice
from extension_runtime.merge.state import Standing


def entry_with(name: str, *hierarchies: str) -> Choice:
    layer = f"/layers/2/{name}"
    return Choice(name, NEW, Standing(name, "merged", "", "/m", layer=layer, hierarchies=list(hierarchies)))


def test_layers_keep_their_order_and_go_where_they_belong() -> None:
    choices = [entry_with("low", "usr"), entry_with("mid", "usr", "opt"), entry_with("top", "etc")]
    found = wanted.hierarchies(choices, Settings(), ("usr", "opt", "etc"))
    assert {item.name: item.layers for item in found} == {
        "usr": [("low", "/layers/2/low/usr"), ("mid", "/layers/2/mid/usr")],
        "opt": [("mid", "/layers/2/mid/opt")],
        "etc": [("top", "/layers/2/top/etc")],
    }
    assert all(item.merged and not item.writable for item in found)


def test_what_is_not_merged_has_no_layer_and_what_is_missing_is_left_out() -> None:
    choices = [Choice("app", NONE, Standing("app", "skipped", "x", "/m", hierarchies=["usr"]))]
    found = wanted.hierarchies(choices, Settings(), ("usr", "etc"))
    assert [(item.name, item.layers, item.merged) for item in found] == [("usr", [], False), ("etc", [], False)]


@pytest.mark.parametrize(
    ("mode", "import_", "merged_", "writable", "imported", "upper"),
    [
        ("auto", False, False, False, False, ""),
        ("read-only", False, True, False, False, ""),
        ("ephemeral", False, True, True, False, "/up"),
        ("persistent", False, True, True, False, "/up"),
        ("auto", True, True, False, True, "/up"),
        ("ephemeral", True, True, True, True, "/up"),
        ("persistent", True, True, True, False, "/up"),
    ],
)
def test_modes_without_layers(
    mode: str, import_: bool, merged_: bool, writable: bool, imported: bool, upper: str
) -> None:
    settings = Settings()
    settings.etc.mode, settings.etc.import_, settings.etc.upper = mode, import_, "/up"
    [item] = wanted.hierarchies([], settings, ("etc",))
    assert (item.merged, item.writable, item.imported, item.spec().upper) == (merged_, writable, imported, upper)


def test_extensions_off_merges_nothing_whatever_the_mode() -> None:
    settings = Settings()
    settings.enabled, settings.etc.mode = False, "persistent"
    [item] = wanted.hierarchies([entry_with("top", "etc")], settings, ("etc",))
    assert (item.merged, item.writable) == (False, False)


def test_unmerged_is_the_base_alone() -> None:
    settings = Settings()
    settings.etc.mode = "persistent"
    found = wanted.unmerged(settings, ("usr", "etc"))
    assert [(item.name, item.layers, item.merged, item.writable) for item in found] == [
        ("usr", [], False, False),
        ("etc", [], False, False),
    ]


def test_a_spec_tells_what_has_to_be_done_again() -> None:
    settings = Settings()
    specs = [wanted.hierarchies([], settings, ("etc",))[0].spec()]
    specs.append(wanted.hierarchies([entry_with("a", "etc")], settings, ("etc",))[0].spec())
    specs.append(wanted.hierarchies([entry_with("a", "etc"), entry_with("b", "etc")], settings, ("etc",))[0].spec())
    specs.append(wanted.hierarchies([entry_with("b", "etc"), entry_with("a", "etc")], settings, ("etc",))[0].spec())
    settings.etc.mode = "ephemeral"
    specs.append(wanted.hierarchies([entry_with("a", "etc")], settings, ("etc",))[0].spec())
    settings.etc.import_ = True
    specs.append(wanted.hierarchies([entry_with("a", "etc")], settings, ("etc",))[0].spec())
    assert all(one != other for i, one in enumerate(specs) for other in specs[:i])
