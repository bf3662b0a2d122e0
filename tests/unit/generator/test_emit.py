#  SPDX-License-Identifier: MIT
"""Units are written exclusively; what is in the way is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from extension_generator.emit import emit, listing, owner
from extension_generator.render import Symlink

if TYPE_CHECKING:
    from extension_generator.render import Output


def test_writes_text_and_links(tmp_path: Path) -> None:
    output: Output = {"a.mount": "text\n", "x.wants/a.mount": Symlink("../a.mount"), "d/e/f.conf": "more\n"}
    assert emit(str(tmp_path), output) == []
    assert (tmp_path / "a.mount").read_text() == "text\n"
    assert (tmp_path / "a.mount").stat().st_mode & 0o777 == 0o644
    assert os.readlink(tmp_path / "x.wants/a.mount") == "../a.mount"
    assert (tmp_path / "d/e/f.conf").read_text() == "more\n"


def test_never_writes_over_or_through(tmp_path: Path) -> None:
    (tmp_path / "a.mount").write_text("[Unit]\nSourcePath=/etc/fstab\n")
    (tmp_path / "b.mount").symlink_to("elsewhere")
    (tmp_path / "c.mount").write_text("")
    (tmp_path / "d").write_text("a file where a directory has to be")
    output: Output = {"a.mount": "x", "b.mount": "x", "c.mount": Symlink("y"), "d/e": "x", "z.mount": "x"}
    errors = [str(error).removeprefix(f"{tmp_path}/") for error in emit(str(tmp_path), output)]
    end = "; remove the other or rename the extension"
    assert errors == [
        f"a.mount exists already, made from /etc/fstab{end}",
        f"b.mount exists already, a link to elsewhere{end}",
        f"c.mount exists already, made by another generator{end}",
        "d/e cannot be written: Not a directory",
    ]
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "c.mount").read_text() == ""
    assert (tmp_path / "z.mount").read_text() == "x"


def test_missing_directory_is_made(tmp_path: Path) -> None:
    assert emit(str(tmp_path / "new/normal"), {"a.mount": "x"}) == []
    assert (tmp_path / "new/normal/a.mount").exists()


def test_listing_has_every_path() -> None:
    assert listing({"a.mount": "t\n", "x/a": Symlink("y")}) == "# a.mount\nt\n\n# x/a -> y\n\n"


def test_what_cannot_be_read_is_another_generators(tmp_path: Path) -> None:
    (tmp_path / "a.mount").mkdir()
    (tmp_path / "b.mount").write_bytes(b"\xff\nSourcePath= /etc/x \n")
    assert owner(str(tmp_path / "a.mount")) == "made by another generator"
    assert owner(str(tmp_path / "b.mount")) == "made from /etc/x"
    assert owner(str(tmp_path / "missing")) == "made by another generator"


def test_undecodable_bytes_are_written_as_they_were(tmp_path: Path) -> None:
    assert emit(str(tmp_path), {"a.mount": "What=\udcff\n"}) == []
    assert (tmp_path / "a.mount").read_bytes() == b"What=\xff\n"
