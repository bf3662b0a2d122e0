#  SPDX-License-Identifier: MIT
"""The entry point of the units: its command line, exit statuses, and what reaches the journal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.merge import main, transaction
from extension_runtime.merge.result import Result
from extension_runtime.react import one
from extension_runtime.steps import Interrupted, Step


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Whoever runs the tests gets their own answer to SIGTERM back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def _no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls of transaction.run, which ends with 3 and two messages."""
    calls: list[tuple[str, str, dict[str, Any]]] = []

    def run(verb: str, root: str, **arguments: Any) -> Result:
        calls.append((verb, root, arguments))
        arguments["log"]("a warning")
        arguments["before"](Step("swap:usr", "swap /usr"))
        return Result(3, [f"{verb} done: app merged (generation 4)", "a note"], [])

    monkeypatch.setattr(transaction, "run", run)
    return calls


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["frobnicate"],
        ["--boot"],
        ["merge", "--always"],
        ["refresh", "--boot"],
        ["unmerge", "--always"],
        ["merge", "app"],
        ["react"],
        ["react", "a", "b"],
        ["react", "--always", "a"],
    ],
)
def test_wrong_usage_is_2_and_nothing_is_done(
    arguments: list[str], ran: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(arguments) == 2
    assert capsys.readouterr().err == f"{main.USAGE}\n"
    assert ran == []


@pytest.mark.parametrize(
    ("arguments", "always", "boot"),
    [
        (["merge"], False, False),
        (["merge", "--boot"], False, True),
        (["refresh"], False, False),
        (["refresh", "--always"], True, False),
        (["unmerge"], False, False),
        (["rollback"], False, False),
    ],
)
def test_a_verb_is_done_on_the_running_machine(
    arguments: list[str], always: bool, boot: bool, ran: list[tuple[str, str, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main.main(arguments) == 3
    [(verb, root, given)] = ran
    assert (verb, root, given["always"], given["boot"]) == (arguments[0], "", always, boot)
    said = f"a warning\n{verb} done: app merged (generation 4)\na note\n"
    assert capsys.readouterr() == ("", said)


def test_the_journal_is_not_told_twice_of_what_was_done(
    ran: list[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    main.main(["merge"])
    assert capsys.readouterr().err == "<4>a warning\n<6>a note\n"
    assert len(ran) == 1


def test_a_failure_is_1_and_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_arguments: object, **_more: object) -> Result:
        raise ExtensionError("merge: needs root")

    monkeypatch.setattr(transaction, "run", fail)
    assert main.main(["merge"]) == 1
    assert capsys.readouterr().err == "merge: needs root\n"


def test_sigterm_takes_back_what_is_half_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_back: list[str] = []

    def run(*_arguments: object, **_more: object) -> Result:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("SIGTERM was not heard")
        except Interrupted:
            taken_back.append("all")
            raise

    monkeypatch.setattr(transaction, "run", run)
    assert main.main(["refresh"]) == 1
    assert capsys.readouterr().err == "stopped by SIGTERM; nothing was changed\n"
    assert taken_back == ["all"]


def test_reload_and_stop_of_one_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(one, "reload_one", lambda root, name: asked.append(f"reload {root}{name}"))
    monkeypatch.setattr(one, "stop_one", lambda root, name: asked.append(f"stop {root}{name}"))
    assert main.main(["react", "app"]) == 0
    assert main.main(["react", "--stop", "app"]) == 0
    assert main.main(["react", "app", "--stop"]) == 0
    assert asked == ["reload app", "stop app", "stop app"]


TOP = Path(__file__).resolve().parents[3]
HEAVY = {"argparse", "contextlib", "dataclasses", "inspect", "json", "logging", "pathlib", "re", "socket", "subprocess",
         "tempfile", "threading", "traceback", "typing"}  # fmt: skip


@pytest.mark.parametrize("side", ["elsewhere", "live"])
def test_what_a_merge_imports_is_a_budget(side: str) -> None:
    folders = [str(TOP / "helpers"), str(TOP / "generators")]
    program = f"import sys; sys.path[:0] = sys.argv[1:]; from extension_runtime.merge import main, transaction, {side}"
    argv = [sys.executable, "-ISB", "-c", f"{program}; print(*sys.modules)", *folders]
    loaded = set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & HEAVY
    assert "extension_generator" not in loaded
