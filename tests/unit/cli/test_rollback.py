#  SPDX-License-Identifier: MIT
"""extensionctl rollback: no unit stands for it, so it runs in a transient one, or right here on another root."""

from __future__ import annotations

from typing import Any

import pytest
from cli_root import Pid1, Root
from extension_runtime.cli import main
from extension_runtime.cli.options import note
from extension_runtime.pid1 import queries
from pytest_mock import MockerFixture


def test_the_running_machine_goes_back_in_a_service_of_its_own(systemd: Pid1) -> None:
    assert main.main(["rollback"]) == 0
    [command] = [argv for argv in systemd.calls if argv[0] == "systemd-run"]
    assert command[command.index("--") + 2 :] == ["rollback"]
    assert {"--wait", "--pipe", "--collect"} <= set(command)
    assert systemd.jobs() == []


def test_another_root_goes_back_right_here(root: Root, ran: list[tuple[str, str, dict[str, Any]]]) -> None:
    assert main.main(["rollback", f"--root={root.path}"]) == 3
    assert ran == [("rollback", str(root.path), {"dry_run": False, "always": False, "log": note})]


def test_a_dry_run_asks_no_pid_1(
    systemd: Pid1, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str], root: Root
) -> None:
    assert main.main(["rollback", "--dry-run", f"--root={root.path}"]) == 3
    assert ran[0][2]["dry_run"] is True
    assert capsys.readouterr().out.startswith("  1. first\n  2. second\n")
    assert systemd.calls == []


def test_without_systemd_another_root_is_asked_for(
    systemd: Pid1, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    mocker.patch.object(queries, "running", return_value=False)
    assert main.main(["rollback"]) == 1
    said = "extensionctl: rollback: systemd is not PID 1 here; use --root=DIR for another system\n"
    assert capsys.readouterr() == ("", said)
    assert systemd.calls == []


def test_it_has_no_always(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["rollback", "--always"]) == 2
    assert "--always" in capsys.readouterr().err
