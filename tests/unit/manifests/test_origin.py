#  SPDX-License-Identifier: MIT
"""Links are followed inside a root, and what is merged is read as if it were not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from extension_manifests import origin
from extension_manifests.origin import Origin


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
    assert Origin(str(root)).chase("/link") == real


def test_a_base_is_where_a_name_starts(root: Path) -> None:
    link(root, "a/up", "../a/b/file")
    assert Origin(str(root)).chase("file", "/a/b") == "/a/b/file"
    assert Origin(str(root)).chase("up", "/a") == "/a/b/file"
    assert Origin(str(root)).chase("", "/a") == "/a"


def test_it_never_leads_out(root: Path) -> None:
    link(root, "up", "../outside")
    link(root, "absolute", str(root.parent / "outside"))
    for name in ("/up", "/absolute", "/../outside"):
        with pytest.raises(FileNotFoundError):
            Origin(str(root)).chase(name)


@pytest.mark.parametrize(("length", "fine"), [(origin.LINKS_MAX, True), (origin.LINKS_MAX + 1, False)])
def test_a_chain_of_links_ends(root: Path, length: int, fine: bool) -> None:
    for number in range(length - 1):
        link(root, f"l{number}", f"l{number + 1}")
    link(root, f"l{length - 1}", "a")
    if fine:
        assert Origin(str(root)).chase("/l0") == "/a"
        return
    with pytest.raises(OSError, match="symbolic links") as raised:
        Origin(str(root)).chase("/l0")
    assert (raised.value.errno, raised.value.filename) == (errno.ELOOP, "/l0")


def test_what_lies_below_a_file_is_no_directory(root: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Origin(str(root)).chase("/a/b/file/below")
