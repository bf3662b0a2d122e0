#  SPDX-License-Identifier: MIT
"""Where nothing is mounted below a hierarchy nothing is carried; the rest is held where mounts can be made."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from extension_runtime.kernel import syscalls
from extension_runtime.overlay import submounts


def test_a_folder_without_mounts_carries_none(tmp_path: Path) -> None:
    (tmp_path / "usr/local").mkdir(parents=True)
    (tmp_path / "place").mkdir()
    carried = submounts.carry_submounts(str(tmp_path / "usr"), str(tmp_path / "place"), str(tmp_path / "spare"))
    carried.close()
    carried.close()
    assert (carried.paths, carried.kept, carried.made) == ([], [], [])
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


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_place_that_is_missing_is_made_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_folder: bool
) -> None:
    moved: list[str] = []

    def move_mount(_tree: int, _target: str, target_fd: int) -> None:
        moved.append(os.readlink(f"/proc/self/fd/{target_fd}"))

    monkeypatch.setattr(syscalls, "move_mount", move_mount)
    (tmp_path / "there").mkdir()
    carried = submounts.Carried(str(tmp_path))
    carried.carry(-1, "there/a/b", is_folder, True)
    assert moved == [f"{tmp_path}/there/a/b"]
    assert (tmp_path / "there/a/b").is_dir() is is_folder
    assert carried.made == ["there/a", "there/a/b"]
    for path, number in (("there/other", errno.ENOENT), ("link/x", errno.ELOOP)):
        (tmp_path / "link").symlink_to("there") if not (tmp_path / "link").is_symlink() else None
        with pytest.raises(OSError) as raised:
            carried.carry(-1, path, True, number == errno.ELOOP)
        assert raised.value.errno == number
    carried.take_back()
    assert sorted(os.listdir(tmp_path)) == ["link", "there"]
    assert os.listdir(tmp_path / "there") == []
    carried.close()


def test_one_that_somebody_uses_by_now_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "move_mount", lambda *_args, **_more: None)
    carried = submounts.Carried(str(tmp_path))
    carried.carry(-1, "a", True, True)
    (tmp_path / "a/file").write_text("")
    carried.take_back()
    assert os.listdir(tmp_path / "a") == ["file"]
    carried.close()
