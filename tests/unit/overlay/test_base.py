#  SPDX-License-Identifier: MIT
"""The note beside a base that its hierarchy was writable; what is bound is held where mounts can be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.overlay import base


def test_the_note_of_a_base_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr.writable").write_text("")
    (tmp_path / "usr.signed").write_text("")
    (tmp_path / "etc.writable").write_text("")
    assert (base.signs_anchors(str(tmp_path / "usr")), base.signs_anchors(str(tmp_path / "etc"))) == (True, False)
    base.forget_base(str(tmp_path / "usr"))
    assert sorted(os.listdir(tmp_path)) == ["etc.writable", "usr"]
    base.forget_base(str(tmp_path / "usr"))


def test_a_hierarchy_that_is_gone_has_no_base_and_no_note(tmp_path: Path) -> None:
    (tmp_path / "usr.writable").write_text("")
    with pytest.raises(FileNotFoundError):
        base.clone_base(str(tmp_path / "missing"), str(tmp_path / "usr"))
    assert os.listdir(tmp_path) == []
