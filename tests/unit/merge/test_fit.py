#  SPDX-License-Identifier: MIT
"""Layers that no overlay takes are left out, and no others; what an overlay takes is said by one that is made up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from based import Based
from extension_manifests.errors import reason_of
from extension_runtime.merge import fit
from extension_runtime.merge.choose import KEEP, LAST_GOOD, NEW, NONE, Choice
from extension_runtime.merge.state import Standing
from extension_runtime.overlay import stack
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths
from injected import each_error


class Lab:
    """Layers in a folder, and an overlay that refuses those called in `refused`."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(str(path))
        self.refused: set[str] = set()
        self.tries: list[list[str]] = []
        self.hierarchies = {"usr": Based("usr", f"{path}/usr", self.paths)}
        monkeypatch.setattr(stack, "build", self.build)

    def build(self, _paths: Paths, hierarchy: Hierarchy, lowers: Sequence[str], _generation: int) -> int:
        names = [Path(lower).parent.name for lower in lowers]
        self.tries.append(names)
        for name in names:
            if name in self.refused:
                raise OverlayError(f"{hierarchy.name}: {name} cannot be stacked")
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def choice(self, name: str, source: str = NEW, layer: str = "") -> Choice:
        folder = Path(self.paths.root, "layers", layer or name)
        (folder / "usr").mkdir(parents=True, exist_ok=True)
        return Choice(name, source, Standing(name, "merged", "", "/m", hierarchies=["usr"], layer=str(folder)))

    def fit(self, choices: Sequence[Choice], *good: str) -> dict[str, str]:
        """What became of each, when those called in `good` have a version that was merged before."""
        stood = {name: Standing(name, "merged", "", "/m", hierarchies=["usr"], layer=self.good(name)) for name in good}
        fit.leave_out_unstackable(self.paths, self.hierarchies, choices, stood)
        return {choice.name: choice.source for choice in choices}

    def good(self, name: str) -> str:
        folder = Path(self.paths.root, "good", name)
        (folder / "usr").mkdir(parents=True)
        return str(folder)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


def test_what_fits_is_tried_once_highest_first(lab: Lab) -> None:
    assert lab.fit([lab.choice("a"), lab.choice("b"), lab.choice("out", NONE)]) == {"a": NEW, "b": NEW, "out": NONE}
    assert lab.tries == [["b", "a"]]


def test_nothing_is_tried_where_nothing_was_merged_yet(lab: Lab) -> None:
    lab.hierarchies = {"usr": Hierarchy("usr", "/usr", lab.paths)}  # type: ignore[dict-item]
    lab.refused = {"a"}
    assert lab.fit([lab.choice("a")]) == {"a": NEW}
    assert lab.tries == []


@pytest.mark.parametrize("bad", [{"a"}, {"d"}, {"h"}, {"b", "g"}, set("abcdefgh")])
def test_each_that_does_not_fit_is_left_out_and_no_other(lab: Lab, bad: set[str]) -> None:
    lab.refused = bad
    choices = [lab.choice(name) for name in "abcdefgh"]
    assert lab.fit(choices) == {name: NONE if name in bad else NEW for name in "abcdefgh"}
    for choice in choices:
        assert choice.left_out is (choice.name in bad)
        if choice.name in bad:
            assert (choice.standing.state, choice.standing.layer) == ("failed", "")
            assert choice.standing.reason == f"usr: {choice.name} cannot be stacked"


def test_which_one_it_is_is_searched_by_halves(lab: Lab) -> None:
    lab.refused = {"n40"}
    assert lab.fit([lab.choice(f"n{number}") for number in range(64)])["n40"] == NONE
    assert len(lab.tries) < 12


def test_it_falls_back_to_the_version_that_was_merged(lab: Lab) -> None:
    lab.refused = {"bad"}
    choice = lab.choice("app", layer="bad")
    assert lab.fit([lab.choice("z", KEEP), choice], "app") == {"z": KEEP, "app": LAST_GOOD}
    assert choice.left_out
    assert (choice.standing.state, choice.standing.layer) == ("merged", f"{lab.paths.root}/good/app")
    said = "kept at its last good version, because of the new one: usr: bad cannot be stacked"
    assert choice.standing.reason == said


def test_of_two_with_one_image_the_newcomer_is_left_out(lab: Lab) -> None:
    newcomer = lab.choice("a", NEW, layer="one")
    assert lab.fit([newcomer, lab.choice("z", KEEP, layer="one")]) == {"a": NONE, "z": KEEP}
    assert newcomer.standing.reason == "its image is that of z, too; an image can be stacked once"


def test_more_than_an_overlay_takes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "MAX_LOWERS", 2)
    choices = [lab.choice("a"), lab.choice("b"), lab.choice("c"), lab.choice("kept", KEEP)]
    assert lab.fit(choices) == {"a": NEW, "b": NONE, "c": NONE, "kept": KEEP}
    assert choices[1].standing.reason == (
        f"there are already 2 layers on {lab.paths.root}/usr, which is all that an overlay takes"
    )


def test_what_was_merged_before_stays_where_nothing_can_be_stacked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the merge fails, and says so."""

    def refuse(*_arguments: object) -> int:
        raise OverlayError("usr: not here")

    monkeypatch.setattr(stack, "build", refuse)
    assert lab.fit([lab.choice("a", KEEP), lab.choice("b")]) == {"a": KEEP, "b": NEW}


@pytest.mark.parametrize("source", [NEW, KEEP, LAST_GOOD])
@pytest.mark.parametrize("broken", ["gone", "loop", "file", "refused"])
def test_a_directory_image_that_somebody_breaks_harms_no_other(lab: Lab, source: str, broken: str) -> None:
    choice = lab.choice("a", source)
    folder = Path(choice.standing.layer, "usr")
    lab.refused = {"a"} if broken == "refused" else set()
    if broken != "refused":
        folder.rmdir()
    if broken == "loop":
        folder.symlink_to("usr")
    if broken == "file":
        folder.write_text("")
    choice.standing.image = "/images/a"
    assert lab.fit([choice, lab.choice("b", KEEP), lab.choice("c")]) == {"a": NONE, "b": KEEP, "c": NEW}
    assert (choice.left_out, choice.standing.state, choice.standing.layer) == (True, "failed", "")
    said = {
        "gone": "/images/a: usr in it is gone; put it back, or install the image anew",
        "loop": "/images/a: usr in it is a link now; make it a real directory",
        "file": "/images/a: usr in it is a regular file now; make it a real directory",
        "refused": "usr: a cannot be stacked",
    }
    assert choice.standing.reason == said[broken]


@each_error
def test_whatever_happens_over_one_layer_harms_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    original = fit._look

    def look(choice: Choice, hierarchy: Hierarchy) -> os.stat_result:
        if choice.name == "a":
            raise error
        return original(choice, hierarchy)

    monkeypatch.setattr(fit, "_look", look)
    choice = lab.choice("a")
    assert lab.fit([choice, lab.choice("b")], "a") == {"a": NONE, "b": NEW}
    assert (choice.standing.state, choice.left_out) == ("failed", True)
    assert choice.standing.reason.endswith(reason_of(error))


def test_where_nothing_at_all_can_be_stacked_the_kernels_words_are_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OverlayError("usr: not here")

    monkeypatch.setattr(stack, "build", refuse)
    choices = [lab.choice("a"), lab.choice("b")]
    assert lab.fit(choices) == {"a": NONE, "b": NONE}
    assert {choice.standing.reason for choice in choices} == {"usr: not here"}
