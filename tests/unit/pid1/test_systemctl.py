#  SPDX-License-Identifier: MIT
"""What systemctl is called with, and how its answers are read."""

from __future__ import annotations

from typing import Any

import pytest
from extension_runtime.pid1.commands import CommandError, Completed
from extension_runtime.pid1.systemctl import Systemd, Unit


class Answers:
    """Answers commands by their first words, and records them."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def __call__(self, argv: list[str], **_options: Any) -> Completed:
        self.calls.append(" ".join(argv))
        key = next((k for k in self.answers if k.replace("_", "-") in self.calls[-1]), "")
        return Completed(0, self.answers.get(key, ""), "")


def test_units() -> None:
    text = (
        "a.service                loaded    active     running Words of a description\n"
        "● gone.service           not-found inactive   dead    gone.service\n"
        "b.timer                  loaded    failed     failed\n"
    )
    found = Systemd(Answers(list_units=text)).units()
    assert {name: (unit.load, unit.active, unit.sub, unit.running) for name, unit in found.items()} == {
        "a.service": ("loaded", "active", "running", True),
        "gone.service": ("not-found", "inactive", "dead", False),
        "b.timer": ("loaded", "failed", "failed", False),
    }


def test_jobs() -> None:
    text = "12 multi-user.target start waiting\n 7 a.service restart running\nNo jobs running.\n"
    found = Systemd(Answers(list_jobs=text)).jobs()
    assert found == {"multi-user.target": ("start", "waiting"), "a.service": ("restart", "running")}


def test_show_of_many_with_repeated_lines() -> None:
    text = "Id=a.service\nExecStart={ path=/a }\nExecStart={ path=/b }\n\nId=b.service\nExecStart=\n"
    answers = Answers(show=text)
    found = Systemd(answers).show(["a.service", "b.service"], ("Id", "ExecStart"))
    assert found["a.service"]["ExecStart"] == "{ path=/a }\n{ path=/b }"
    assert found["b.service"] == {"Id": "b.service", "ExecStart": ""}
    assert answers.calls == ["systemctl show --property=Id,ExecStart --no-pager -- a.service b.service"]


def test_nothing_to_do_calls_nothing() -> None:
    answers = Answers()
    systemd = Systemd(answers)
    systemd.queue("start", [])
    systemd.stop([])
    systemd.reset_failed([])
    assert systemd.show([], ("Id",)) == {}
    assert systemd.log("") == []
    assert answers.calls == []


def test_jobs_are_queued_and_never_waited_for() -> None:
    answers = Answers()
    Systemd(answers).queue("start", ["a.service", "b.service"], "ignore-requirements")
    assert answers.calls == ["systemctl start --no-block --job-mode=ignore-requirements -- a.service b.service"]


def test_the_log_is_the_units_own_before_what_is_said_about_it() -> None:
    def run(argv: list[str], **_options: Any) -> Completed:
        return Completed(0, said.get(argv[-1].partition("=")[0], ""), "")

    said = {"_SYSTEMD_INVOCATION_ID": "one\ntwo\n", "INVOCATION_ID": "Failed to start\n"}
    assert Systemd(run).log("12", 1) == ["two"]
    del said["_SYSTEMD_INVOCATION_ID"]
    assert Systemd(run).log("12") == ["Failed to start"]


def test_start_limits_do_not_count_for_a_restart() -> None:
    answers = Answers()
    Systemd(answers).queue("try-restart", ["a.service"])
    assert answers.calls == [
        "systemctl reset-failed -- a.service",
        "systemctl try-restart --no-block -- a.service",
    ]


def test_waits() -> None:
    answers = Answers()
    systemd = Systemd(answers)
    systemd.daemon_reload()
    systemd.stop(["a.service"])
    systemd.bring("start", ["a.service", "-b.service"])
    systemd.bring("start", [])
    assert answers.calls == [
        "systemctl daemon-reload",
        "systemctl stop -- a.service",
        "systemctl start -- a.service -b.service",
    ]


def test_what_must_be_shown_is_shown_or_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Systemd(Answers(show="Id=a\n")).show(["a", "b"], ("Id",), must=True)
    assert Systemd(Answers(show="Id=a\n")).show(["a", "b"], ("Id",)) == {"a": {"Id": "a"}, "b": {}}


def test_a_journal_that_cannot_be_asked_has_no_log() -> None:
    def run(argv: list[str], **_options: Any) -> Completed:
        raise CommandError("journalctl: not done after 10 s")

    assert Systemd(run).log("12") == []
    assert Systemd(Answers()).log("12") == []


def test_which_units_run() -> None:
    states = ("active", "reloading", "activating", "refreshing", "maintenance", "inactive", "failed", "deactivating")
    assert [Unit("a", "loaded", state, "x").running for state in states] == [True] * 5 + [False] * 3


@pytest.mark.parametrize("char", "\x0b\x0c\r\x1c\x85\u2028")
def test_a_text_of_somebody_is_one_value(char: str) -> None:
    """Else a unit's description could say that the unit runs."""
    said = f"x{char}ActiveState=active{char}y.service loaded active running"
    shown = Systemd(Answers(show=f"Id=a.service\nActiveState=failed\nDescription={said}\n")).show(["a.service"], ["Id"])
    assert shown == {"a.service": {"Id": "a.service", "ActiveState": "failed", "Description": said}}
    systemd = Systemd(
        Answers(list_units=f"a.service loaded failed failed {said}\n", list_jobs=f"1 a.service start{char}x\n")
    )
    assert list(systemd.units()) == ["a.service"]
