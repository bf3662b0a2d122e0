#  SPDX-License-Identifier: MIT
"""What a terminal shows while a unit is waited for, and that nothing else is shown elsewhere."""

from __future__ import annotations

import os
import pty
import sys
import time

import pytest
from extension_runtime import commands
from extension_runtime.verbs import pid1, progress
from pytest_mock import MockerFixture

DONE = commands.Completed(0, "", "")


def test_a_terminal_shows_the_status_of_the_unit_and_is_left_clean(
    mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_action: str, _unit: str) -> commands.Completed:
        time.sleep(3 * progress.INTERVAL)
        return DONE

    mocker.patch.object(pid1, "run_unit", side_effect=slow)
    mocker.patch.object(pid1, "show", return_value={"a.service": {"StatusText": "swap /usr"}})
    controller, terminal = pty.openpty()
    with open(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        assert progress.run_unit("start", "a.service") is DONE
        monkeypatch.undo()
        shown = os.read(controller, 4096).decode()
    os.close(controller)
    assert "start a.service: swap /usr" in shown
    assert shown.endswith("\r\033[K")


def test_without_a_terminal_nothing_is_shown(mocker: MockerFixture, capfd: pytest.CaptureFixture[str]) -> None:
    mocker.patch.object(pid1, "run_unit", return_value=DONE)
    assert progress.run_unit("start", "a.service") is DONE
    assert capfd.readouterr() == ("", "")
