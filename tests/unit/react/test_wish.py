#  SPDX-License-Identifier: MIT
"""What the machine runs, and the words in which a change is settled."""

from __future__ import annotations

import pytest
from extension_runtime.pid1.systemctl import Unit
from extension_runtime.react.wish import RESTART, Change, Machine, Wish


def machine(jobs: dict[str, tuple[str, str]] | None = None, **states: str) -> Machine:
    names = {name.replace("__", "@").replace("_", "."): state for name, state in states.items()}
    return Machine({name: Unit(name, "loaded", state, "x") for name, state in names.items()}, jobs or {}, {})


@pytest.mark.parametrize(
    ("state", "running"),
    [
        ("active", True),
        ("reloading", True),
        ("activating", True),
        ("refreshing", True),
        ("maintenance", True),
        ("inactive", False),
        ("failed", False),
        ("deactivating", False),
    ],
)
def test_running_is_active_or_on_its_way(state: str, running: bool) -> None:
    assert machine(a_service=state).running("a.service") is running
    assert machine(a_service=state).due("a.service") is running
    assert not machine(a_service=state).running("b.service")


@pytest.mark.parametrize(
    ("job", "due"),
    [("start", True), ("restart", True), ("verify-active", True), ("stop", False), ("reload", False), ("nop", False)],
)
def test_due_is_also_what_has_a_job_to_become_active(job: str, due: bool) -> None:
    assert machine({"a.target": (job, "waiting")}).due("a.target") is due


def test_a_template_is_for_its_running_instances_and_any_other_file_for_itself() -> None:
    found = machine(x__2_service="active", x__1_service="active", x__3_service="failed", y__1_service="active")
    assert found.instances("x@.service") == ["x@1.service", "x@2.service"]
    assert found.instances("x@3.service") == ["x@3.service"]
    assert found.instances("gone.service") == ["gone.service"]
    assert found.instances("z@.service") == []


def test_a_wish_reads_like_one() -> None:
    wish = Wish(RESTART, "a.service", "its unit file changed")
    assert repr(wish) == "Wish(restart a.service: its unit file changed)"
    assert wish.extension == ""


def test_a_change_of_nothing() -> None:
    change = Change("merge")
    assert (change.verb, change.boot) == ("merge", False)
    assert (change.old, change.new, change.bases, change.release) == ({}, {}, {}, {})
    assert (change.added, change.changed, change.removed) == ((), (), ())


def test_names_of_a_change_are_not_those_of_the_caller_any_more() -> None:
    names = ["a"]
    change = Change("merge", added=names)
    names.append("b")
    assert change.added == ("a",)
