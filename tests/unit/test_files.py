#  SPDX-License-Identifier: MIT
"""Files are replaced whole, and a folder of ours is really one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime import files
from extension_runtime.files import StateError


def test_a_file_is_replaced_and_for_root_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    path.chmod(0o644)
    left = tmp_path / "state.json.new"
    left.write_text("left over from a crash, and longer")
    left.chmod(0o600)
    files.replace(str(path), "größe\n")
    assert path.read_text() == "größe\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["state.json"]


def test_whoever_has_it_open_reads_the_old_one_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    with path.open() as file:
        files.replace(str(path), "new text")
        assert file.read() == "old"


def test_what_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_text("old")

    def full(_source: str, _target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(StateError, match=f"^{path}: No space left on device$"):
        files.replace(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_no_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("1")
    (tmp_path / "f.new").symlink_to("precious")
    with pytest.raises(StateError, match=f"^{tmp_path}/f: .*symbolic links"):
        files.replace(str(tmp_path / "f"), "new")
    assert (tmp_path / "precious").read_text() == "1"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=f"^{tmp_path}/none/f: No such file or directory$"):
        files.replace(str(tmp_path / "none/f"), "new")


def test_a_folder_has_its_mode_and_its_parents_another(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        files.folder(str(tmp_path / "a/b"))
        files.folder(str(tmp_path / "c"), 0o755)
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "c")]
    assert modes == [0o755, 0o700, 0o755]


def test_a_folder_of_another_user_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(StateError, match=f"^{tmp_path}: not a folder of the user {user}; remove it$"):
        files.folder(str(tmp_path))


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StateError, match=f"^{tmp_path}/{kind}: not a folder of the user {os.geteuid()}; remove it$"):
        files.folder(str(tmp_path / kind))


def test_only_empty_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / "full/below").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "file").write_text("")
    files.remove_empty(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["file", "full", "link"]
    assert os.listdir(tmp_path / "full") == ["below"]
    files.remove_empty(str(tmp_path / "missing"))


def test_what_a_killed_write_left_lends_no_rights(tmp_path: Path) -> None:
    beside = tmp_path / "text.new"
    beside.write_text("half")
    beside.chmod(0o644)
    files.replace(str(tmp_path / "text"), "whole")
    assert (tmp_path / "text").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "text").read_text() == "whole"


def test_a_fifo_in_the_way_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "text.new")
    with pytest.raises(StateError, match="No such device or address"):
        files.replace(str(tmp_path / "text"), "whole")


def test_folder_makes_its_parents_and_takes_no_link(tmp_path: Path) -> None:
    files.folder(str(tmp_path / "a/b/c"))
    assert (tmp_path / "a/b/c").stat().st_mode & 0o777 == 0o700
    files.folder(str(tmp_path / "a/b/c"))
    os.symlink(tmp_path / "a", tmp_path / "link")
    (tmp_path / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(StateError, match="not a folder of the user"):
            files.folder(str(tmp_path / name))
    with pytest.raises(StateError, match=r"Not a directory|File exists"):
        files.folder(str(tmp_path / "file/below"))


def test_remove_empty_removes_nothing_that_has_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("1")
    files.remove_empty(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["file", "full"]
    files.remove_empty(str(tmp_path / "missing"))


def test_a_file_of_ours_is_read_whatever_became_of_it(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("größe")
    assert files.read(str(path), 7) == "größe"
    with pytest.raises(StateError, match=f"^{path}: has more than 6 bytes; remove it$"):
        files.read(str(path), 6)
    path.write_bytes(b"\xff")
    with pytest.raises(StateError, match=f"^{path}: is not UTF-8; remove it$"):
        files.read(str(path), 6)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        files.read(str(path), 6)
    os.mkfifo(path)
    with pytest.raises(StateError, match=f"^{path}: is no regular file; remove it$"):
        files.read(str(path), 6)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(StateError, match=f"^{path}: cannot be read: Too many levels of symbolic links$"):
        files.read(str(path), 6)
