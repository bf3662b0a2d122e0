#  SPDX-License-Identifier: MIT
"""The side of the running machine, as far as it only asks PID 1 and decides: what is attached, renewed, stale, told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from extension_manifests import load
from extension_manifests.errors import reason_of
from extension_manifests.load import Plan
from extension_manifests.manifest import Manifest
from extension_manifests.settings import Settings
from extension_runtime.image import attach as images
from extension_runtime.image import record
from extension_runtime.image.record import Record
from extension_runtime.kernel.mountinfo import Mount
from extension_runtime.merge import change, live, trial
from extension_runtime.merge.goal import Goal, Order
from extension_runtime.merge.live import Live
from extension_runtime.merge.mountunits import MountUnits
from extension_runtime.merge.outlook import Outlook
from extension_runtime.merge.state import Stale, State
from extension_runtime.merge.wanted import Wanted
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths
from extension_runtime.pid1 import journal
from extension_runtime.pid1.commands import CommandError
from extension_runtime.react.reaction import Reaction
from extension_runtime.react.wish import Change, Machine
from extension_runtime.stale import swaps
from extension_runtime.stale.search import StaleView
from fake_systemd import FakeSystemd
from injected import each_error
from systemctl_log import SystemctlLog

ACTIVE = {"LoadState": "loaded", "ActiveState": "active", "Result": "success", "WantedBy": "extensions.target"}
INACTIVE = {**ACTIVE, "ActiveState": "inactive"}


class Lab:
    """The side, with a systemctl that is written down, on folders of the test."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (path / "run/extensionctl").mkdir(parents=True)
        self.paths = Paths(str(path))
        self.said: list[str] = []
        self.logged: list[str] = []
        self.systemctl = SystemctlLog()
        self.systemctl.shown["extensions.target"] = {"ActiveState": "active"}
        monkeypatch.setattr(live, "Systemd", lambda: self.systemctl.systemd)
        self.side = Live(self.paths, self.said, self.logged.append)

    def unit(self, name: str, properties: dict[str, str]) -> Manifest:
        self.systemctl.shown[f"run-extension-{name}.mount"] = properties
        return Manifest(name, f"/etc/extensions.d/{name}.extension")

    def outlook(self, *manifests: Manifest) -> Outlook:
        plan = Plan(manifests, {}, {}, Settings(), []) if manifests else load.load(self.paths.root)
        return Outlook(self.paths, State(), plan, {}, set())

    def reacted(self, monkeypatch: pytest.MonkeyPatch, found: list[StaleView], *changed: str) -> None:
        """After a change of extensions that left these stale views behind."""
        reaction = Reaction(Change("refresh", changed=changed), [], FakeSystemd(), Machine({}, {}, {}), {})
        monkeypatch.setattr(self.side, "_reaction", reaction)
        monkeypatch.setattr(swaps, "find", lambda _run: found)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


def test_what_pid_1_holds_back_has_no_record_but_a_reason(lab: Lab) -> None:
    for name in ("tried", "held"):
        record.write(lab.paths.attached, Record(name, "failed", "is truncated"))
    manifests = [lab.unit("tried", {**ACTIVE, "ActiveState": "failed"}), lab.unit("held", {"LoadState": "not-found"})]
    found = lab.side.candidates(manifests, False)
    assert [(item.manifest.name, item.record and item.record.reason, item.held_back) for item in found] == [
        ("tried", "is truncated", ""),
        ("held", None, "PID 1 does not know its unit run-extension-held.mount yet; run systemctl daemon-reload"),
    ]


def test_active_units_are_renewed_and_others_that_are_wanted_started(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "is_current", lambda _root, manifest, _known, _insisted: manifest.name == "fresh")
    manifests = [
        lab.unit("fresh", ACTIVE),
        lab.unit("old", ACTIVE),
        lab.unit("new", INACTIVE),
        lab.unit("unwanted", {**INACTIVE, "WantedBy": ""}),
        lab.unit("unknown", {**INACTIVE, "LoadState": "not-found"}),
    ]
    assert [step.text for step in lab.side.attach_steps(manifests, False)] == [
        "attach what is new of old",
        "start the mounts of new",
    ]
    assert [step.text for step in lab.side.attach_steps(manifests, True)] == [
        "attach what is new of fresh, old",
        "start the mounts of new",
    ]
    assert list(lab.side.attach_steps(manifests[:1], False)) == []


def test_every_hierarchy_needs_its_base(lab: Lab) -> None:
    assert lab.side.needs_base(Wanted("opt", "auto", [], "", False, False))


def test_a_dry_run_tells_the_steps_that_concern_services(lab: Lab) -> None:
    outlook, order, goal = lab.outlook(), Order("refresh", dry_run=True), Goal([], [], State(), True)
    steps = [*lab.side.before_swap(outlook, order, goal, []), *lab.side.after_swap(outlook), *lab.side.settle(outlook)]
    assert [step.text for step in steps] == [
        "watch the mount namespaces of services",
        "stop the units that go",
        "bring the mount namespaces of services up to date",
        "bring services up to date",
    ]


def test_images_are_taken_off_through_their_units(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    detached: list[str] = []
    monkeypatch.setattr(images, "detach", lambda _paths, name: detached.append(name))
    lab.side.detach([])
    assert lab.systemctl.calls == []
    lab.side.detach(["a"])
    assert lab.systemctl.calls == ["stop -- run-extension-a.mount", "reset-failed -- run-extension-a.mount"]
    assert detached == ["a"]


def test_without_a_swap_and_at_boot_who_was_stale_still_is(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    known = [Stale("a.service", "x")]
    assert lab.side.stale_units(lab.outlook(), Order("refresh"), known) is known
    lab.reacted(monkeypatch, [StaleView("b.service", "y", 1)])
    assert lab.side.stale_units(lab.outlook(), Order("merge", boot=True), known) is known
    assert lab.side.stale_units(lab.outlook(), Order("merge"), known) == [Stale("b.service", "y")]


@pytest.mark.parametrize(("stale", "changed", "restarts"), [
    ("restart", "a", True), ("report", "a", False), ("restart", "another", False),
])  # fmt: skip
def test_who_is_stale_is_restarted_where_a_changed_extension_wants_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, stale: str, changed: str, restarts: bool
) -> None:
    restarted: list[list[StaleView]] = []

    def restart(found: list[StaleView], _systemd: object) -> list[StaleView]:
        restarted.append(found)
        return found[1:]

    monkeypatch.setattr(swaps, "restart", restart)
    views = [StaleView("a.service", "x", 1), StaleView("user@0.service", "y", 2)]
    lab.reacted(monkeypatch, views, changed)
    found = lab.side.stale_units(lab.outlook(Manifest("a", "/m", stale=stale)), Order("refresh"), [])
    assert bool(restarted) is restarts
    assert [item.unit for item in found] == [view.unit for view in (views[1:] if restarts else views)]


def test_a_restart_that_fails_is_logged_and_all_are_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_found: object, _systemd: object) -> list[StaleView]:
        raise CommandError("systemctl try-restart: exit status 1")

    monkeypatch.setattr(swaps, "restart", fail)
    lab.reacted(monkeypatch, [StaleView("a.service", "x", 1)], "a")
    found = lab.side.stale_units(lab.outlook(Manifest("a", "/m", stale="restart")), Order("refresh"), [])
    assert found == [Stale("a.service", "x")]
    assert lab.logged == ["units that use old content could not be restarted: systemctl try-restart: exit status 1"]


def test_only_what_was_taken_back_is_told_as_that(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(journal, "send", lambda *told, **_fields: sent.append(told[:2]))
    lab.side.tell_failed(Order("refresh"), State(), "a.service: failed", "failed")
    assert sent == []
    lab.side.tell_failed(Order("refresh"), State(), "a.service: failed", "rolled-back")
    lab.side.tell(Order("refresh"), Goal([], [], State(), True), State(), "refresh done")
    assert sent == [("refresh taken back: a.service: failed", "rolled-back"), ("refresh done", "refreshed")]


def test_services_keep_their_anchors(lab: Lab) -> None:
    outlook = lab.outlook()
    Path(lab.paths.base, "usr").mkdir(parents=True)
    lab.side.leave(outlook, State())
    lab.side.abandon(outlook)
    assert Path(lab.paths.base, "usr").is_dir()


def test_what_a_swap_takes_off_and_what_it_covers(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    merged, unmerged, first = (Hierarchy(name, str(tmp_path), paths) for name in ("usr", "opt", "etc"))
    merged.found = [Mount("22 21 0:45 / /usr rw - overlay extensions:usr:4 ro")]
    unmerged.found = [Mount("23 21 8:2 /opt /opt rw - ext4 /dev/sda ro")]
    here = swaps.device(str(tmp_path))
    assert live._replaced([merged]) == ({"0:45": str(tmp_path)}, {})
    assert live._replaced([merged, unmerged, first]) == ({"0:45": str(tmp_path)}, {here: ""})


@each_error
def test_an_extension_over_which_something_is_raised_has_failed_and_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    original = MountUnits.held_back

    def held_back(self: MountUnits, manifest: Manifest, booting: bool) -> str:
        if manifest.name == "bad":
            raise error
        return original(self, manifest, booting)

    monkeypatch.setattr(MountUnits, "held_back", held_back)
    found = lab.side.candidates([lab.unit("bad", ACTIVE), lab.unit("held", {"LoadState": "not-found"})], False)
    assert [(item.manifest.name, bool(item.held_back)) for item in found] == [("bad", False), ("held", True)]
    assert found[0].record is not None
    assert found[0].record.state == "failed"
    assert found[0].record.reason.endswith(reason_of(error))


@each_error
def test_a_mistake_over_services_keeps_nothing_from_being_merged(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def prepare(*_arguments: object) -> Reaction:
        raise error

    monkeypatch.setattr(change, "prepare", prepare)
    goal = Goal([], [], State(), True)
    steps = [*lab.side.before_swap(lab.outlook(), Order("merge", boot=True), goal, [])]
    assert [step.name for step in steps] == ["watch"]
    assert lab.said == [f"services are not brought up to date: {reason_of(error)}; restart what changed"]
    monkeypatch.setattr(change, "prepare", lambda *_arguments: (_ for _ in ()).throw(CommandError("no PID 1")))
    with pytest.raises(CommandError):
        list(lab.side.before_swap(lab.outlook(), Order("merge"), goal, []))


@pytest.mark.parametrize(
    ("boot", "risky", "tried"), [(True, False, True), (False, True, True), (True, True, True), (False, False, False)]
)
def test_programs_are_tried_at_every_boot_and_when_they_may_find_something_else(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, boot: bool, risky: bool, tried: bool
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(trial, "leave_out_breaking", lambda *arguments: calls.append(arguments))
    outlook = lab.outlook()
    lab.side.leave_out_breaking(outlook, Order("merge", boot=boot), [], {}, risky)
    assert calls == ([(outlook, [], {})] if tried else [])


@each_error
def test_a_trial_that_cannot_be_made_is_told_and_stops_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(trial, "leave_out_breaking", fail)
    lab.side.leave_out_breaking(lab.outlook(), Order("merge", boot=True), [], {}, False)
    assert lab.said == [f"programs could not be tried on what is to be merged: {reason_of(error)}"]
