#  SPDX-License-Identifier: MIT
"""The executor of steps: in order, and back in reverse."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import pytest
from extension_runtime.steps import Step, execute, list_of


class Noted(Step):
    """Writes down what is done with it."""

    def __init__(self, name: str, calls: list[str], fails: str = "") -> None:
        super().__init__(name, f"do {name}")
        self._calls = calls
        self._fails = fails

    def do(self) -> None:
        self._calls.append(f"do {self.name}")
        if self._fails == "do":
            raise ValueError(self.name)

    def undo(self) -> None:
        self._calls.append(f"undo {self.name}")
        if self._fails == "undo":
            raise OSError(f"cannot undo {self.name}")


def test_steps_are_done_in_order() -> None:
    calls: list[str] = []
    before: list[str] = []
    execute([Noted(name, calls) for name in "abc"], lambda step: before.append(step.name), calls.append)
    assert calls == ["do a", "do b", "do c"]
    assert before == ["a", "b", "c"]


def test_a_failure_takes_back_what_was_done_the_last_first() -> None:
    calls: list[str] = []
    found = [Noted("a", calls), Noted("b", calls), Noted("c", calls, "do"), Noted("d", calls)]
    with pytest.raises(ValueError, match="c"):
        execute(found, lambda _step: None, calls.append)
    assert calls == ["do a", "do b", "do c", "undo b", "undo a"]


def test_what_cannot_be_taken_back_is_logged_and_the_others_are() -> None:
    calls: list[str] = []
    log: list[str] = []
    found = [Noted("a", calls), Noted("b", calls, "undo"), Noted("c", calls, "do")]
    with pytest.raises(ValueError, match="c"):
        execute(found, lambda _step: None, log.append)
    assert calls == ["do a", "do b", "do c", "undo b", "undo a"]
    assert log == ["do b: could not be taken back: cannot undo b"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interruption_before_a_step_takes_back_the_earlier_ones(kind: type[BaseException]) -> None:
    calls: list[str] = []

    def interrupt(step: Step) -> None:
        if step.name == "b":
            raise kind

    with pytest.raises(kind):
        execute([Noted("a", calls), Noted("b", calls)], interrupt, calls.append)
    assert calls == ["do a", "undo a"]


def test_steps_may_be_made_while_they_are_done() -> None:
    calls: list[str] = []

    def made() -> Iterator[Step]:
        yield Noted("a", calls)
        assert calls == ["do a"]
        yield Noted("b", calls)
        raise ValueError("no third step")

    with pytest.raises(ValueError, match="no third"):
        execute(made(), lambda _step: None, calls.append)
    assert calls == ["do a", "do b", "undo b", "undo a"]


def test_a_step_that_only_says_what_it_is_cannot_be_done() -> None:
    with pytest.raises(NotImplementedError):
        Step("name", "text").do()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_a_step_waits_for_its_end_and_takes_it_back(number: signal.Signals) -> None:
    """Else the step would be half done, and taken back by nobody."""
    calls: list[str] = []

    class Signalled(Noted):
        def do(self) -> None:
            signal.raise_signal(number)  # to this thread: under pytest-xdist there are others, which block nothing
            super().do()

    def interrupted(_number: int, _frame: object) -> None:
        raise InterruptedError

    before = signal.signal(number, interrupted)
    try:
        with pytest.raises(InterruptedError):
            execute([Noted("a", calls), Signalled("b", calls), Noted("c", calls)], lambda _step: None, calls.append)
    finally:
        signal.signal(number, before)
    assert calls == ["do a", "do b", "undo b", "undo a"]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_a_step_that_waits_is_interrupted_at_once() -> None:
    calls: list[str] = []

    class Waiting(Noted):
        waits = True

        def do(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            calls.append("waited")

    def interrupted(_number: int, _frame: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGTERM, interrupted)
    try:
        with pytest.raises(InterruptedError):
            execute([Noted("a", calls), Waiting("b", calls)], lambda _step: None, calls.append)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert calls == ["do a", "undo a"]


class Kept(Noted):
    """Notes its closing, too."""

    def close(self) -> None:
        self._calls.append(f"close {self.name}")


def test_all_that_were_begun_are_closed_when_all_is_done_or_taken_back() -> None:
    calls: list[str] = []
    execute([Kept("a", calls), Kept("b", calls)], lambda _step: None, calls.append)
    assert calls == ["do a", "do b", "close a", "close b"]
    del calls[:]
    with pytest.raises(ValueError, match="b"):
        execute([Kept("a", calls), Kept("b", calls, "do"), Kept("c", calls)], lambda _step: None, calls.append)
    assert calls == ["do a", "do b", "undo a", "close a", "close b"]


def drawn(calls: list[str]) -> Generator[Step, None, str]:
    yield Noted("a", calls)
    yield Noted("b", calls)
    return "what was made"


def test_what_the_steps_return_is_returned() -> None:
    calls: list[str] = []
    assert execute(drawn(calls), lambda _step: None, calls.append) == "what was made"
    assert calls == ["do a", "do b"]
    assert execute([], lambda _step: None, calls.append) is None


def test_a_list_of_steps_does_none_of_them() -> None:
    calls: list[str] = []
    found, made = list_of(drawn(calls))
    assert ([step.name for step in found], made, calls) == (["a", "b"], "what was made", [])
