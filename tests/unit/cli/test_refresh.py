#  SPDX-License-Identifier: MIT
"""extensionctl refresh: what it asks of PID 1, and what it returns."""

from __future__ import annotations

import os
from typing import Any

import pytest
from cli_root import Pid1, Root
from extension_runtime.cli import main
from extension_runtime.image import forced
from extension_runtime.paths import Paths
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


def test_who_is_forced_is_written_down_before_the_refresh(
    root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two", "three"):
        root.manifest(name)
    assert main.main(["refresh", f"--root={root.path}", "--force=one", "--force", "two.extension"]) == 3
    assert forced.names(Paths(str(root.path))) == {"one", "two"}
    assert [verb for verb, _root, _arguments in ran] == ["refresh"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--force=nobody"], 1, "nobody: there is no such extension; "),
        (["--force=../up"], 1, "../up: there is no such extension; "),
        (["--force=one", "--dry-run"], 2, "--force does not go together with --dry-run"),
        (["--force="], 1, ": there is no such extension; "),
    ],
)
def test_only_known_extensions_are_forced_and_only_for_real(
    root: Root,
    ran: list[tuple[str, str, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    root.manifest("one")
    assert main.main(["refresh", f"--root={root.path}", *arguments]) == status
    assert said in capsys.readouterr().err
    assert (ran, forced.names(Paths(str(root.path)))) == ([], frozenset())


def test_to_force_needs_root(root: Root, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]) -> None:
    root.manifest("one")
    mocker.patch.object(os, "geteuid", return_value=1000)
    assert main.main(["refresh", f"--root={root.path}", "--force=one"]) == 1
    assert "needs root" in capsys.readouterr().err
    assert forced.names(Paths(str(root.path))) == frozenset()
