#  SPDX-License-Identifier: MIT
"""New layers with which programs do not start are left out, and no others; what programs do is made up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from based import Based
from extension_manifests.manifest import Manifest
from extension_runtime.merge import trial
from extension_runtime.merge.choose import KEEP, LAST_GOOD, NEW, NONE, Choice
from extension_runtime.merge.state import Standing
from extension_runtime.overlay import base, stack
from extension_runtime.overlay import trial as programs
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths

PYTHON, SYSTEMCTL, SHELL = "/usr/bin/python3", "/usr/bin/systemctl", "/bin/sh"


class Lab:
    """What breaks which program: the name of a layer, or of several together."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(str(path))
        self.hierarchies = {name: Based(name, f"{path}/{name}", self.paths) for name in ("usr", "opt", "etc")}
        for program in programs.PROGRAMS:
            there = Path(self.hierarchies["usr"].base, program[0].removeprefix("/usr/"))
            there.parent.mkdir(parents=True, exist_ok=True)
            there.touch()
        self.breaks: dict[frozenset[str], str] = {}
        self.hides: dict[str, tuple[str, ...]] = {}
        self.tries: list[dict[str, list[str]]] = []
        self.open: dict[int, list[str]] = {}
        monkeypatch.setattr(stack, "build", self.build)
        monkeypatch.setattr(base, "copy_base", lambda _place: self.top([]))
        monkeypatch.setattr(programs, "failing", self.failing)

    def top(self, names: list[str]) -> int:
        fd = os.open(os.devnull, os.O_RDONLY)
        self.open[fd] = names
        return fd

    def build(self, _paths: Paths, hierarchy: Hierarchy, lowers: Sequence[str], _generation: int) -> int:
        assert all(lower.endswith(f"/{hierarchy.name}") for lower in lowers)
        return self.top([Path(lower).parent.name for lower in lowers])

    def failing(self, tops: Mapping[str, int], which: Sequence[Sequence[str]]) -> list[str]:
        self.asked = [argv[0] for argv in which]
        tried = {os.path.basename(path): self.open.pop(fd) for path, fd in tops.items()}
        for fd in tops.values():
            os.close(fd)
        self.tries.append(tried)
        there = {name for names in tried.values() for name in names}
        broken = {program for names, program in self.breaks.items() if names <= there}
        return [argv[0] for argv in which if argv[0] in broken]

    def choice(self, name: str, source: str = NEW, *hierarchies: str) -> Choice:
        layer = "" if source == NONE else f"/layers/{name}"
        stands = Standing(name, "merged", "", "/m", hierarchies=list(hierarchies or ("usr",)), layer=layer)
        return Choice(name, source, stands)

    def leave_out(self, choices: Sequence[Choice], *good: Standing) -> dict[str, str]:
        plan = SimpleNamespace(extensions=[Manifest(name, "/m", hides=globs) for name, globs in self.hides.items()])
        outlook: Any = SimpleNamespace(hierarchies=self.hierarchies, paths=self.paths, plan=plan)
        trial.leave_out_breaking(outlook, choices, {item.name: item for item in good})
        assert self.open == {}
        return {choice.name: choice.source for choice in choices}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


def test_what_works_is_tried_once_highest_first_over_all_that_programs_need(lab: Lab) -> None:
    choices = [lab.choice("a"), lab.choice("b", KEEP, "usr", "etc"), lab.choice("c"), lab.choice("o", NEW, "opt")]
    assert lab.leave_out(choices) == {"a": NEW, "b": KEEP, "c": NEW, "o": NEW}
    assert lab.tries == [{"usr": ["c", "b", "a"], "etc": ["b"]}]


@pytest.mark.parametrize(
    ("hides", "program", "source"),
    [
        ("/usr/bin/*", PYTHON, NEW),
        ("/usr/bin/systemctl", SYSTEMCTL, NEW),
        ("/usr/bin/systemctl", PYTHON, NONE),
        ("/**", SHELL, NONE),
        ("/**", "/usr/lib/systemd/systemd", NONE),
    ],
)
def test_what_this_program_has_of_the_base_may_be_missed_by_who_says_so(
    lab: Lab, hides: str, program: str, source: str
) -> None:
    lab.breaks = {frozenset("a"): program}
    lab.hides = {"a": (hides,), "gone": ("/**",)}
    assert lab.leave_out([lab.choice("a"), lab.choice("b")]) == {"a": source, "b": NEW}


def test_a_hierarchy_without_layers_is_as_its_base(lab: Lab) -> None:
    lab.leave_out([lab.choice("a", NEW, "etc")])
    assert lab.tries == [{"usr": [], "etc": ["a"]}]


def test_nothing_is_tried_where_nothing_is_new(lab: Lab) -> None:
    lab.breaks = {frozenset(): PYTHON}
    lab.leave_out(
        [lab.choice("a", KEEP), lab.choice("out", NONE), lab.choice("o", NEW, "opt"), lab.choice("b", LAST_GOOD)]
    )
    assert lab.tries == []


@pytest.mark.parametrize("bad", [{"a"}, {"d"}, {"h"}, {"b", "g"}, set("abcdefgh")])
def test_each_that_breaks_is_left_out_and_no_other(lab: Lab, bad: set[str]) -> None:
    lab.breaks = {frozenset([name]): SHELL for name in bad}
    choices = [lab.choice(name) for name in "abcdefgh"]
    assert lab.leave_out(choices) == {name: NONE if name in bad else NEW for name in "abcdefgh"}
    for choice in choices:
        assert choice.left_out is (choice.name in bad)
        if choice.name in bad:
            assert (choice.standing.state, choice.standing.layer) == ("failed", "")
            assert choice.standing.reason == (
                "/bin/sh does not start any more with this image; build it without what replaces their files"
            )


def test_several_programs_are_named(lab: Lab) -> None:
    lab.breaks = {frozenset(["a"]): SHELL, frozenset("a"): SHELL} | {frozenset(["a", "b"]): PYTHON}
    both = [lab.choice("b", KEEP), lab.choice("a")]
    assert lab.leave_out(both) == {"b": KEEP, "a": NONE}
    assert both[1].standing.reason.startswith("/bin/sh, /usr/bin/python3 do not start any more")


def test_of_two_that_break_only_together_the_newer_goes(lab: Lab) -> None:
    lab.breaks = {frozenset(["a", "z"]): PYTHON}
    assert lab.leave_out([lab.choice("a"), lab.choice("m"), lab.choice("z", KEEP)]) == {"a": NONE, "m": NEW, "z": KEEP}
    assert lab.leave_out([lab.choice("a"), lab.choice("m"), lab.choice("z")]) == {"a": NEW, "m": NEW, "z": NONE}


def test_it_falls_back_to_the_version_that_was_merged(lab: Lab) -> None:
    lab.breaks = {frozenset(["new"]): PYTHON}
    app = lab.choice("app")
    app.standing.layer = "/layers/new"
    good = lab.choice("app", KEEP).standing
    assert lab.leave_out([app, lab.choice("b")], good) == {"app": LAST_GOOD, "b": NEW}
    assert (app.standing.layer, app.left_out) == ("/layers/app", True)


def test_a_program_that_starts_without_them_neither_tells_nothing(lab: Lab) -> None:
    """A machine without it, or with one that is broken by what was merged before: nobody new did that."""
    for broken in (frozenset[str](), frozenset(["kept"])):
        lab.breaks = {broken: PYTHON, frozenset(["bad"]): SHELL}
        choices = [lab.choice("kept", KEEP), lab.choice("a"), lab.choice("bad"), lab.choice("b")]
        assert lab.leave_out(choices) == {"kept": KEEP, "a": NEW, "bad": NONE, "b": NEW}
        assert choices[2].standing.reason.startswith("/bin/sh does not start")


def test_an_overlay_that_cannot_be_built_leaves_nothing_open(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_place: str) -> int:
        raise OverlayError("no")

    monkeypatch.setattr(base, "copy_base", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OverlayError):
        lab.leave_out([lab.choice("a")])
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_hierarchy_that_this_root_has_not_is_not_tried(lab: Lab) -> None:
    del lab.hierarchies["etc"]
    lab.hierarchies["usr"] = Hierarchy("usr", "/nowhere", lab.paths)  # type: ignore[assignment]
    lab.leave_out([lab.choice("a")])
    assert lab.tries == [{}]


def test_a_program_that_the_base_has_not_is_not_tried(lab: Lab) -> None:
    """Such as systemd-executor before systemd 255."""
    usr = Path(lab.hierarchies["usr"].base)
    (usr / "bin/python3").unlink()
    (usr / "bin/python3").symlink_to("gone")
    (usr / "lib/systemd/systemd-executor").unlink()
    lab.leave_out([lab.choice("a")])
    assert lab.asked == [argv[0] for argv in programs.PROGRAMS if not argv[0].endswith("executor")]
    del lab.hierarchies["usr"]
    lab.leave_out([lab.choice("a", NEW, "etc")])
    assert lab.asked == [argv[0] for argv in programs.PROGRAMS]
