#  SPDX-License-Identifier: MIT
"""What is asked of services at all, before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests.errors import reason_of
from extension_manifests.manifest import Manifest
from extension_runtime.layers import listing
from extension_runtime.layers.lookup import Item
from extension_runtime.react import prepare
from extension_runtime.react.actionfile import Action
from extension_runtime.react.wish import Change
from fake_systemd import layer
from injected import each_error
from react_lab import OWN, SERVICE, UNITS, Lab


def test_nothing_changed_asks_nobody(lab: Lab) -> None:
    lab.systemd.units = None  # type: ignore[assignment, method-assign]
    assert lab.calls({"e": {"bin/x": "1"}}, {"e": {"bin/x": "1"}}) == ["SWAP"]


def test_with_a_root_only_the_difference_is_told(lab: Lab, tmp_path: Path) -> None:
    change = Change("merge", new={"usr": [layer(tmp_path / "l", "e", {f"{UNITS}/a.service": SERVICE})]}, added=["e"])
    lab.systemd.units = None  # type: ignore[assignment, method-assign]
    reaction = prepare.prepare(change, {}, lab.systemd, "/elsewhere", [])
    reaction.before()
    assert reaction.describe() == []
    assert f"/usr/{UNITS}/a.service" in [item.path for item in reaction.changes]


def test_content_without_units_needs_no_reload(lab: Lab) -> None:
    assert lab.calls({}, {"e": {"bin/x": "1"}}) == ["SWAP", *OWN]


def test_units_none_leaves_units_alone(lab: Lab) -> None:
    lab.running("a.service")
    lab.manifests["e"] = Manifest("e", "/m", units="none")
    calls = lab.calls({"e": {f"{UNITS}/a.service": "1"}}, {"e": {f"{UNITS}/a.service": "2"}})
    assert calls == ["SWAP", "daemon-reload"]


def test_actions_none_runs_none(lab: Lab) -> None:
    action = Action("demo", "/a")
    action.paths, action.exec = ("/usr/**",), ("/bin/demo",)
    lab.actions = [action]
    lab.manifests["e"] = Manifest("e", "/m", actions="none")
    assert lab.calls({}, {"e": {"bin/x": "1"}}) == ["SWAP", *OWN]


def test_boot_without_units_does_not_reload(lab: Lab) -> None:
    assert lab.calls({}, {"e": {"bin/x": "1"}}, "merge", boot=True) == ["SWAP"]


@each_error
def test_a_layer_that_cannot_be_compared_whole_is_told_of(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    original = listing._scan

    def scan(path: str, found: dict[str, Item]) -> None:
        if path.endswith("bad/share"):
            raise error
        original(path, found)

    monkeypatch.setattr(listing, "_scan", scan)
    reaction = lab.react({}, {"bad": {"share/x": "1", "bin/x": "1"}, "good": {"bin/y": "1"}})
    said = f"bad: {reason_of(error)}; not all of bad could be compared, restart what uses it"
    assert reaction.notes == [said]
    assert {change.path for change in reaction.changes} >= {"/usr/bin/x", "/usr/bin/y"}
