#  SPDX-License-Identifier: MIT
"""What manifests and release files ask of units by name."""

from __future__ import annotations

import pytest
from extension_manifests.manifest import Manifest
from extension_runtime.pid1.systemctl import Unit
from extension_runtime.react import requested
from extension_runtime.react.actionfile import Action
from extension_runtime.react.trigger import Triggered
from extension_runtime.react.wish import RELOAD, RESTART, START, STOP, Change, Machine, Wish
from react_lab import Lab


def test_manifests_and_release_files(lab: Lab) -> None:
    lab.running("r.service", "rr.service", "s.service", "f.service", "both.service", "g.service")
    lab.manifests["e"] = Manifest(
        "e", "/m", start=("n.service",), restart=("r.service", "idle.service", "both.service"),
        reload_or_restart=("rr.service", "both.service"), stop=("s.service",),
    )  # fmt: skip
    lab.release["e"] = {
        "EXTENSION_RELOAD_MANAGER": "1",
        "EXTENSION_RESTART_UNITS": "f.service",
        "EXTENSION_RELOAD_OR_RESTART_UNITS": "g.service ../wrong",
    }
    calls = lab.calls({"e": {"bin/x": "1"}}, {"e": {"bin/x": "2"}})
    assert calls == [
        "SWAP",
        "daemon-reload",
        "start n.service",
        "try-restart both.service f.service r.service",
        "try-reload-or-restart g.service rr.service",
    ]


def test_a_removed_extension_stops_what_its_manifest_names(lab: Lab) -> None:
    lab.running("s.service", "r.service")
    lab.manifests["e"] = Manifest("e", "/m", stop=("s.service",), restart=("r.service",), start=("n.service",))
    calls = lab.calls({"e": {"bin/x": "1"}}, {})
    assert calls == ["stop --wait s.service", "SWAP", "try-restart r.service", "stop extension@e.service"]


def test_units_that_take_reloads_over_from_the_extensions_own_unit(lab: Lab) -> None:
    lab.running("a.service")
    lab.systemd.properties["extension@e.service"] = {"PropagatesReloadTo": "a.service idle.service"}
    assert lab.calls({"e": {"bin/x": "1"}}, {"e": {"bin/x": "2"}}) == ["SWAP", "try-reload-or-restart a.service"]


def test_an_extension_that_goes_propagates_nothing() -> None:
    machine = Machine(
        {"a.service": Unit("a.service", "loaded", "active", "running")},
        {},
        {"extension@e.service": {"PropagatesReloadTo": "a.service"}},
    )
    assert requested.wishes(Change("unmerge", removed=["e"]), {}, machine) == []
    [wish] = requested.wishes(Change("refresh", changed=["e"]), {}, machine)
    assert (wish.verb, wish.unit, wish.why) == (
        RELOAD,
        "a.service",
        "extension@e.service propagates reloads to it",
    )


@pytest.mark.parametrize(
    ("field", "reload"), [("1", True), ("yes", True), ("0", False), ("", False), ("perhaps", False)]
)
@pytest.mark.parametrize("how", ["added", "changed", "removed"])
def test_a_release_file_asks_for_a_reload(field: str, reload: bool, how: str) -> None:
    release = {"e": {"EXTENSION_RELOAD_MANAGER": field}, "other": {"EXTENSION_RELOAD_MANAGER": "1"}}
    change = Change("refresh", release=release, **{how: ["e"]})  # type: ignore[arg-type]
    assert requested.reload_manager(change) is reload


def test_a_start_is_for_what_stays_and_a_stop_for_what_goes() -> None:
    manifest = Manifest("e", "/m", start=("a.service",), stop=("b.service",), restart=("c.service",))
    assert [(wish.verb, wish.why) for wish in requested.of_manifest(manifest, gone=False)] == [
        (START, "Start= of e"),
        (RESTART, "Restart= of e"),
    ]
    assert [(wish.verb, wish.why) for wish in requested.of_manifest(manifest, gone=True)] == [
        (STOP, "Stop= of e"),
        (RESTART, "Restart= of e"),
    ]


def test_actions_name_units_too() -> None:
    action = Action("demo", "/d")
    action.start, action.restart, action.reload = ("a.service",), ("b.service",), ("c.service", "d.service")
    found = requested.by_actions([Triggered(action, ["/usr/x"])])
    assert [(wish.verb, wish.unit) for wish in found] == [
        (START, "a.service"),
        (RESTART, "b.service"),
        (RELOAD, "c.service"),
        (RELOAD, "d.service"),
    ]
    assert {(wish.why, wish.extension) for wish in found} == {("action demo", "")}


@pytest.mark.parametrize(
    ("wished", "state", "settled"),
    [
        ((RELOAD, RESTART, STOP), "active", STOP),
        ((STOP, RESTART), "active", STOP),
        ((RESTART, RELOAD), "active", RESTART),
        ((START, RELOAD), "active", RELOAD),
        ((START,), "active", ""),
        ((START, RESTART), "inactive", START),
        ((STOP, RESTART, RELOAD), "inactive", ""),
        ((RESTART,), "failed", START),
        ((RELOAD,), "failed", START),
        ((START,), "failed", START),
        ((STOP,), "failed", ""),
        ((RESTART,), "", ""),
        ((START,), "", START),
    ],
)
def test_one_wish_for_each_unit(wished: tuple[str, ...], state: str, settled: str) -> None:
    units = {"a.service": Unit("a.service", "loaded", state, "x")} if state else {}
    found = requested.settle([Wish(verb, "a.service", verb) for verb in wished], Machine(units, {}, {}))
    assert [wish.verb for wish in found] == ([settled] if settled else [])


def test_a_start_of_what_has_failed_says_so_and_the_first_of_equal_wishes_counts() -> None:
    machine = Machine({"a.service": Unit("a.service", "loaded", "failed", "failed")}, {}, {})
    [wish] = requested.settle([Wish(RESTART, "a.service", "one", "e"), Wish(RELOAD, "a.service", "two", "f")], machine)
    assert (wish.why, wish.extension) == ("it has failed; one", "e")
