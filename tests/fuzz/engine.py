#  SPDX-License-Identifier: MIT
"""Runs targets: an input depends on the seed, the target and its number alone, so that every fault can be had again."""

from __future__ import annotations

import argparse
import linecache
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from fuzz import texts

HERE = Path(__file__).parent
SLOW = 1.0  # seconds of processor time that one input may take
LARGE_EVERY = 1000  # one input of so many is as large as its reader lets through
ROUND = 0.1  # seconds for one target before it is the next one's turn
ROUND_INPUTS = 1000
SHRINK = 5.0  # seconds for making a fault's input smaller
FAULTS_MAX = 20  # of one target


class TooSlow(BaseException):
    """Not an Exception, so that nobody takes it for one of a parser."""


class Target:
    """Something that reads texts.

    `make` makes an input, `check` raises for whatever is wrong with what becomes of it.  `words` are put in when it is
    spoiled, so are pieces of `others`; `large` is how many characters the reader lets through.  `known`: why faults
    found here are told but count for nothing, as long as somebody is at work on them.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Random], str],
        check: Callable[[str], object],
        *,
        words: Sequence[str] = (),
        others: Sequence[str] = (),
        large: int = 4096,
        known: str = "",
    ) -> None:
        self.name = name
        self.make = make
        self.check = check
        self.words = words
        self.others = others
        self.large = large
        self.known = known

    def input(self, seed: int, number: int) -> str:
        """Input `number`."""
        rng = Random(f"{seed} {self.name} {number}")
        text = self.make(rng)
        if number % LARGE_EVERY == LARGE_EVERY - 1:
            text = texts.blow_up(rng, text, self.words, self.large)
        elif rng.random() < 0.6:
            text = texts.spoil(rng, text, self.words, self.others)
        return text


class Fault:
    """What went wrong with an input; `place` tells one fault from another."""

    def __init__(self, target: Target, number: int, text: str, error: BaseException) -> None:
        self.target = target
        self.number = number
        self.text = text
        self.error = error
        self.place = place(error)

    def describe(self) -> str:
        """For people, in one line."""
        said = f"{type(self.error).__name__}: {self.error}".rstrip(": ")
        return f"{self.target.name}: {said!r:.300} at {self.place}"


def place(error: BaseException) -> str:
    """Where it was raised; for a check that failed, and for what is slow anywhere, which check that was."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = frames[-1]
    if isinstance(error, TooSlow):
        # Wherever the time was up: the innermost place of the check tells what was slow.
        frame = next((f for f in reversed(frames) if Path(f.filename).parent == HERE and f.filename != __file__), frame)
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"{type(error).__name__} {Path(frame.filename).name}:{frame.name}: {line}"


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Lets SIGPROF raise TooSlow, for `attempt`."""

    def stop(_signal: int, _frame: object) -> None:
        raise TooSlow(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def attempt(target: Target, text: str, limit: float) -> tuple[BaseException | None, float]:
    """What the check raises, and the processor time that it took, in seconds."""
    error: BaseException | None = None
    start = time.thread_time()
    try:
        signal.setitimer(signal.ITIMER_PROF, limit)
        target.check(text)
        signal.setitimer(signal.ITIMER_PROF, 0)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:
        signal.setitimer(signal.ITIMER_PROF, 0)
        error = raised
    return error, time.thread_time() - start


def shrink(fault: Fault, limit: float, seconds: float = SHRINK) -> str:
    """A smaller input with the same fault: pieces are taken out as long as it stays."""
    text, until = fault.text, time.monotonic() + seconds
    size = max(1, len(text) // 2)
    while time.monotonic() < until:
        at, before = 0, len(text)
        while at < len(text) and time.monotonic() < until:
            smaller = text[:at] + text[at + size :]
            error, _ = attempt(fault.target, smaller, limit)
            if error is not None and place(error) == fault.place:
                text = smaller
            else:
                at += size
        if size == 1 and len(text) == before:
            break
        size = max(1, size // 2)
    return text


class Tally:
    """What became of the inputs of one target."""

    def __init__(self) -> None:
        self.inputs = 0
        self.seconds = 0.0
        self.slowest = 0.0
        self.slowest_number = 0
        self.faults: dict[str, Fault] = {}


def run(
    targets: Sequence[Target],
    seed: int,
    *,
    seconds: float = float("inf"),
    inputs: float = float("inf"),
    limit: float = SLOW,
    told: Callable[[Fault], None] = lambda fault: None,
) -> dict[str, Tally]:
    """Run the targets in turn until the time is up or there were so many inputs."""
    tallies = {target.name: Tally() for target in targets}
    until = time.monotonic() + seconds
    left = inputs
    with alarm(limit):
        while left > 0 and time.monotonic() < until:
            for target in targets:
                left -= _round(target, tallies[target.name], seed, min(left, ROUND_INPUTS), until, limit, told)
    return tallies


def _round(
    target: Target,
    tally: Tally,
    seed: int,
    inputs: float,
    until: float,
    limit: float,
    told: Callable[[Fault], None],
) -> int:
    """One turn of one target; returns how many inputs it had."""
    done, end = 0, min(until, time.monotonic() + ROUND)
    while done < inputs and len(tally.faults) < FAULTS_MAX:
        text = target.input(seed, tally.inputs)
        error, took = attempt(target, text, limit)
        if took > tally.slowest:
            tally.slowest, tally.slowest_number = took, tally.inputs
        if error is not None:
            fault = Fault(target, tally.inputs, text, error)
            if fault.place not in tally.faults:
                tally.faults[fault.place] = fault
                told(fault)
        tally.inputs += 1
        tally.seconds += took
        done += 1
        if time.monotonic() > end:
            break
    return done or int(min(inputs, 1))


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/fuzz/start", description="Fuzz everything that reads texts of others.")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--inputs", type=float, default=float("inf"), help="stop after so many inputs of all targets")
    parser.add_argument("--seed", type=int, default=None, help="default: the time, which is told")
    parser.add_argument("--target", action="append", help="this target only; may be repeated")
    parser.add_argument("--number", type=int, help="this input of --target and --seed only")
    parser.add_argument("--file", type=Path, help="this saved input of --target only")
    parser.add_argument("--save", type=Path, help="folder for inputs of faults; default: one below $TMPDIR")
    parser.add_argument("--slow", type=float, default=SLOW, help="seconds of processor time for one input")
    parser.add_argument("--list", action="store_true", help="name the targets")
    return parser


def main(argv: Sequence[str], targets: Sequence[Target]) -> int:
    """The program.  0: no fault; 1: faults, which were told; 2: wrong usage."""
    parser = arguments()
    options = parser.parse_args(argv)
    named = set(options.target or ())
    if unknown := named - {target.name for target in targets}:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; --list names them")
    chosen = [target for target in targets if not named or target.name in named]
    if options.list:
        print(*(target.name for target in targets), sep="\n")
        return 0
    seed = int(time.time()) if options.seed is None else options.seed
    if options.number is not None or options.file is not None:
        if len(chosen) != 1:
            parser.error("--number and --file want one --target")
        saved = options.file.read_bytes().decode("utf-8", "surrogatepass") if options.file else None
        return again(chosen[0], chosen[0].input(seed, options.number) if saved is None else saved, options.slow)

    def folder() -> Path:
        if options.save is None:
            options.save = Path(tempfile.mkdtemp(prefix="extensionctl-fuzz-"))
        options.save.mkdir(parents=True, exist_ok=True)
        return Path(options.save)

    def told(fault: Fault) -> None:
        known = f" (known: {fault.target.known})" if fault.target.known else ""
        print(f"FAULT {fault.describe()}{known}", file=sys.stderr)
        smaller = shrink(fault, options.slow)
        path = folder() / f"{fault.target.name}-{seed}-{fault.number}"
        path.write_bytes(smaller.encode("utf-8", "surrogatepass"))
        print(f"  input, {len(smaller)} characters: {smaller!r:.200}", file=sys.stderr)
        print(f"  tests/fuzz/start --target={fault.target.name} --file={path}", file=sys.stderr)
        print(
            f"  tests/fuzz/start --target={fault.target.name} --seed={seed} --number={fault.number}",
            file=sys.stderr,
            flush=True,
        )

    print(f"fuzz: seed {seed}, {len(chosen)} targets", file=sys.stderr)
    try:
        tallies = run(chosen, seed, seconds=options.seconds, inputs=options.inputs, limit=options.slow, told=told)
    except KeyboardInterrupt:
        print("fuzz: interrupted", file=sys.stderr)
        return 130
    return table(chosen, tallies, seed)


def again(target: Target, text: str, limit: float) -> int:
    """One input, with the whole traceback."""
    with alarm(limit):
        error, took = attempt(target, text, limit)
    print(f"fuzz: {target.name}: {len(text)} characters, {took:.3f} s", file=sys.stderr)
    if error is None:
        return 0
    traceback.print_exception(error)
    return 1


def table(targets: Sequence[Target], tallies: dict[str, Tally], seed: int) -> int:
    """Print what was done; returns the exit status."""
    print(f"{'TARGET':<12} {'INPUTS':>9} {'PER SECOND':>11} {'SLOWEST':>9} {'ITS NUMBER':>11} {'FAULTS':>7}")
    for target in targets:
        tally = tallies[target.name]
        rate = tally.inputs / tally.seconds if tally.seconds else 0.0
        print(
            f"{target.name:<12} {tally.inputs:>9} {rate:>11.0f} {tally.slowest:>8.3f}s {tally.slowest_number:>11} "
            f"{len(tally.faults):>7}{'  known' if tally.faults and target.known else ''}"
        )
    faults = sum(len(tallies[target.name].faults) for target in targets if not target.known)
    print(f"fuzz: seed {seed}, {sum(tally.inputs for tally in tallies.values())} inputs, {faults} faults")
    return 1 if faults else 0
