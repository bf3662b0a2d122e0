#  SPDX-License-Identifier: MIT
"""What differs between the running machine (live.py) and another root (elsewhere.py), for type checkers only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Protocol

    from extension_manifests.manifest import Manifest

    from extension_runtime.merge.choose import Candidate, Choice
    from extension_runtime.merge.goal import Goal, Order
    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.stage import Stage
    from extension_runtime.merge.state import Stale, Standing, State
    from extension_runtime.merge.wanted import Wanted
    from extension_runtime.steps import Step

    class Side(Protocol):
        """One side, for one order.  Methods raise ExtensionError and OSError."""

        def attach_steps(self, manifests: Sequence[Manifest], always: bool) -> Iterator[Step]:
            """What has to be done so that the images which are attached are those that are there now."""

        def candidates(self, manifests: Sequence[Manifest], booting: bool) -> list[Candidate]:
            """Each extension as it is attached now."""

        def needs_base(self, wanted: Wanted) -> bool:
            """Whether the base of what is `wanted` is to be bound, now that anything is merged."""

        def leave_out_breaking(
            self, outlook: Outlook, order: Order, choices: Sequence[Choice], good: Mapping[str, Standing], risky: bool
        ) -> None:
            """Take back the choice of layers with which programs would not start; `risky`: some could do that."""

        def before_swap(self, outlook: Outlook, order: Order, goal: Goal, stages: Sequence[Stage]) -> Iterator[Step]:
            """The steps when all is staged."""

        def after_swap(self, outlook: Outlook) -> Iterator[Step]:
            """The steps when all is swapped."""

        def settle(self, outlook: Outlook) -> Iterator[Step]:
            """The steps between what is merged being marked and being committed."""

        def detach(self, names: Sequence[str]) -> None:
            """Take off the images of `names`; what is merged keeps its own hold of them until the next merge."""

        def stale_units(self, outlook: Outlook, order: Order, known: list[Stale]) -> list[Stale]:
            """Who uses old content when all is done; `known` are those of before."""

        def tell(self, order: Order, goal: Goal, state: State, done: str) -> None:
            """Say what was `done`, "" for nothing."""

        def tell_failed(self, order: Order, state: State, reason: str, outcome: str) -> None:
            """Say that the order failed, or was taken back (`outcome` "rolled-back")."""

        def leave(self, outlook: Outlook, state: State) -> None:
            """Leave no mount behind when nothing is merged any more."""

        def abandon(self, outlook: Outlook) -> None:
            """Leave no mount behind after a first merge that failed.  Raises nothing."""
