#  SPDX-License-Identifier: MIT
"""What PID 1 is asked, and what is made of its answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.pid1 import commands, queries
from extension_runtime.pid1.commands import Completed

Answer = Callable[..., list[list[str]]]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Has all commands answered with a text and a status, and returns what is called."""

    def give(stdout: str = "", status: int = 0) -> list[list[str]]:
        calls: list[list[str]] = []

        def run(argv: list[str], **options: Any) -> Completed:
            calls.append([*argv, f"check={options.get('check', True)}", f"timeout={options.get('timeout', 90.0)}"])
            return Completed(status, stdout, "")

        monkeypatch.setattr(commands, "run", run)
        return calls

    monkeypatch.setattr(queries, "running", lambda: True)
    return give


def test_running_is_what_sd_booted_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def isdir(path: str) -> bool:
        asked.append(path)
        return len(asked) == 1

    monkeypatch.setattr(os.path, "isdir", isdir)
    assert (queries.running(), queries.running()) == (True, False)
    assert asked == ["/run/systemd/system"] * 2


@pytest.mark.parametrize(
    ("user", "running", "text"),
    [
        (1000, True, "merge changes the system and needs root; use sudo"),
        (0, False, "merge: systemd is not PID 1 here; use --root=DIR for another system"),
        (0, True, ""),
    ],
)
def test_who_may_change_what(user: int, running: bool, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(queries, "running", lambda: running)
    if not text:
        queries.require_running("merge")
        return
    with pytest.raises(ExtensionError) as raised:
        queries.require_running("merge")
    assert str(raised.value) == text


def test_show(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answer("Id=a\nJob=1\n\nId=b\n")
    assert queries.show(["a", "b"], ("Id", "Job")) == {"a": {"Id": "a", "Job": "1"}, "b": {"Id": "b"}}
    assert calls[0][:3] == ["systemctl", "show", "--property=Id,Job"]
    assert queries.show([]) == {}
    monkeypatch.setattr(queries, "running", lambda: False)
    assert queries.show(["a"]) == {}
    assert len(calls) == 1


@pytest.mark.parametrize("text", ["", "Id=a\n"])
def test_show_is_empty_when_not_all_could_be_asked(text: str, answer: Answer) -> None:
    answer(text)
    assert queries.show(["a", "b"]) == {}


@pytest.mark.parametrize(
    ("unit", "label"),
    [
        ("a1.service", "a1_2eservice"),
        ("1a-b", "_31a_2db"),
        ("run-extension-a\\x2db.mount", "run_2dextension_2da_5cx2db_2emount"),
        ("é_", "_c3_a9_5f"),
    ],
)
def test_object_path(unit: str, label: str) -> None:
    assert queries.object_path(unit) == f"/org/freedesktop/systemd1/unit/{label}"


def test_conditions_are_as_written(answer: Answer) -> None:
    data = [
        ["ConditionPathExists", False, False, "/a", 1],
        ["ConditionPathExists", True, True, "/b", -1],
        ["ConditionHost", True, False, "c", 0],
    ]
    calls = answer(json.dumps({"type": "a(sbbsi)", "data": data}))
    assert queries.conditions("a.mount") == [
        ("ConditionPathExists=/a", "met"),
        ("ConditionPathExists=|!/b", "not met"),
        ("ConditionHost=|c", "not looked at"),
    ]
    assert calls[0][-4:-2] == ["org.freedesktop.systemd1.Unit", "Conditions"]
    queries.conditions("a.mount", "Asserts")
    assert calls[1][-3] == "Asserts"
    assert "/org/freedesktop/systemd1/unit/a_2emount" in calls[0]


@pytest.mark.parametrize(
    ("text", "status"),
    [("", 1), ("", 0), ("{", 0), ("{}", 0), ("[]", 0), ('{"data": 7}', 0), ('{"data": [["x"]]}', 0)],
)
def test_no_bus_no_conditions(text: str, status: int, answer: Answer) -> None:
    answer(text, status)
    assert queries.conditions("a.mount") == []


def test_a_unit_is_run_without_a_question_and_without_a_limit(answer: Answer) -> None:
    calls = answer("", 5)
    assert queries.run_unit("restart", "-a.service").returncode == 5
    assert calls == [["systemctl", "--no-ask-password", "restart", "--", "-a.service", "check=False", "timeout=None"]]


def test_the_log_is_complete_before_it_is_read(answer: Answer) -> None:
    calls = answer("one\ntwo\n")
    assert queries.log_of("ab12", 1.5) == ["one", "two"]
    assert calls[0][:2] == ["journalctl", "--sync"]
    assert calls[1][-4:-2] == ["--since=@1.500000", "_SYSTEMD_INVOCATION_ID=ab12"]


def test_no_log(answer: Answer) -> None:
    calls = answer("one\n", 1)
    assert queries.log_of("ab12", 1.5) == []
    del calls[:]
    assert queries.log_of("", 1.5) == []
    assert calls == []
