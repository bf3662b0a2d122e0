#  SPDX-License-Identifier: MIT
"""What the directory of a layer holds, and what it hides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.layers import compare
from extension_runtime.layers.listing import OPAQUE, WHITEOUT, Folder, sources
from extension_runtime.layers.lookup import BLOCK, Layer
from injected import each_error


def test_reads_directories(tmp_path: Path) -> None:
    for layer, content, when in (("one", "same", 1), ("two", "same", 2), ("three", "else", 1)):
        (tmp_path / layer / "d").mkdir(parents=True)
        (tmp_path / layer / "d" / "f").write_text(content)
        (tmp_path / layer / "l").symlink_to(content)
        os.utime(tmp_path / layer / "d" / "f", (when, when))

    def kinds(old: str, new: str) -> dict[str, str]:
        stacks = sources([Layer("e", str(tmp_path / old))], [Layer("e", str(tmp_path / new))], None)
        found = compare.compare(*stacks, "opt")
        return {c.path: c.kind for c in found}

    assert kinds("one", "one") == {}
    assert kinds("one", "two") == {}  # rebuilt, the same content
    assert kinds("one", "three") == {"/opt/d/f": "modified", "/opt/l": "modified"}
    (tmp_path / "two" / "d").chmod(0o700)
    assert kinds("one", "two") == {"/opt/d": "modified"}


def test_a_missing_or_unreadable_layer_is_empty(tmp_path: Path) -> None:
    assert Folder(str(tmp_path / "missing")).entries("") == {}
    (tmp_path / "file").write_text("")
    assert Folder(str(tmp_path / "file")).entries("") == {}


def test_kinds_of_entries(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    found = Folder(str(tmp_path)).entries("")
    assert {name: (item.kind, item.target) for name, item in found.items()} == {
        "file": ("file", ""),
        "folder": ("folder", ""),
        "link": ("link", "file"),
        "fifo": ("other", "0"),
    }
    info = (tmp_path / "file").stat()
    assert (found["file"].size, found["file"].mode, found["file"].mtime) == (4, info.st_mode, info.st_mtime_ns)
    assert (found["file"].uid, found["file"].gid) == (info.st_uid, info.st_gid)
    assert found["folder"].mode & 0o777 == 0o700
    assert not found["folder"].opaque


def test_attributes_of_overlayfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root may set those, and only on some file systems, so they are told here."""
    for name in ("plain", "opaque", "marked"):
        (tmp_path / name).mkdir()
    for name in ("plain/f", "marked/gone", "marked/empty"):
        (tmp_path / name).write_text("")
    (tmp_path / "marked/full").write_text("x")
    said = {
        ("opaque", OPAQUE): b"y",
        ("marked", OPAQUE): b"x",
        ("plain/f", WHITEOUT): b"",
        ("marked/gone", WHITEOUT): b"",
        ("marked/full", WHITEOUT): b"",
    }

    def getxattr(path: str, name: str, *, follow_symlinks: bool) -> bytes:
        assert not follow_symlinks
        value = said.get((os.path.relpath(path, tmp_path), name))
        if value is None:
            raise OSError(61, "No data available")
        return value

    monkeypatch.setattr(os, "getxattr", getxattr)
    folder = Folder(str(tmp_path))
    assert {name: item.opaque for name, item in folder.entries("").items()} == {
        "plain": False,
        "opaque": True,
        "marked": False,
    }
    assert {name: item.kind for name, item in folder.entries("marked").items()} == {
        "gone": "whiteout",
        "empty": "file",
        "full": "file",
    }
    # A folder should be marked for that, but a look-up in an overlay goes without.
    assert folder.entries("plain")["f"].kind == "whiteout"


def test_a_device_of_number_0_is_a_whiteout(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.mknod(tmp_path / "gone", 0o020600, 0)
        os.mknod(tmp_path / "null", 0o020600, os.makedev(1, 3))
        found = Folder(str(tmp_path)).entries("")
        assert (found["gone"].kind, found["null"].kind) == ("whiteout", "other")
        assert found["null"].target == str(os.makedev(1, 3))


def test_a_folder_is_read_once(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    assert folder.entries("") == {}
    (tmp_path / "new").write_text("")
    assert folder.entries("") == {}
    assert list(Folder(str(tmp_path)).entries("")) == ["new"]


def test_content_comes_in_blocks_and_never_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_bytes(b"x" * (BLOCK + 1))
    (tmp_path / "d/l").symlink_to("f")
    folder = Folder(str(tmp_path))
    assert [len(block) for block in folder.blocks("d/f")] == [BLOCK, 1]
    with pytest.raises(OSError, match="symbolic links"):
        list(folder.blocks("d/l"))


def test_a_layer_that_stays_is_one_object(tmp_path: Path) -> None:
    one, two = Layer("a", str(tmp_path / "1")), Layer("a", str(tmp_path / "2"))
    old, new = sources([one], [Layer("a", one.path), two], str(tmp_path / "base"))
    assert [source.extension for source in old] == ["", "a"]
    assert [source.extension for source in new] == ["", "a", "a"]
    assert old == new[:2]
    assert new[2] not in old
    assert sources([one], [], None)[1] == []


@each_error
def test_what_is_raised_over_a_folder_is_remembered_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("bad", "good"):
        (tmp_path / name / "inside").mkdir(parents=True)
    layer = Folder(str(tmp_path))
    original = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("/bad"):
            raise error
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert (list(layer.entries("good")), layer.problem) == (["inside"], None)
    assert layer.entries("bad") == {}
    assert layer.entries("missing") == {}
    assert layer.entries("good/inside") == {}
    assert layer.problem is error
