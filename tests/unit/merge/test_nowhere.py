#  SPDX-License-Identifier: MIT
"""Hierarchies that are not there: for whom they are made, and what is said of what is not seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests import load
from extension_runtime.merge import choose, nowhere
from extension_runtime.merge.choose import Choice
from extension_runtime.merge.outlook import Outlook
from extension_runtime.merge.state import Standing, State
from extension_runtime.overlay import hierarchy
from extension_runtime.paths import Paths

WHY = "/opt: leads to /usr/opt"


class Lab:
    """A root without /opt, and choices on it."""

    def __init__(self, path: Path, settings: str = "") -> None:
        for name in ("usr", "etc/extensions.d"):
            (path / name).mkdir(parents=True)
        (path / "etc/extensions.d/extensions.conf").write_text(settings)
        self.path = path
        self.paths = Paths(str(path))
        there = hierarchy.find(self.paths)
        self.outlook = Outlook(self.paths, State(), load.load(str(path)), there.found, set())
        self.outlook.missing = there.missing
        self.logged: list[str] = []

    def choice(self, name: str, files: str = "", source: str = choose.NEW, reason: str = "") -> Choice:
        """One whose layer has `files`, and the hierarchies that those are in."""
        layer = self.path / "layers" / name
        for file in files.split():
            (layer / file).parent.mkdir(parents=True, exist_ok=True)
            (layer / file).write_text("")
        found = sorted(os.listdir(layer)) if files else []
        return Choice(name, source, Standing(name, "merged", reason, "/m", hierarchies=found, layer=str(layer)))

    def make(self, *choices: Choice) -> list[nowhere.Make]:
        steps = []
        for step in nowhere.make(self.outlook, choices, self.logged.append):
            assert isinstance(step, nowhere.Make)
            step.do()
            steps.append(step)
        return steps


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_it_is_made_for_who_brings_something_and_for_nobody_else(lab: Lab) -> None:
    assert lab.make(lab.choice("a", "usr/x"), lab.choice("b", "opt/x", choose.NONE)) == []
    assert list(lab.outlook.hierarchies) == ["usr", "etc"]
    [step] = lab.make(lab.choice("c", "opt/y"))
    assert (step.name, step.text) == ("make:opt", f"make {lab.path}/opt")
    assert (list(lab.outlook.hierarchies), lab.outlook.missing) == (["usr", "etc", "opt"], {})
    step.undo()
    assert (list(lab.outlook.hierarchies), (lab.path / "opt").exists()) == (["usr", "etc"], False)


@pytest.mark.parametrize("settings", ["[Opt]\nMode=ephemeral\n", "[Opt]\nImport=yes\n"])
def test_it_is_made_for_a_mode(tmp_path: Path, settings: str) -> None:
    lab = Lab(tmp_path, settings)
    assert len(lab.make()) == 1
    assert (tmp_path / "opt").is_dir()


def test_what_cannot_be_made_is_said_by_extensions_or_in_the_log(tmp_path: Path) -> None:
    why = f"/opt: {tmp_path}/opt is missing, and cannot be made: File exists; make it"
    for number, brings in enumerate((True, False)):
        path = tmp_path if number == 0 else tmp_path / "other"
        lab = Lab(path, "[Opt]\nMode=ephemeral\n")
        (path / "opt").write_text("in the way by now")
        lab.make(*([lab.choice("a", "opt/x")] if brings else []))
        assert list(lab.outlook.hierarchies) == ["usr", "etc"]
        assert lab.logged == ([] if brings else [lab.outlook.nowhere["opt"]])
        assert lab.outlook.nowhere["opt"] == why.replace(str(tmp_path), str(path))


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ("usr/x opt/x", "merged"),
        ("usr/lib/extension-release.d/a usr/lib/x opt/x", "merged"),
        ("usr/lib/extension-release.d/a usr/x opt/x", "merged"),
        ("usr/lib/extension-release.d/a opt/x", "failed"),
        ("etc/extension-release.d/a opt/x", "failed"),
        ("etc/x opt/x", "merged"),
        ("opt/x", "failed"),
    ],
)
def test_who_has_nothing_else_is_left_out(lab: Lab, files: str, state: str) -> None:
    lab.outlook.nowhere["opt"] = WHY
    choice = lab.choice("a", files)
    nowhere.tell(lab.outlook, [choice])
    assert (choice.standing.state, choice.standing.reason, choice.left_out) == (state, WHY, True)
    assert "opt" not in choice.standing.hierarchies
    assert (choice.source == choose.NONE, choice.standing.layer == "") == (state == "failed", state == "failed")


def test_who_has_nothing_there_or_is_not_merged_says_nothing(lab: Lab) -> None:
    lab.outlook.nowhere["opt"] = WHY
    choices = [lab.choice("a", "usr/x"), lab.choice("b", "opt/x", choose.NONE)]
    nowhere.tell(lab.outlook, choices)
    assert [(choice.standing.reason, choice.left_out) for choice in choices] == [("", False)] * 2


def test_a_reason_that_is_there_stays(lab: Lab) -> None:
    lab.outlook.nowhere["opt"] = WHY
    choice = lab.choice("a", "usr/x opt/x", choose.LAST_GOOD, "kept as it was")
    nowhere.tell(lab.outlook, [choice])
    assert choice.standing.reason == f"kept as it was; {WHY}"


def test_what_is_merged_where_it_was_before_is_not_taken_off(lab: Lab) -> None:
    lab.outlook.nowhere["usr"] = "/usr: was /elsewhere"
    choice = lab.choice("a", "usr/x")
    nowhere.tell(lab.outlook, [choice])
    assert (choice.standing.hierarchies, choice.standing.state, choice.left_out) == (["usr"], "merged", True)


def test_a_layer_that_is_not_there_yet_is_taken_for_one_that_has_something(lab: Lab) -> None:
    lab.outlook.nowhere["opt"] = WHY
    choice = Choice("a", choose.NEW, Standing("a", "merged", "", "/m", hierarchies=["usr", "opt"], layer="/missing"))
    nowhere.tell(lab.outlook, [choice])
    assert (choice.source, choice.standing.state) == (choose.NEW, "merged")
