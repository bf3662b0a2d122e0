#  SPDX-License-Identifier: MIT
"""The note beside a base that its hierarchy was writable; what is bound is held where mounts can be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.origin import upper_link
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


def test_the_upper_of_each_generation_is_noted_and_forgotten(tmp_path: Path) -> None:
    usr, etc = str(tmp_path / "usr"), str(tmp_path / "etc")
    base.note_upper(usr, 3, "/var/up")
    base.note_upper(usr, 3, "/var/other")  # a merge of this number was killed
    base.note_upper(usr, 4, "/var/up")
    base.note_upper(etc, 4, "/var/etc")
    assert os.readlink(upper_link(usr, 3)) == "/var/other"
    base.forget_upper(usr, 9)
    base.forget_uppers(usr, 4)
    assert sorted(os.listdir(tmp_path)) == ["etc.upper.4", "usr.upper.4"]
    base.forget_upper(etc, 4)
    base.forget_uppers(usr)
    assert os.listdir(tmp_path) == []
    base.forget_uppers(str(tmp_path / "missing/usr"))


def test_a_base_that_is_forgotten_has_no_upper(tmp_path: Path) -> None:
    base.note_upper(str(tmp_path / "usr"), 3, "/var/up")
    base.forget_base(str(tmp_path / "usr"))
    assert os.listdir(tmp_path) == []
