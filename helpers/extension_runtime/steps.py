#  SPDX-License-Identifier: MIT
"""A transaction as data: steps that describe themselves, do one thing and can take it back, and what runs them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Step:
    """One change of the machine.  `name` is what a fault is injected by, `text` what a person reads."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def do(self) -> None:
        """Make the change, or raise with nothing changed."""
        raise NotImplementedError

    def undo(self) -> None:
        """Take the change back; it was made whole."""


def execute(steps: Iterable[Step], before: Callable[[Step], None], log: Callable[[str], None]) -> None:
    """Run `steps` in order, each made when those before it are done.

    When one raises, take the earlier ones back, the last first, and raise what it raised.

    `before` is called with each step before it is done (progress, injected faults).  A failure to take back is
    logged and does not stop the others from being taken back.
    """
    done: list[Step] = []
    try:
        for step in steps:
            before(step)
            step.do()
            done.append(step)
    except BaseException:
        for step in reversed(done):
            try:
                step.undo()
            except Exception as error:
                log(f"{step.text}: could not be taken back: {error}")
        raise
