#  SPDX-License-Identifier: MIT
"""After a verb on the running machine: who still uses what was replaced, and what the journal is told of it all."""

from __future__ import annotations

from extension_runtime.pid1 import journal

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from extension_runtime.merge.choose import Choice
    from extension_runtime.react.prepare import Reaction


DONE = {"merge": "merged", "refresh": "refreshed", "unmerge": "unmerged", "rollback": "rolled-back"}


def tell_done(
    done: str, verb: str, state: Mapping[str, Any], choices: Iterable[Choice], reaction: Reaction | None
) -> None:
    """Tell the journal what was `done` ("" for nothing), each extension left out, failed action and stale view."""
    generation = state["generation"]
    if done:
        reason = "asked for by hand" if verb == "rollback" else ""
        journal.send(done, DONE[verb], journal.NOTICE, VERB=verb, GENERATION=generation, REASON=reason)
    for choice in choices:
        if choice.left_out:
            reason = choice.entry["reason"]
            text = f"{choice.name}: {reason}"
            journal.send(text, "left-out", journal.WARNING, EXTENSION=choice.name, REASON=reason, GENERATION=generation)
    for action in reaction.outcome.failed_actions if reaction else ():
        reason = (
            next((line for line in reaction.outcome.problems if line.startswith(f"{action}:")), "") if reaction else ""
        )
        journal.send(f"action {reason or action}", "action-failed", journal.WARNING, ACTION=action, REASON=reason)
    for view in state["stale"] if done else ():
        text = f"{view['unit']} still uses old content: {view['reason']}"
        journal.send(
            text, "stale-view", journal.NOTICE, UNIT=view["unit"], REASON=view["reason"], GENERATION=generation
        )


def tell_rolled_back(verb: str, state: Mapping[str, Any], reason: str) -> None:
    """Tell the journal that a change was taken back for `reason`, which begins with the unit's name."""
    unit = reason.partition(":")[0]
    text = f"{verb} taken back: {reason}"
    fields = {"VERB": verb, "UNIT": unit, "REASON": reason, "GENERATION": state["generation"]}
    journal.send(text, "rolled-back", journal.ERROR, **fields)
