#  SPDX-License-Identifier: MIT
"""Decides what the state says after a verb, from what it said before and what was done."""

from __future__ import annotations

from extension_runtime.merge.state import Event, Merged, Stacked, Standing, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.wanted import Wanted

HISTORY = 50  # entries that are kept


def noted(before: State, verb: str, result: str, reason: str, when: int) -> State:
    """The state with `verb` as the last one and, if it did something, in the history."""
    history = list(before.history)
    if result != "unchanged":
        history.append(Event(verb, result, reason, when, before.now.generation))
    last = Event(verb, result, reason, when)
    return State(before.now, before.previous, last, history[-HISTORY:], before.stale)


def after(
    before: State,
    verb: str,
    when: int,
    choices: Sequence[Choice],
    masked: Mapping[str, str],
    wanted: Sequence[Wanted],
    targets: Mapping[str, str],
    changed: Collection[str],
    number: int,
    pinned: Collection[str],
) -> State:
    """The state after `verb` at `when` (seconds) changed the hierarchies `changed`, as generation `number`.

    `masked` gives the masks' paths by extension, `targets` the real paths of the hierarchies; `pinned` are the layers
    that are there: a merge that lacks one, after a reboot, is none to go back to.
    """
    old = before.now
    generation = number if changed else old.generation
    extensions = {choice.name: choice.standing for choice in choices}
    for name, path in masked.items():
        extensions[name] = Standing(name, "masked", f"masked by {path}", path)
    hierarchies = {
        item.name: _stacked(item, old, targets[item.name], generation if item.name in changed else None)
        for item in wanted
    }
    now = Merged(generation, when if changed else old.when, hierarchies, extensions)
    previous = before.previous
    if changed:
        # Of one whose record was lost it is not known what it had.
        whole = old.hierarchies and old.layers() <= set(pinned)
        previous = old if whole and verb != "rollback" else None
    new = State(now, previous, before.last, before.history, before.stale)
    return noted(new, verb, "done" if changed else "unchanged", "", when)


def _stacked(item: Wanted, old: Merged, target: str, generation: int | None) -> Stacked:
    """`generation` is None for one that did not change; one without an overlay is of generation 0."""
    if generation is None:
        generation = old.hierarchies[item.name].generation if item.name in old.hierarchies else 0
    return Stacked(
        target,
        item.mode,
        item.merged,
        item.writable,
        item.upper if item.writable and item.mode == "persistent" else "",
        item.layers,
        generation if item.merged else 0,
        item.spec(),
    )
