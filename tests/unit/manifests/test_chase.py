#  SPDX-License-Identifier: MIT
"""Links are followed inside a root, /dev/null and empty files mask, and only text is read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from extension_manifests import chase
from extension_manifests.errors import ManifestError


def link(root: Path, path: str, target: str) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root below a folder that has what a link could lead out to."""
    (tmp_path / "outside").write_text("outside")
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/b/file").write_text("inside")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("target", "real"),
    [
        ("a/b/file", "/a/b/file"),
        ("/a/b/file", "/a/b/file"),
        ("//a/.//b/../b/file", "/a/b/file"),
        ("../../../a/b/file", "/a/b/file"),
        ("/a/b/..", "/a"),
        ("/", "/"),
        ("..", "/"),
        ("/dev/null", "/dev/null"),
    ],
)
def test_a_link_is_resolved_as_if_the_root_were_the_machine(root: Path, target: str, real: str) -> None:
    link(root, "link", target)
    assert chase.chase(str(root), "/link") == real


def test_a_base_is_where_a_name_starts(root: Path) -> None:
    link(root, "a/up", "../a/b/file")
    assert chase.chase(str(root), "file", "/a/b") == "/a/b/file"
    assert chase.chase(str(root), "up", "/a") == "/a/b/file"
    assert chase.chase(str(root), "", "/a") == "/a"


def test_it_never_leads_out(root: Path) -> None:
    link(root, "up", "../outside")
    link(root, "absolute", str(root.parent / "outside"))
    for name in ("/up", "/absolute", "/../outside"):
        with pytest.raises(FileNotFoundError):
            chase.chase(str(root), name)


@pytest.mark.parametrize(("length", "fine"), [(chase.LINKS_MAX, True), (chase.LINKS_MAX + 1, False)])
def test_a_chain_of_links_ends(root: Path, length: int, fine: bool) -> None:
    for number in range(length - 1):
        link(root, f"l{number}", f"l{number + 1}")
    link(root, f"l{length - 1}", "a")
    if fine:
        assert chase.chase(str(root), "/l0") == "/a"
        return
    with pytest.raises(OSError, match="symbolic links") as raised:
        chase.chase(str(root), "/l0")
    assert (raised.value.errno, raised.value.filename) == (errno.ELOOP, "/l0")


def test_what_lies_below_a_file_is_no_directory(root: Path) -> None:
    with pytest.raises(NotADirectoryError):
        chase.chase(str(root), "/a/b/file/below")


def test_masks(root: Path) -> None:
    (root / "empty").write_text("")
    (root / "blank").write_text("\n")
    assert chase.is_mask(str(root), chase.MASK)
    assert chase.is_mask(str(root), "/empty")
    assert not chase.is_mask(str(root), "/blank")
    assert not chase.is_mask(str(root), "/a")
    assert chase.is_mask("", os.path.realpath("/dev/null"))
    assert not chase.is_mask("", os.path.realpath("/dev/zero"))
    with pytest.raises(FileNotFoundError):
        chase.is_mask(str(root), "/missing")


def test_text_is_read_to_the_last_byte_that_may_be(root: Path) -> None:
    (root / "text").write_bytes(b"#" * (chase.SIZE_MAX - 2) + "é".encode())
    assert chase.read_text(str(root), "/text", "/shown") == "#" * (chase.SIZE_MAX - 2) + "é"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "/shown: cannot be read: No such file or directory"),
        ("a", "/shown: is a directory; put a regular file there"),
        ("link", "/shown: is a special file; put a regular file there"),
        ("large", "/shown: is larger than 1 MiB; that is no text for this program"),
        ("nul", "/shown:2: holds a NUL byte; write plain text"),
        ("latin", "/shown:3: is not UTF-8; save the file in that encoding"),
    ],
)
def test_what_is_no_text_says_so(root: Path, name: str, message: str) -> None:
    link(root, "link", "a/b/file")  # a resolved path has no link left in it
    (root / "large").write_bytes(b"#" * (chase.SIZE_MAX + 1))
    (root / "nul").write_bytes(b"a\n\0\n")
    (root / "latin").write_bytes(b"a\n\n\xff\n")
    with pytest.raises(ManifestError) as raised:
        chase.read_text(str(root), f"/{name}", "/shown")
    assert str(raised.value) == message
