#  SPDX-License-Identifier: MIT
"""What a tree on a disk is to a comparison: kinds, targets, contents, and what folders are."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest
from extension_runtime.layers import outline
from extension_runtime.layers.harm import FILE, FOLDER, LINK, SPECIAL, WHITE
from extension_runtime.layers.outline import Outline
from requirements import require_root


def test_every_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("gone")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    expected = {"file": FILE, "folder": FOLDER, "link": LINK, "dangling": LINK, "pipe": SPECIAL, "socket": SPECIAL}
    assert Outline(str(tmp_path)).kinds("") == expected


def test_names_that_are_no_text(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    with open(os.fsencode(tmp_path) + b"/\xff/new\nline", "wb"):
        pass
    tree = Outline(str(tmp_path))
    assert tree.kinds("") == {"\udcff": FOLDER}
    assert tree.kinds("\udcff") == {"new\nline": FILE}
    assert tree.traits("\udcff").mode == stat.S_IMODE(os.stat(os.fsencode(tmp_path) + b"/\xff").st_mode)


def test_devices_and_whiteouts(tmp_path: Path) -> None:
    require_root()
    os.mknod(tmp_path / "white", stat.S_IFCHR, os.makedev(0, 0))
    os.mknod(tmp_path / "null", stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(tmp_path / "block", stat.S_IFBLK, os.makedev(0, 0))
    assert Outline(str(tmp_path)).kinds("") == {"white": WHITE, "null": SPECIAL, "block": SPECIAL}


def test_an_empty_file_with_an_attribute_is_a_whiteout_whatever_its_folder_says(tmp_path: Path) -> None:
    require_root()
    for folder, mark in (("marked", b"x"), ("opaque", b"y"), ("plain", b"")):
        (tmp_path / folder).mkdir()
        for name in ("white", "file"):
            (tmp_path / folder / name).touch()
        (tmp_path / folder / "full").write_text("1")
        for name in ("white", "full"):
            os.setxattr(tmp_path / folder / name, "trusted.overlay.whiteout", b"")
        if mark:
            os.setxattr(tmp_path / folder, "trusted.overlay.opaque", mark)
        tree = Outline(str(tmp_path))
        assert set(tree.kinds(folder).values()) == {FILE}
        assert [tree.hides(f"{folder}/{name}") for name in ("white", "file", "full")] == [True, False, False]
    tree = Outline(str(tmp_path))
    # A folder with such hides nothing by itself.
    assert [tree.traits(name).bent for name in ("marked", "opaque", "plain")] == ["", "opaque", ""]
    os.setxattr(tmp_path / "plain", "trusted.overlay.redirect", b"/other")
    assert tree.traits("plain").bent == "redirect"


def test_marks_of_unprivileged_overlays_mean_nothing(tmp_path: Path) -> None:
    try:
        os.setxattr(tmp_path, "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("no user.* attributes here")
    found = Outline(str(tmp_path)).traits("")
    assert (found.bent, found.labels) == ("", {"user.overlay.opaque": b"y"})


def test_a_folder_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    tree = Outline(str(tmp_path))
    assert tree.kinds("") == {"one": FILE}
    (tmp_path / "two").touch()
    assert tree.kinds("") == {"one": FILE}


def test_what_is_no_folder_has_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    tree = Outline(str(tmp_path))
    assert tree.kinds("missing") == tree.kinds("file") == tree.kinds("file/inside") == {}


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Outline(str(tmp_path))
    for read in (tree.traits, tree.target, tree.hides, lambda path: list(tree.blocks(path))):
        with pytest.raises(OSError):
            read("missing")

    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(OSError, match="Input/output error"):
            tree.kinds("")
    with monkeypatch.context() as patch:
        patch.setattr(os, "listxattr", refuse)
        with pytest.raises(OSError, match="Input/output error"):
            tree.traits("")


def test_a_file_system_without_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", refuse)
    monkeypatch.setattr(os, "getxattr", refuse)
    (tmp_path / "file").touch()
    tree = Outline(str(tmp_path))
    assert tree.kinds("") == {"file": FILE}
    assert (tree.traits("").labels, tree.traits("").bent) == ({}, "")


def test_mode_owner_and_attributes(tmp_path: Path) -> None:
    tmp_path.chmod(0o2751)
    labels = {}
    try:
        os.setxattr(tmp_path, "user.label", b"\x00\xff")
        labels = {"user.label": b"\x00\xff"}
    except OSError:
        pass  # nothing to see of it here
    found = outline.traits(str(tmp_path))
    assert (found.mode, found.uid, found.gid, found.labels) == (0o2751, os.getuid(), tmp_path.stat().st_gid, labels)
    assert found.same(Outline(str(tmp_path)).traits(""))
    tmp_path.chmod(0o751)
    assert not found.same(outline.traits(str(tmp_path)))


def test_targets_and_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "BLOCK", 4)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/link").symlink_to("../some//where")
    (tmp_path / "folder/file").write_bytes(b"123456789")
    (tmp_path / "empty").touch()
    tree = Outline(str(tmp_path))
    assert tree.target("folder/link") == "../some//where"
    assert list(tree.blocks("folder/file")) == [b"1234", b"5678", b"9"]
    assert list(tree.blocks("empty")) == []
    with pytest.raises(OSError):
        list(tree.blocks("folder/link"))  # a link is none
