#  SPDX-License-Identifier: MIT
"""What the journal is told of a verb on the running machine."""

from __future__ import annotations

from extension_runtime import log
from extension_runtime.pid1 import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.state import State
    from extension_runtime.react.reaction import Reaction


DONE = {"merge": "merged", "refresh": "refreshed", "unmerge": "unmerged", "rollback": "rolled-back"}


def done(text: str, verb: str, state: State, choices: Iterable[Choice], reaction: Reaction | None) -> None:
    """Tell the journal what was done ("" for nothing), each extension left out, failed action and stale view."""
    generation = state.now.generation
    if text:
        reason = "asked for by hand" if verb == "rollback" else ""
        journal.send(text, DONE[verb], log.NOTICE, VERB=verb, GENERATION=generation, REASON=reason)
    for choice in choices:
        if choice.left_out:
            reason = choice.standing.reason
            fields = {"EXTENSION": choice.name, "REASON": reason, "GENERATION": generation}
            journal.send(f"{choice.name}: {reason}", "left-out", log.WARNING, **fields)
    for action in reaction.outcome.failed_actions if reaction else ():
        reason = (
            next((line for line in reaction.outcome.problems if line.startswith(f"{action}:")), "") if reaction else ""
        )
        journal.send(f"action {reason or action}", "action-failed", log.WARNING, ACTION=action, REASON=reason)
    for view in state.stale if text else ():
        fields = {"UNIT": view.unit, "REASON": view.reason, "GENERATION": generation}
        journal.send(f"{view.unit} still uses old content: {view.reason}", "stale-view", log.NOTICE, **fields)


def rolled_back(verb: str, state: State, reason: str) -> None:
    """Tell the journal that a change was taken back for `reason`, which begins with the unit's name."""
    unit = reason.partition(":")[0]
    fields = {"VERB": verb, "UNIT": unit, "REASON": reason, "GENERATION": state.now.generation}
    journal.send(f"{verb} taken back: {reason}", "rolled-back", log.ERROR, **fields)
