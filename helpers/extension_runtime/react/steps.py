#  SPDX-License-Identifier: MIT
"""The steps of a transaction that concern services: before the swap, after it, and the way back."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError

from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.load import Plan

    from extension_runtime.react.reaction import Reaction


class HealthError(ExtensionError):
    """A unit that was started or restarted for a change did not come up; the change is taken back."""

    outcome = "rolled-back"


class Stop(Step):
    """Stops what goes with the old content; undone, after the swap is, it brings every unit back to how it was."""

    waits = True

    def __init__(self, reaction: Reaction) -> None:
        super().__init__("stop", "stop the units that go")
        self._reaction = reaction

    def do(self) -> None:
        self._reaction.before()

    def undo(self) -> None:
        self._reaction.revert()


class Bring(Step):
    """Brings PID 1 and the services to the new content, and sees whether they stay up."""

    waits = True

    def __init__(self, reaction: Reaction, timeout: float, settle: float, rollback: bool) -> None:
        super().__init__("services", "bring services up to date")
        self._reaction = reaction
        self._timeout = timeout
        self._settle = settle
        self._rollback = rollback

    def do(self) -> None:
        self._reaction.after()
        failed = self._reaction.healthy(self._timeout, self._settle)
        if not failed:
            return
        if not self._rollback:
            self._reaction.outcome.problems += [str(item) for item in failed]
            return
        self.undo()
        raise HealthError("; ".join(str(item) for item in failed))

    def undo(self) -> None:
        self._reaction.withdraw()


def settle_sec(plan: Plan, reaction: Reaction) -> float:
    """How long restarted units are watched: the longest HealthSec= of the extensions that changed."""
    touched = {*reaction.change.added, *reaction.change.changed}
    return max((m.health_sec for m in plan.extensions if m.name in touched), default=0.0)
