#  SPDX-License-Identifier: MIT
"""The steps that concern services: before the swap, after it, and back; whether a failure takes all back."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_manifests.load import Plan
from extension_manifests.manifest import Manifest
from extension_manifests.settings import Settings
from extension_runtime.react.reaction import Reaction
from extension_runtime.react.steps import Bring, HealthError, Stop, settle_sec
from extension_runtime.react.wish import Change, Machine
from fake_systemd import FakeSystemd
from react_lab import SERVICE, UNITS, WANTS, Files, Lab

FAILED = {"LoadState": "loaded", "ActiveState": "failed", "Result": "signal"}


def changed(lab: Lab) -> Reaction:
    """A service of an extension is replaced, one goes and one comes."""
    lab.running("a.service", "gone.service")
    old: Files = {f"{UNITS}/a.service": "1", f"{UNITS}/gone.service": SERVICE}
    new: Files = {f"{UNITS}/a.service": "2", f"{UNITS}/n.service": SERVICE, f"{WANTS}/n.service": "->../n.service"}
    return lab.react({"e": old}, {"e": new})


def show(lab: Lab, **states: dict[str, str]) -> None:
    good = {"LoadState": "loaded", "ActiveState": "active"}
    lab.systemd.shown = [
        {unit: states.get(unit.partition(".")[0], good) for unit in ("a.service", "n.service", "gone.service")}
    ]


def test_steps_say_what_they_do_and_wait(lab: Lab) -> None:
    reaction = changed(lab)
    steps = [Stop(reaction), Bring(reaction, 90, 0, True)]
    assert [(step.name, step.text, step.waits) for step in steps] == [
        ("stop", "stop the units that go", True),
        ("services", "bring services up to date", True),
    ]


def test_what_goes_is_stopped_before_and_brought_back_in_the_end(lab: Lab) -> None:
    stop = Stop(changed(lab))
    stop.do()
    assert lab.systemd.calls == ["stop --wait gone.service"]
    show(lab)
    lab.systemd.calls.clear()
    stop.undo()
    assert lab.systemd.calls == ["start gone.service"]


def test_services_are_brought_up_to_date(lab: Lab) -> None:
    show(lab)
    Bring(changed(lab), 90, 0, True).do()
    assert lab.systemd.calls == ["daemon-reload", "start n.service", "try-restart a.service"]


def test_a_service_that_fails_takes_the_change_back(lab: Lab) -> None:
    reaction = changed(lab)
    show(lab, a=FAILED)
    with pytest.raises(HealthError) as raised:
        Bring(reaction, 90, 0, True).do()
    assert str(raised.value) == "a.service: failed (signal)"
    assert raised.value.outcome == "rolled-back"
    assert isinstance(raised.value, ExtensionError)
    # While the new files are there: what came with them is stopped.
    assert lab.systemd.calls[-1] == "stop --wait n.service"


def test_several_are_all_told(lab: Lab) -> None:
    reaction = changed(lab)
    show(lab, a=FAILED, n=FAILED)
    with pytest.raises(HealthError, match=r"^a\.service: failed \(signal\); n\.service: failed \(signal\)$"):
        Bring(reaction, 90, 0, True).do()


def test_without_rollback_it_is_a_problem_and_no_more(lab: Lab) -> None:
    reaction = changed(lab)
    show(lab, a=FAILED)
    Bring(reaction, 90, 0, False).do()
    assert reaction.outcome.problems == ["a.service: failed (signal)"]
    assert "stop --wait n.service" not in lab.systemd.calls


@pytest.mark.parametrize(
    ("added", "altered", "removed", "seconds"),
    [(("a",), (), (), 2.0), ((), ("a", "b"), (), 9.0), ((), (), ("b",), 0.0), ((), (), (), 0.0)],
)
def test_units_are_watched_as_long_as_the_most_careful_of_what_changed_wants(
    added: tuple[str, ...], altered: tuple[str, ...], removed: tuple[str, ...], seconds: float
) -> None:
    change = Change("refresh", added=added, changed=altered, removed=removed)
    manifests = (Manifest("a", "/m", health_sec=2.0), Manifest("b", "/m", health_sec=9.0))
    plan = Plan(manifests, {}, {}, Settings(), [])
    assert settle_sec(plan, Reaction(change, [], FakeSystemd(), Machine({}, {}, {}), {})) == seconds


def test_a_machine_without_units_has_no_services(tmp_path: Path) -> None:
    reaction = Lab(tmp_path).react({}, {"e": {"bin/x": "1"}})
    Bring(reaction, 90, 5, True).do()
    assert reaction.outcome.problems == []
