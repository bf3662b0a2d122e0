#  SPDX-License-Identifier: MIT
"""What a verb does: from the outlook to a goal, as steps that are made one after the other while they are run.

What an image is shows only when it is attached, so the goal is not known before those steps are done; a dry run walks
the same steps without doing them, and takes every image for good.
"""

from __future__ import annotations

import time

from extension_runtime import boundary
from extension_runtime.image import exposed, forced
from extension_runtime.merge import choose, fit, harm, ledger, nowhere, select
from extension_runtime.merge import wanted as wishes
from extension_runtime.merge.goal import Goal
from extension_runtime.merge.result import TransactionError
from extension_runtime.merge.stage import Stage
from extension_runtime.merge.steps import Base, Commit, Mark, Pin
from extension_runtime.merge.swap import Swap
from extension_runtime.overlay import upper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.goal import Order
    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.side import Side
    from extension_runtime.merge.wanted import Wanted
    from extension_runtime.steps import Step


def steps(outlook: Outlook, order: Order, side: Side, log: Callable[[str], None]) -> Generator[Step, None, Goal]:
    """The steps of `order`, and the goal they reach.  Raises ExtensionError for what cannot be reached at all."""
    settings, paths = outlook.plan.settings, outlook.paths
    if order.verb == "unmerge" or not settings.enabled:
        choices = select.none(outlook.plan)
        wanted = wishes.unmerged(settings, outlook.hierarchies)
    else:
        if order.verb == "rollback":
            choices = _earlier(outlook)
            nowhere.tell(outlook, choices)
        else:
            choices = yield from _chosen(outlook, order, side, log)
        wanted = wishes.hierarchies(choices, settings, outlook.hierarchies)
    todo = [item for item in wanted if _differs(outlook, order, item)]
    goal = _goal(outlook, order, choices, wanted, todo)
    merged = {choice.name for choice in choices if choice.source != choose.NONE}
    if todo:
        if not order.dry_run:
            kept = {item.name: item.upper for item in wanted if item.merged and item.mode == "persistent"}
            upper.refuse_shared(paths, kept)
        # A mutable upper is in two overlays from its staging to its swap: that is kept short by staging it last.
        stages = [
            Stage(paths, outlook.hierarchies[item.name], item, outlook.generation, log)
            for item in sorted(todo, key=lambda item: item.writable)
        ]
        yield from stages
        yield from side.before_swap(outlook, order, goal, stages)
        yield from [Swap(stage, log) for stage in stages]
        yield from side.after_swap(outlook)
    yield Mark(paths, merged)
    if todo:
        yield from side.settle(outlook)
    yield Commit(paths, outlook.state, goal.new)
    return goal


def _earlier(outlook: Outlook) -> list[Choice]:
    """The extensions of the merge before the last one."""
    before = outlook.state.previous
    if before is None or not before.layers() <= outlook.pinned:
        raise TransactionError("rollback: there is no earlier merge to go back to")
    return select.earlier(before, outlook.plan)


def _chosen(
    outlook: Outlook, order: Order, side: Side, log: Callable[[str], None]
) -> Generator[Step, None, list[Choice]]:
    """Attach and pin what is new, bind bases that are not bound yet, and choose what is stacked."""
    paths, plan, good = outlook.paths, outlook.plan, outlook.good()
    # At boot PID 1 has just attached them; started by hand later, the same unit may find an old attachment.
    if not order.boot or outlook.state.now.generation:
        yield from side.attach_steps(plan.extensions, order.always)
    candidates = side.candidates(plan.extensions, order.boot)
    if order.dry_run:
        select.foresee(paths, candidates, order.always)
    choices = select.choices(plan, candidates, good)
    if order.always and not order.dry_run:
        select.renew(choices)
    yield from _pins(outlook, choices)
    yield from nowhere.make(outlook, choices, log)
    nowhere.tell(outlook, choices)
    yield from _bases(outlook, side, wishes.hierarchies(choices, plan.settings, outlook.hierarchies))
    if order.dry_run:
        return choices
    fit.leave_out_unstackable(paths, outlook.hierarchies, choices, good)
    risky = harm.leave_out_harmful(outlook, choices, good, forced.names(paths))
    side.leave_out_breaking(outlook, order, choices, good, risky)
    choices = choose.without_unmet_needs(plan.extensions, choices)
    _tell_exposed(paths.root, choices, log)
    return choices


def _tell_exposed(root: str, choices: Sequence[Choice], log: Callable[[str], None]) -> None:
    """Say who else can change what is new: once, when it comes."""
    new = [choice.standing for choice in choices if choice.source == choose.NEW]
    decides = [path for standing in new for path in (standing.manifest, standing.image) if path]
    try:
        for path, remark in exposed.remarks(root, decides) if decides else ():
            log(f"{path}: {remark}")
    except Exception as error:
        log(f"who else can change what is merged cannot be told: {boundary.reason(error)}")


def _pins(outlook: Outlook, choices: Sequence[Choice]) -> Iterator[Step]:
    for choice in choices:
        if choice.source == choose.NEW:
            choice.standing.layer = f"{outlook.paths.layers}/{outlook.generation}/{choice.name}"
            yield Pin(choice.name, f"{outlook.paths.extension}/{choice.name}", choice.standing.layer)


def _bases(outlook: Outlook, side: Side, wanted: Sequence[Wanted]) -> Iterator[Step]:
    if not any(item.merged for item in wanted):
        return
    for item in wanted:
        hierarchy = outlook.hierarchies[item.name]
        if side.needs_base(item) and not hierarchy.has_base:
            yield Base(hierarchy)


def _differs(outlook: Outlook, order: Order, item: Wanted) -> bool:
    """Whether what is mounted is something else than what is wanted."""
    hierarchy = outlook.hierarchies[item.name]
    recorded = outlook.state.now.hierarchies.get(item.name)
    if not item.merged and not (recorded and recorded.merged) and not hierarchy.generation:
        return hierarchy.found is None and hierarchy.has_base
    if order.always or recorded is None or hierarchy.generation != recorded.generation:
        return True
    if item.spec() != recorded.spec:
        return True
    # The layers stay, but what was found in them is new: with another Hides=, or by a version that looks for more.
    prefix = f"/{item.name}/"
    stood = [outlook.state.now.extensions.get(name) for name, _folder in recorded.layers]
    mended = {
        path.removeprefix(prefix)
        for standing in stood
        if standing
        for path in standing.mends
        if path.startswith(prefix)
    }
    return mended != set(item.mends)


def _goal(outlook: Outlook, order: Order, choices: list[Choice], wanted: list[Wanted], todo: Sequence[Wanted]) -> Goal:
    before = outlook.state.now.extensions
    stood = {name: item for name, item in before.items() if item.state != "masked"}
    new = ledger.after(
        outlook.state,
        order.verb,
        int(time.time()),
        choices,
        outlook.plan.masked,
        wanted,
        {name: hierarchy.target for name, hierarchy in outlook.hierarchies.items()},
        {item.name for item in todo},
        outlook.generation,
        outlook.pinned,
    )
    return Goal(choices, wanted, new, bool(todo) or {c.name: c.standing for c in choices} != stood)
