#  SPDX-License-Identifier: MIT
"""A transaction as data: steps that describe themselves, do one thing and can take it back, and what runs them."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_INTERRUPTIONS = (signal.SIGTERM, signal.SIGINT)


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


def execute(steps: Iterable[Step], before: Callable[[Step], None], log: Callable[[str], None]) -> None:
    """Run `steps` in order, each made when those before it are done.

    When one raises, take the earlier ones back, the last first, and raise what it raised.

    `before` is called with each step before it is done (progress, injected faults).  A failure to take back is
    logged and does not stop the others from being taken back.  SIGTERM and SIGINT wait for the end of a step.
    """
    done: list[Step] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        for step in steps:
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
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
