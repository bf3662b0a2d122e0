#  SPDX-License-Identifier: MIT
"""The side of another root: nobody is asked or told, and an unmerge leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests import load
from extension_manifests.manifest import Manifest
from extension_runtime.image import attach as images
from extension_runtime.image import record
from extension_runtime.image.record import Record
from extension_runtime.merge import elsewhere, statefile
from extension_runtime.merge.elsewhere import Elsewhere
from extension_runtime.merge.goal import Goal, Order
from extension_runtime.merge.outlook import Outlook
from extension_runtime.merge.state import Merged, Stale, Standing, State
from extension_runtime.merge.wanted import Wanted
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths


class Side:
    """A root without mounts, and its side; `detached` are the extensions whose images were taken off."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (path / "run/extensionctl").mkdir(parents=True, mode=0o700)
        self.paths = Paths(str(path))
        self.logged: list[str] = []
        self.detached: list[str] = []
        self.side = Elsewhere(self.paths, self.logged.append)
        monkeypatch.setattr(images, "detach", lambda _paths, name: self.detached.append(name))

    def outlook(self, state: State) -> Outlook:
        return Outlook(self.paths, state, load.load(self.paths.root), {}, set())

    def failed(self, name: str) -> None:
        record.write(self.paths.attached, Record(name, "failed", "is truncated"))


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    return Side(tmp_path, monkeypatch)


def test_candidates_are_what_is_recorded_and_nobody_holds_one_back(one: Side) -> None:
    one.failed("bad")
    # What is written down as attached, and is not mounted, is not attached.
    record.write(one.paths.attached, Record("gone", "attached", identity="i"))
    found = one.side.candidates([Manifest(name, "/m") for name in ("bad", "gone", "new")], False)
    assert [(item.manifest.name, item.record and item.record.reason, item.held_back) for item in found] == [
        ("bad", "is truncated", ""),
        ("gone", None, ""),
        ("new", None, ""),
    ]


def test_what_failed_or_was_never_attached_is_attached_in_order(one: Side) -> None:
    one.failed("bad")
    manifests = [Manifest("new", "/m"), Manifest("bad", "/m", image="/x.raw")]
    assert [step.text for step in one.side.attach_steps(manifests, False)] == ["attach new: new", "attach bad: /x.raw"]


def test_always_attaches_also_what_is_current(one: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "is_current", lambda _root, manifest, _known, _insisted: manifest.name == "current")
    manifests = [Manifest("current", "/m"), Manifest("new", "/m")]
    assert [step.name for step in one.side.attach_steps(manifests, False)] == ["attach:new"]
    assert [step.name for step in one.side.attach_steps(manifests, True)] == ["attach:current", "attach:new"]


@pytest.mark.parametrize("merged", [True, False])
def test_only_what_is_merged_needs_its_base(one: Side, merged: bool) -> None:
    assert one.side.needs_base(Wanted("usr", "auto", [], "", False, merged)) is merged


def test_there_are_no_services(one: Side) -> None:
    outlook, order, goal = one.outlook(State()), Order("merge"), Goal([], [], State(), True)
    assert list(one.side.before_swap(outlook, order, goal, [])) == []
    assert list(one.side.after_swap(outlook)) == []
    assert list(one.side.settle(outlook)) == []
    known = [Stale("a.service", "x")]
    assert one.side.stale_units(outlook, order, known) is known
    one.side.tell(order, goal, State(), "merge done")
    one.side.tell_failed(order, State(), "x", "failed")
    assert one.logged == []


def test_an_unmerge_leaves_no_image_and_nothing_to_go_back_to(one: Side) -> None:
    one.failed("b")
    one.failed("a")
    Path(one.paths.base, "usr").mkdir(parents=True)
    state = State(Merged(2, 0, {}, {}), Merged(1, 0, {}, {}))
    one.side.leave(one.outlook(state), state)
    assert statefile.read(one.paths) == State(Merged(2, 0, {}, {}))
    assert one.detached == ["a", "b"]
    assert not Path(one.paths.base).exists()


def test_a_first_merge_that_failed_leaves_no_folders(one: Side) -> None:
    Path(one.paths.base, "usr").mkdir(parents=True)
    one.side.abandon(one.outlook(State(Merged(1, 0, {}, {"a": Standing("a", "merged", "", "/m", layer="/l")}))))
    assert Path(one.paths.base, "usr").is_dir()
    one.side.abandon(one.outlook(State()))
    assert not Path(one.paths.base).exists()


def test_what_cannot_be_taken_off_is_logged_and_raises_nothing(one: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_paths: Paths, _found: object) -> None:
        raise OverlayError("/usr: something is mounted over the extensions")

    monkeypatch.setattr(elsewhere, "dismantle", fail)
    one.side.abandon(one.outlook(State()))
    assert one.logged == ["/usr: something is mounted over the extensions"]
