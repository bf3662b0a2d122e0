#  SPDX-License-Identifier: MIT
"""The parsed command line by default, who may read what is merged, and notes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.cli import options
from extension_runtime.cli.options import Options, UsageError


def test_without_a_word_it_is_the_status_of_the_running_machine_for_people() -> None:
    found = Options()
    assert (found.verb, found.root, found.json) == ("status", "", "off")
    assert (found.legend, found.pager, found.always, found.dry_run) == (True, True, False, False)


def test_exit_statuses_are_those_of_the_manual() -> None:
    assert (options.DONE, options.FAILED, options.WRONG_USAGE, options.LEFT_OUT) == (0, 1, 2, 3)


def test_wrong_usage_is_one_of_our_errors() -> None:
    assert issubclass(UsageError, ExtensionError)


def test_what_is_not_there_may_be_read_and_what_is_there_if_the_system_lets(tmp_path: Path) -> None:
    assert options.may_read(str(tmp_path / "missing"))
    assert options.may_read(str(tmp_path))
    closed = tmp_path / "closed"
    for mode in (0o000, 0o100, 0o400, 0o600, 0o500):
        closed.mkdir(mode, exist_ok=True)
        closed.chmod(mode)
        # Root may read everything.
        assert options.may_read(str(closed)) is (os.geteuid() == 0 or mode == 0o500)


def test_a_note_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    options.note("what is merged is recorded for root only")
    assert capsys.readouterr() == ("", "extensionctl: what is merged is recorded for root only\n")
