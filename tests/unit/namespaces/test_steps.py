#  SPDX-License-Identifier: MIT
"""The steps that concern services' namespaces: how they read, and that nothing is done where nothing is merged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.kernel.mountinfo import Mount
from extension_runtime.namespaces import steps
from extension_runtime.namespaces.spread import Spread
from extension_runtime.namespaces.steps import SpreadBack, SpreadOut
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths

OURS = Mount("31 30 0:45 / /usr rw - overlay extensions:usr:4 ro")


@pytest.fixture
def usr(tmp_path: Path) -> Hierarchy:
    """A hierarchy that never was merged: there is no base."""
    (tmp_path / "run").mkdir()
    return Hierarchy("usr", str(tmp_path), Paths(str(tmp_path)))


def scratch(path: Path) -> str:
    return str(path / "run/staging")


def test_steps_say_what_they_do(tmp_path: Path) -> None:
    there, back = SpreadOut({}, scratch(tmp_path), lambda _text: None), SpreadBack({}, scratch(tmp_path))
    assert (back.name, back.text) == ("watch", "watch the mount namespaces of services")
    assert (there.name, there.text) == ("spread", "bring the mount namespaces of services up to date")


def test_where_nothing_is_merged_nothing_is_spread(tmp_path: Path, usr: Hierarchy) -> None:
    logged: list[str] = []
    there = SpreadOut({"usr": usr}, scratch(tmp_path), logged.append)
    there.do()
    there.undo()
    SpreadBack({"usr": usr}, scratch(tmp_path)).undo()
    assert (there.result.namespaces, there.result.failed, logged) == (0, [], [])
    assert os.listdir(tmp_path / "run") == []


def test_before_the_swap_there_is_nothing_to_do_elsewhere(tmp_path: Path, usr: Hierarchy) -> None:
    SpreadBack({"usr": usr}, scratch(tmp_path)).do()
    assert os.listdir(tmp_path / "run") == []


def test_a_service_that_stays_behind_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = Spread()
    result.failed.append("a.service: /usr/x: mounted by the sandbox, but not in the new content")
    monkeypatch.setattr(steps, "spread", lambda _found, _scratch: result)
    logged: list[str] = []
    SpreadOut({}, scratch(tmp_path), logged.append).do()
    assert logged == [
        "a.service: /usr/x: mounted by the sandbox, but not in the new content; "
        "the service in it sees the old content until it is restarted"
    ]
