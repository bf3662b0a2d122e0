#  SPDX-License-Identifier: MIT
"""`make fuzz` works: every target runs, and a fault that is there is found, made small, told and had again.

And what it once found slow stays fast; faults of the other kind have their tests with what they were found in.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from extension_manifests.globs import Glob
from fuzz import engine, globs, texts
from fuzz.engine import Target
from fuzz.targets import TARGETS

TOP = Path(__file__).resolve().parents[2]
BY_NAME = {target.name: target for target in TARGETS}
MIB = 1 << 20
PATIENT = 10 * engine.SLOW  # what is listed below took ten times that, or for ever


def test_targets_have_names_of_their_own() -> None:
    assert len(BY_NAME) == len(TARGETS)


@pytest.mark.parametrize("target", TARGETS, ids=BY_NAME)
def test_a_short_run(target: Target) -> None:
    """The first inputs of one seed, none of them large."""
    tally = engine.run([target], 1, inputs=150, limit=0.02 if target.known else PATIENT)[target.name]
    assert tally.inputs == 150
    assert target.known or [fault.describe() for fault in tally.faults.values()] == []


@pytest.mark.parametrize("target", TARGETS, ids=BY_NAME)
def test_an_input_depends_on_seed_and_number_alone(target: Target) -> None:
    numbers = (*range(200), engine.LARGE_EVERY - 1)
    first = [target.input(3, number) for number in numbers]
    assert [target.input(3, number) for number in reversed(numbers)][::-1] == first
    assert len(first[-1]) <= max(target.large, 4096)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("values", "span\t" + "1s" * (MIB // 2)),
        ("mountcall", "-" + "f" * MIB),
        ("mountcall", "f\n" * MIB),
        ("unitfiles", "=== /usr/lib/systemd/system/a.service\n[Unit]\n" + "X=1\n" * (MIB // 4)),
        ("action", "[Trigger]\nPath=/a\n[Action]\nExec=/" + "a" * (2 * MIB)),
        ("mountinfo", "1 2 0:1 / /a rw - a b c\n2 1 0:1 / /a rw - a b c\n"),
    ],
    ids=lambda value: value if len(value) < 12 else "",
)
def test_what_was_slow_is_fast(target: str, text: str) -> None:
    with engine.alarm(PATIENT):
        error, _ = engine.attempt(BY_NAME[target], text, PATIENT)
    assert error is None


# The engine


def make(rng: Random) -> str:
    return "".join(rng.choice("abcdefgh") for _ in range(30))


def fails_for_two(text: str) -> None:
    if "e" in text and "h" in text:
        raise KeyError(text)


def hangs_for_one(text: str) -> None:
    while "a" in text:
        try:
            continue
        except Exception:  # what a parser might do
            continue


def test_a_fault_is_found_and_made_small() -> None:
    target = Target("planted", make, fails_for_two)
    told: list[engine.Fault] = []
    tally = engine.run([target], 1, inputs=300, told=told.append)["planted"]
    assert tally.inputs == 300
    [fault] = told  # however often it is met
    with engine.alarm(1):
        assert sorted(engine.shrink(fault, 1)) == ["e", "h"]
    assert "KeyError" in fault.describe()
    assert fault.text == target.input(1, fault.number)


def test_what_never_ends_is_stopped() -> None:
    told: list[engine.Fault] = []
    engine.run([Target("planted", make, hangs_for_one)], 1, inputs=3, limit=0.05, told=told.append)
    assert [type(fault.error) for fault in told] == [engine.TooSlow]


def test_time_and_inputs_are_bounds() -> None:
    two = [Target(name, make, len) for name in ("one", "other")]
    tallies = engine.run(two, 1, inputs=2500)
    assert sum(tally.inputs for tally in tallies.values()) == 2500
    assert all(tally.inputs for tally in tallies.values())
    assert not any(tally.inputs for tally in engine.run(two, 1, seconds=0).values())


def test_large_inputs_are_as_large_as_they_may_be() -> None:
    for number in range(50):
        text = texts.blow_up(Random(number), make(Random(number)), ("word",), 5000)
        assert 4900 < len(text) <= 5000


def test_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault ends it with 1, is saved, and each of the lines that are told brings it again."""
    targets = [Target("planted", make, fails_for_two), Target("fine", make, len)]
    assert engine.main(["--inputs=600", "--seed=4", f"--save={tmp_path}"], targets) == 1
    said = capsys.readouterr()
    assert "FAULT planted" in said.err
    assert "seed 4" in said.out
    [saved] = tmp_path.iterdir()
    assert sorted(saved.read_text()) == ["e", "h"]
    lines = [line.split()[1:] for line in said.err.splitlines() if line.startswith("  tests/fuzz/start ")]
    assert [engine.main(line, targets) for line in lines] == [1, 1]
    assert capsys.readouterr().err.count("\nKeyError") == 2
    assert engine.main(["--target=fine", "--number=1", "--seed=4"], targets) == 0
    assert engine.main(["--list"], targets) == 0


@pytest.mark.parametrize(
    "wrong", [["--target=none"], ["--number=1"], ["--target=fine", "--target=other", "--number=1"]]
)
def test_wrong_usage(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        engine.main(wrong, [Target("fine", make, len), Target("other", make, len)])
    assert ended.value.code == 2
    assert "tests/fuzz/start" in capsys.readouterr().err


def test_faults_that_are_known_count_for_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = [Target("planted", make, fails_for_two, known="somebody is at work on it")]
    assert engine.main(["--inputs=300", "--seed=4", f"--save={tmp_path}"], targets) == 0
    assert "known: somebody is at work on it" in capsys.readouterr().err


def test_it_runs_from_the_checkout() -> None:
    command = [sys.executable, "-I", str(TOP / "tests/fuzz/start"), "--inputs=60", "--seed=1", "--target=names"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "60 inputs, 0 faults" in ran.stdout


@pytest.mark.parametrize(
    ("glob", "path", "meant"),
    [
        ("/a/*.conf", "/a/b.conf", True),
        ("/a/*.conf", "/a/b/c.conf", False),
        ("/a/**.conf", "/a/b/c.conf", True),
        ("/a?", "/ab", True),
        ("/a?", "/a/", False),
        ("/a/", "/a/b/c", True),
        ("/a/", "/a", False),
        ("/a", "/a/b", False),
        ("***", "/x/y", True),
    ],
)
def test_what_globs_are_compared_with(glob: str, path: str, meant: bool) -> None:
    assert globs.means(glob, path) is meant
    assert Glob(glob).matches(path) is meant
