#  SPDX-License-Identifier: MIT
"""What a terminal shows while a unit is waited for, and that nothing else is shown elsewhere."""

from __future__ import annotations

import os
import pty
import sys
import threading
import time

import pytest
from extension_runtime.cli import progress
from extension_runtime.pid1 import commands, queries
from pytest_mock import MockerFixture

DONE = commands.Completed(0, "", "")
CLEAN = "\r\033[K"
END = "the end"


def read_until(terminal: int, end: str) -> str:
    """What comes out of a terminal until it ends with `end`: it comes in pieces, cut anywhere."""
    shown = b""
    while not shown.endswith(end.encode()) and (piece := os.read(terminal, 4096)):
        shown += piece
    return shown.decode()


def test_a_terminal_shows_the_status_of_the_unit_and_is_left_clean(
    mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    def slow(_action: str, _unit: str) -> commands.Completed:
        assert looked.wait(60)  # not for a time: on a busy machine that is over before the first look
        return DONE

    def show(_units: list[str], _properties: tuple[str, ...]) -> dict[str, dict[str, str]]:
        looked.set()
        return {"a.service": {"StatusText": "swap /usr"}}

    mocker.patch.object(queries, "run_unit", side_effect=slow)
    mocker.patch.object(queries, "show", side_effect=show)
    controller, terminal = pty.openpty()
    with open(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        assert progress.run_unit("start", "a.service") is DONE
        monkeypatch.undo()
        screen.write(END)
        screen.flush()
        shown = read_until(controller, END)
    os.close(controller)
    # How often it looks depends on how busy the machine is.
    lines = shown.removesuffix(END).split(CLEAN)
    assert (lines[0], lines[-1], set(lines[1:-1])) == ("", "", {"start a.service: swap /usr"})


def test_a_terminal_is_read_to_its_end_however_it_is_cut() -> None:
    reader, writer = os.pipe()
    text = f"{CLEAN}one{CLEAN}two{CLEAN}{END}"

    def write() -> None:
        for byte in text.encode():
            os.write(writer, bytes([byte]))
            time.sleep(0)

    worker = threading.Thread(target=write)
    worker.start()
    assert read_until(reader, END) == text
    worker.join()
    os.close(reader)
    os.close(writer)


def test_without_a_terminal_nothing_is_shown(mocker: MockerFixture, capfd: pytest.CaptureFixture[str]) -> None:
    mocker.patch.object(queries, "run_unit", return_value=DONE)
    assert progress.run_unit("start", "a.service") is DONE
    assert capfd.readouterr() == ("", "")
