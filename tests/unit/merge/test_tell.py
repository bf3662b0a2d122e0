#  SPDX-License-Identifier: MIT
"""What the journal is told of a verb: what was done, left out, failed and is stale, with the fields that say which."""

from __future__ import annotations

from typing import Any

import pytest
from extension_runtime import log
from extension_runtime.merge import tell
from extension_runtime.merge.choose import LAST_GOOD, NEW, Choice
from extension_runtime.merge.state import Merged, Stale, Standing, State
from extension_runtime.pid1 import journal
from extension_runtime.react.reaction import Reaction
from extension_runtime.react.wish import Change, Machine
from fake_systemd import FakeSystemd

Sent = list[tuple[str, str, int, dict[str, Any]]]
STATE = State(Merged(4, 0, {}, {}), stale=[Stale("web.service", "maps /usr/lib/x")])


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    found: Sent = []
    monkeypatch.setattr(
        journal, "send", lambda text, message, priority, **fields: found.append((text, message, priority, fields))
    )
    return found


@pytest.mark.parametrize(
    ("verb", "message", "reason"),
    [
        ("merge", "merged", ""),
        ("refresh", "refreshed", ""),
        ("unmerge", "unmerged", ""),
        ("rollback", "rolled-back", "asked for by hand"),
    ],
)
def test_what_was_done(sent: Sent, verb: str, message: str, reason: str) -> None:
    tell.done(f"{verb} done", verb, State(Merged(4, 0, {}, {})), [], None)
    assert sent == [(f"{verb} done", message, log.NOTICE, {"VERB": verb, "GENERATION": 4, "REASON": reason})]
    assert message in journal.MESSAGES


def test_who_was_left_out_and_nobody_else(sent: Sent) -> None:
    choices = [
        Choice("good", NEW, Standing("good", "merged", "", "/m")),
        Choice("old", LAST_GOOD, Standing("old", "merged", "kept", "/m"), left_out=True),
    ]
    tell.done("", "refresh", STATE, choices, None)
    assert sent == [("old: kept", "left-out", log.WARNING, {"EXTENSION": "old", "REASON": "kept", "GENERATION": 4})]


def test_stale_units_are_told_of_when_something_was_done(sent: Sent) -> None:
    tell.done("refresh done", "refresh", STATE, [], None)
    assert sent[1:] == [
        (
            "web.service still uses old content: maps /usr/lib/x",
            "stale-view",
            log.NOTICE,
            {"UNIT": "web.service", "REASON": "maps /usr/lib/x", "GENERATION": 4},
        )
    ]


def test_actions_that_failed_with_what_they_said(sent: Sent) -> None:
    reaction = Reaction(Change("refresh"), [], FakeSystemd(), Machine({}, {}, {}), {})
    reaction.outcome.failed_actions = ["ldconfig", "silent"]
    reaction.outcome.problems = ["other: no", "ldconfig: ldconfig: exit status 1"]
    tell.done("", "refresh", State(), [], reaction)
    said = "ldconfig: ldconfig: exit status 1"
    assert sent == [
        (f"action {said}", "action-failed", log.WARNING, {"ACTION": "ldconfig", "REASON": said}),
        ("action silent", "action-failed", log.WARNING, {"ACTION": "silent", "REASON": ""}),
    ]


def test_what_was_taken_back_names_the_unit(sent: Sent) -> None:
    reason = "web.service: failed (exit status 3): no such port"
    tell.rolled_back("refresh", STATE, reason)
    fields = {"VERB": "refresh", "UNIT": "web.service", "REASON": reason, "GENERATION": 4}
    assert sent == [(f"refresh taken back: {reason}", "rolled-back", log.ERROR, fields)]
