#  SPDX-License-Identifier: MIT
"""extensionctl merge: its unit is started, once."""

from __future__ import annotations

import pytest
from cli_root import Pid1
from extension_runtime.cli import main


def test_merge_and_unmerge_are_a_unit_too(systemd: Pid1, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["merge"]) == 0
    systemd.properties["ActiveState"] = "active"
    assert main.main(["unmerge"]) == 0
    assert systemd.jobs() == ["start -- extensions-merge.service", "stop -- extensions-merge.service"]
    assert main.main(["merge"]) == 0
    assert len(systemd.jobs()) == 2
    assert "already merged" in capsys.readouterr().out


def test_a_unit_that_is_not_installed_is_told(systemd: Pid1, capsys: pytest.CaptureFixture[str]) -> None:
    systemd.properties["LoadState"] = "not-found"
    systemd.returncode = 5
    assert main.main(["merge"]) == 1
    assert "make install" in capsys.readouterr().err
