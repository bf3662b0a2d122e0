#  SPDX-License-Identifier: MIT
"""/dev/null and empty files mask, and only text is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests import origin, textfile
from extension_manifests.errors import ManifestError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    return tmp_path


def test_masks(root: Path) -> None:
    (root / "empty").write_text("")
    (root / "blank").write_text("\n")
    assert textfile.is_mask(origin.MASK)
    assert textfile.is_mask(f"{root}/empty")
    assert not textfile.is_mask(f"{root}/blank")
    assert not textfile.is_mask(f"{root}/a")
    assert textfile.is_mask(os.path.realpath("/dev/null"))
    assert not textfile.is_mask(os.path.realpath("/dev/zero"))
    with pytest.raises(FileNotFoundError):
        textfile.is_mask(f"{root}/missing")


def test_text_is_read_to_the_last_byte_that_may_be(root: Path) -> None:
    (root / "text").write_bytes(b"#" * (textfile.SIZE_MAX - 2) + "é".encode())
    assert textfile.read_text(f"{root}/text", "/shown") == "#" * (textfile.SIZE_MAX - 2) + "é"


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
    (root / "link").symlink_to("a")  # a resolved path has no link left in it
    (root / "large").write_bytes(b"#" * (textfile.SIZE_MAX + 1))
    (root / "nul").write_bytes(b"a\n\0\n")
    (root / "latin").write_bytes(b"a\n\n\xff\n")
    with pytest.raises(ManifestError) as raised:
        textfile.read_text(f"{root}/{name}", "/shown")
    assert str(raised.value) == message
