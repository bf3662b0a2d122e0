#  SPDX-License-Identifier: MIT
"""What is asked of a transaction, and what it comes to."""

from __future__ import annotations

import pytest
from extension_runtime.merge.goal import Goal, Order
from extension_runtime.merge.state import State


def test_an_order_is_for_real_and_for_what_changed_unless_it_says_otherwise() -> None:
    plain = Order("merge")
    assert (plain.verb, plain.dry_run, plain.always, plain.boot) == ("merge", False, False, False)
    asked = Order("refresh", dry_run=True, always=True, boot=True)
    assert (asked.verb, asked.dry_run, asked.always, asked.boot) == ("refresh", True, True, True)


def test_how_is_said_by_name_and_nothing_else_can_be_said() -> None:
    with pytest.raises(TypeError):
        Order("merge", True)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Order("merge").alway = True  # type: ignore[attr-defined]


def test_a_goal_keeps_what_it_was_made_of() -> None:
    state = State()
    goal = Goal([], [], state, True)
    assert (goal.choices, goal.wanted, goal.changed) == ([], [], True)
    assert goal.new is state
