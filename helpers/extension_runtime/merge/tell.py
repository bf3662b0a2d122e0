#  SPDX-License-Identifier: MIT
"""After a verb on the running machine: who still uses what was replaced, and what the journal is told of it all."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError

from extension_runtime.overlay import top
from extension_runtime.pid1 import journal
from extension_runtime.pid1.systemctl import Systemd
from extension_runtime.stale import swaps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from extension_manifests.load import Plan

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.steps import Place
    from extension_runtime.react.prepare import Reaction

DONE = {"merge": "merged", "refresh": "refreshed", "unmerge": "unmerged", "rollback": "rolled-back"}


def replaced(places: Iterable[Place]) -> tuple[dict[str, str], dict[str, str]]:
    """Before the swap of `places`: the devices of the overlays that go, and of the file systems that get covered."""
    swapped, covered = {}, {}
    for place in places:
        if place.found and top.generation_of(place.found[-1]) is not None:
            swapped[place.found[-1].dev] = place.target
        else:
            covered[swaps.device(place.target)] = ""
    return swapped, covered


def look_for_stale_views(
    run: str,
    plan: Plan,
    reaction: Reaction,
    gone: tuple[dict[str, str], dict[str, str]],
    log: Callable[[str], None],
) -> list[dict[str, str]]:
    """Remember what was replaced in the folder `run`, and return who still uses it, for the state.

    Units of extensions with Stale=restart are restarted, as far as that harms nobody, and not returned.
    """
    swaps.record(run, gone[0], [change.path for change in reaction.changes], gone[1])
    found = swaps.find(run)
    touched = {*reaction.change.added, *reaction.change.changed, *reaction.change.removed}
    if found and any(m.stale == "restart" for m in plan.extensions if m.name in touched):
        try:
            found = swaps.restart(found, Systemd())
        except ExtensionError as error:
            log(f"units that use old content could not be restarted: {error}")
    return [{"unit": view.unit, "reason": view.reason} for view in found]


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
