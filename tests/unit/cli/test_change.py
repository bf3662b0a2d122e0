#  SPDX-License-Identifier: MIT
"""How verbs change what is merged: right here, through a unit, or in a transient one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_root import Pid1, Root
from extension_runtime.cli import main
from extension_runtime.cli.options import note

TOP = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("verb", ["merge", "refresh", "unmerge", "rollback"])
def test_another_root_is_changed_right_here(
    verb: str, root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([verb, f"--root={root.path}"]) == 3
    [(called, where, arguments)] = ran
    assert (called, where, arguments["dry_run"]) == (verb, str(root.path), False)
    assert capsys.readouterr().out == "a message\n"


def test_what_was_left_out_is_told_with_the_reason(
    root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    root.manifest("lost")
    root.manifest("old")
    root.merged(old={"reason": "kept at 1.0"})
    assert main.main(["refresh", f"--root={root.path}"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a message"
    assert lines[1].startswith("left out: lost: lost: no such image")
    assert lines[2] == "not updated: old: kept at 1.0"
    assert main.main(["refresh", f"--root={root.path}", "--json=short"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["exit_code"], found["messages"]) == (3, ["a message"])
    assert [entry["name"] for entry in found["left_out"]] == ["lost", "old"]


def test_a_dry_run_prints_the_steps(
    root: Root,
    ran: list[tuple[str, str, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["refresh", "--dry-run", "--always", f"--root={root.path}"]) == 3
    assert ran[0][2] == {"dry_run": True, "always": True, "log": note}
    assert capsys.readouterr().out == "  1. first\n  2. second\na message\n"


def test_what_no_unit_stands_for_runs_in_a_transient_one(systemd: Pid1) -> None:
    assert main.main(["rollback"]) == 0
    assert main.main(["refresh", "--always"]) == 0
    # Merged by a refresh, with the unit of the merge not active.
    assert main.main(["unmerge"]) == 0
    transient = [argv for argv in systemd.calls if argv[0] == "systemd-run"]
    helper = str(TOP / "helpers/extensions-merge")
    arguments = [argv[argv.index("--") + 1 :] for argv in transient]
    assert arguments == [[helper, "rollback"], [helper, "refresh", "--always"], [helper, "unmerge"]]
