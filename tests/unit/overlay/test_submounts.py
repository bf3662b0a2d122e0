#  SPDX-License-Identifier: MIT
"""Where nothing is mounted below a hierarchy nothing is carried; the rest is held where mounts can be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.overlay import submounts


def test_a_folder_without_mounts_carries_none(tmp_path: Path) -> None:
    (tmp_path / "usr/local").mkdir(parents=True)
    (tmp_path / "place").mkdir()
    assert submounts.carry_submounts(str(tmp_path / "usr"), str(tmp_path / "place")) == []
    assert os.listdir(tmp_path / "place") == []


def test_a_hierarchy_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        submounts.carry_submounts(str(tmp_path / "missing"), str(tmp_path))
    with pytest.raises(FileNotFoundError):
        submounts.added_submounts(str(tmp_path / "missing"), 1)


@pytest.mark.parametrize(
    ("path", "inside"), [("/usr", True), ("/", True), ("/us", False), ("/usr/local", False), ("/opt", False)]
)
def test_a_mount_holds_what_is_at_or_below_it(path: str, inside: bool) -> None:
    assert submounts._within(path, "/usr") is inside
    assert submounts._within(path, "/usr/lib") is inside
