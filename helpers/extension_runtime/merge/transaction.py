#  SPDX-License-Identifier: MIT
"""Merge, refresh, unmerge and rollback: locks, recovers, executes what plan.py decides, notes how it ended, tidies."""

from __future__ import annotations

import os
import time

from extension_manifests.errors import ExtensionError

from extension_runtime import boundary, steps
from extension_runtime.files import folder
from extension_runtime.image import forced
from extension_runtime.merge import ledger, modes, outlook, plan, statefile, tidy
from extension_runtime.merge.goal import Order
from extension_runtime.merge.lock import Lock
from extension_runtime.merge.recover import recover
from extension_runtime.merge.result import Result, TransactionError
from extension_runtime.merge.state import State
from extension_runtime.merge.steps import Workshop
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extension_runtime.merge.goal import Goal
    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.side import Side
    from extension_runtime.steps import Step

LOCK_TIMEOUT = 600.0  # seconds
NOTHING = "no extensions"


class Transaction:
    """One order on one root, from the lock being taken to the state being written."""

    def __init__(self, order: Order, paths: Paths, log: Callable[[str], None], before: Callable[[Step], None]) -> None:
        self._order = order
        self._paths = paths
        self._log = log
        self._before = before
        self._said: list[str] = []

    def run(self) -> Result:
        """Do it.  Raises ExtensionError when it failed; what was merged before still is."""
        if self._order.dry_run:
            return self._foresee()
        if not os.path.isdir(self._paths.run):
            view = outlook.look(self._paths, State())
            if self._idle(view):
                return _nothing(view, [*view.mistakes, NOTHING])
        _allow_open_files()
        folder(self._paths.run)
        with Lock(self._paths, LOCK_TIMEOUT):
            # Only now: who waited for the lock must not go by what there was before those it waited for.
            view = self._look()
            if self._idle(view):
                return _nothing(view, [*self._said, NOTHING])
            last = view.state.last
            if self._order.verb == "rollback" and last and (last.verb, last.result) == ("rollback", "done"):
                text = "this is the previous merge already; there is nothing to go back to"
                return _nothing(view, [*self._said, text])
            side = self._side()
            try:
                Workshop(self._paths).do()
                self._recover(view)
            except (ExtensionError, OSError) as error:
                self._log_what_was_said()
                side.abandon(view)
                reason = error.strerror if isinstance(error, OSError) else error
                raise TransactionError(f"{self._order.verb}: {reason}; nothing was changed") from None
            return self._execute(view, side)

    def _look(self) -> Outlook:
        state, problem = statefile.read_or_put_aside(self._paths)
        view = outlook.look(self._paths, state)
        if problem:
            self._said.append(problem)
            for hierarchy in view.hierarchies.values():
                hierarchy.look()
            # All that is left to tell of the merge is in the mount table.
            state.now.generation = view.generation - 1
        self._said += view.mistakes
        return view

    def _idle(self, view: Outlook) -> bool:
        return self._order.verb in ("merge", "refresh", "unmerge") and view.idle

    def _side(self) -> Side:
        if self._paths.live:
            # The one part that another root has no use for, and that takes as long to import as all the rest.
            from extension_runtime.merge.live import Live

            return Live(self._paths, self._said, self._log)
        from extension_runtime.merge.elsewhere import Elsewhere

        return Elsewhere(self._paths, self._log)

    def _foresee(self) -> Result:
        state, problem = statefile.read_or_empty(self._paths)
        view = outlook.look(self._paths, state)
        said = [*([problem] if problem else []), *view.mistakes]
        for hierarchy in view.hierarchies.values():
            hierarchy.look()
        if self._idle(view):
            return _nothing(view, [*said, NOTHING])
        found, goal = steps.list_of(plan.steps(view, self._order, self._side(), self._log))
        said += [*self._said, *([] if goal.changed else ["nothing to do"])]
        return Result(_exit_code(view, goal), said, [step.text for step in found])

    def _execute(self, view: Outlook, side: Side) -> Result:
        texts: list[str] = []

        def before(step: Step) -> None:
            texts.append(step.text)
            self._before(step)

        verb = self._order.verb
        try:
            goal: Goal = steps.execute(plan.steps(view, self._order, side, self._log), before, self._log)
        except (ExtensionError, steps.Interrupted) as error:
            self._failed(view, side, str(error), getattr(error, "outcome", "failed"))
            raise
        except OSError as error:
            self._failed(view, side, str(error), "failed")
            raise TransactionError(f"{verb}: {error.strerror or error}; nothing was changed") from None
        except Exception as error:
            # A mistake in this program: what it had done is taken back all the same, and the trace is for its authors.
            reason = boundary.reason(error)
            self._failed(view, side, reason, "failed")
            raise TransactionError(f"{verb}: {reason}; nothing was changed") from None
        self._said += _remarks(view.state, goal)
        self._finish(view, side, goal)
        return Result(_exit_code(view, goal), [self._summary(goal), *self._said], texts)

    def _summary(self, goal: Goal) -> str:
        if not goal.changed:
            return "nothing has changed"
        now = goal.new.now
        merged = ", ".join(sorted(now.layered())) or "no extension"
        return f"{self._order.verb} done: {merged} merged (generation {now.generation})"

    def _failed(self, view: Outlook, side: Side, reason: str, outcome: str) -> None:
        """Note a failure in the state, next to what is still merged."""
        self._log_what_was_said()
        state = ledger.noted(view.state, self._order.verb, outcome, reason, int(time.time()))
        side.tell_failed(self._order, state, reason, outcome)
        try:
            statefile.write(self._paths, state)
        except ExtensionError as error:
            # The reason of the failure is what counts; the next verb puts the rest right.
            self._log(str(error))
        try:
            self._recover(view)
        except Exception as error:
            self._log(boundary.reason(error))
        side.abandon(view)

    def _recover(self, view: Outlook) -> None:
        generations = {name: item.generation for name, item in view.state.now.hierarchies.items()}
        recover(view.paths, view.hierarchies, generations, view.state.used_layers, self._log)

    def _log_what_was_said(self) -> None:
        """What would have been in the result, which a failure does not have."""
        for text in self._said:
            self._log(text)

    def _finish(self, view: Outlook, side: Side, goal: Goal) -> None:
        state = goal.new

        def stale() -> None:
            found = side.stale_units(view, self._order, state.stale)
            if found != state.stale:
                state.stale = found
                statefile.write(self._paths, state)

        works: tuple[Callable[[], None], ...] = (
            lambda: tidy.remove_unused(view, state),
            lambda: tidy.remove_old_work(view, state),
            lambda: modes.remember(self._paths, view.plan.settings),
            lambda: side.detach(tidy.forsaken(view)),
            stale,
            *([lambda: forced.forget(self._paths)] if self._order.verb == "unmerge" else []),
            lambda: side.tell(self._order, goal, state, self._summary(goal) if goal.changed else ""),
        )
        for work in works:
            try:
                work()
            except Exception as error:
                self._log(f"done, but not tidied up: {boundary.reason(error)}")
        if self._order.verb == "unmerge":
            self._leave(view, side, state)

    def _leave(self, view: Outlook, side: Side, state: State) -> None:
        try:
            side.leave(view, state)
        except Exception as error:
            reason = boundary.reason(error)
            self._said.append(
                f"unmerged, but not every mount could be taken off: {reason}; unmerge again to try once more"
            )


def _remarks(before: State, goal: Goal) -> list[str]:
    """What a person should know of extensions that was not said of them before."""
    known = before.now.extensions
    return [
        f"{choice.name}: {remark}"
        for choice in goal.choices
        for remark in choice.standing.remarks
        if choice.name not in known or remark not in known[choice.name].remarks
    ]


def _exit_code(view: Outlook, goal: Goal) -> int:
    return 3 if view.mistakes or any(choice.left_out for choice in goal.choices) else 0


def _nothing(view: Outlook, said: list[str]) -> Result:
    """The result of a verb that had nothing to do."""
    return Result(3 if view.mistakes else 0, said, [])


def _allow_open_files() -> None:
    """Raise this process's limit of open files: a merge has each layer open, and in a refresh what was attached."""
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(
    verb: str,
    root: str,
    *,
    dry_run: bool = False,
    always: bool = False,
    boot: bool = False,
    log: Callable[[str], None] = lambda _text: None,
    before: Callable[[Step], None] = lambda _step: None,
) -> Result:
    """Do `verb` (merge, refresh, unmerge or rollback) on `root` ("" is the running machine).

    `boot`: PID 1 has attached the images already.  `before` is called with each step.  Raises ExtensionError when it
    failed, with what was merged before still in place.
    """
    if os.geteuid() != 0 and not dry_run:
        raise TransactionError(f"{verb}: needs root")
    order = Order(verb, dry_run=dry_run, always=always, boot=boot)
    return Transaction(order, Paths(root), log, before).run()
