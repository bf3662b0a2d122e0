#  SPDX-License-Identifier: MIT
"""extensionctl refresh: what it asks of PID 1, and what it returns."""

from __future__ import annotations

import os

import pytest
from cli_root import Pid1
from extension_runtime.cli import main
from extension_runtime.pid1 import queries
from pytest_mock import MockerFixture


def test_refresh_starts_the_unit_that_can_fail(systemd: Pid1, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["refresh"]) == 0
    assert systemd.jobs() == ["start -- extensions-refresh.service"]
    assert capsys.readouterr().out == "one line of the log\n"


def test_refresh_does_not_just_join_one_that_may_have_looked_before(systemd: Pid1) -> None:
    systemd.properties["ActiveState"] = "activating"
    assert main.main(["refresh"]) == 0
    assert systemd.jobs() == ["start -- extensions-refresh.service"] * 2


@pytest.mark.parametrize(("status", "expected"), [("3", 3), ("1", 1), ("0", 1)])
def test_a_failed_refresh_returns_what_its_process_did(
    systemd: Pid1, status: str, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    systemd.returncode = 1
    systemd.properties |= {"ExecMainStatus": status, "Result": "exit-code"}
    assert main.main(["refresh"]) == expected
    said = capsys.readouterr().out
    assert "one line of the log\n" in said
    assert ("systemctl status extensions-refresh.service" in said) is (expected == 1)


def test_a_change_needs_root_and_systemd(
    systemd: Pid1, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    mocker.patch.object(queries, "running", return_value=False)
    assert main.main(["refresh"]) == 1
    assert "--root=DIR" in capsys.readouterr().err
    mocker.patch.object(os, "geteuid", return_value=1000)
    assert main.main(["refresh"]) == 1
    assert "needs root" in capsys.readouterr().err
    assert systemd.jobs() == []


def test_a_refresh_works_while_pid_1_has_lost_its_unit(systemd: Pid1) -> None:
    systemd.properties["LoadState"] = "not-found"
    assert main.main(["refresh"]) == 0
    [command] = [argv for argv in systemd.calls if argv[0] == "systemd-run"]
    assert command[-1] == "refresh"
