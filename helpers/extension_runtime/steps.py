#  SPDX-License-Identifier: MIT
"""A transaction as data: steps that describe themselves, do one thing and can take it back, and what runs them."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from typing import Any, TypeVar

    T = TypeVar("T")

_INTERRUPTIONS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """Somebody wants this to end.  No Exception, or a boundary would take it for the fault of what it was busy with."""


class Step:
    """One change of the machine.  `name` is what a fault is injected by, `text` what a person reads.

    `waits` is true for one that waits for others, maybe long, and may be interrupted then.
    """

    __slots__ = ("name", "text")

    waits = False

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def do(self) -> None:
        """Make the change, or raise with nothing changed."""
        raise NotImplementedError

    def undo(self) -> None:
        """Take the change back; it was made whole."""

    def close(self) -> None:
        """Let go of what was kept for undo(), when all is done or all is taken back.  Harmless twice."""


def list_of(steps: Generator[Step, None, T]) -> tuple[list[Step], T]:
    """All `steps`, none of them done, and what their generator returns."""
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, end.value


def execute(steps: Iterable[Step], before: Callable[[Step], None], log: Callable[[str], None]) -> Any:
    """Run `steps` in order, each made when those before it are done; return what their generator returns, if it is one.

    When one raises, take the earlier ones back, the last first, and raise what it raised.

    `before` is called with each step before it is done (progress, injected faults).  A failure to take back is
    logged and does not stop the others from being taken back.  SIGTERM and SIGINT wait for the end of a step.
    """
    begun: list[Step] = []
    done: list[Step] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    made = iter(steps)
    try:
        while True:
            try:
                step = next(made)
            except StopIteration as end:
                return end.value
            begun.append(step)
            before(step)
            # A handler that raises in the middle of a step would leave it half done, and not taken back.
            if not step.waits:
                signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
            step.do()
            done.append(step)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    except BaseException:
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
        for step in reversed(done):
            try:
                step.undo()
            except Exception as error:
                log(f"{step.text}: could not be taken back: {error}")
        raise
    finally:
        for step in begun:
            step.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
