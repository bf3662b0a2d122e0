#  SPDX-License-Identifier: MIT
"""Folders that are no layers are refused before anything is built, and descriptors are closed; so are too many."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from extension_runtime.overlay import build


@pytest.mark.parametrize(
    ("lower", "number"),
    [("missing", errno.ENOENT), ("link", errno.ELOOP), ("file", errno.ENOTDIR), ("link/inside", errno.ELOOP)],
)
def test_what_is_no_folder_is_no_layer(tmp_path: Path, lower: str, number: int) -> None:
    (tmp_path / "folder/inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "file").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    lowers = [f"{tmp_path}/folder", f"{tmp_path}/{lower}"]
    with pytest.raises(OSError) as raised:
        build.build(lowers, name="extensions:usr:1", attributes=0, scratch=str(tmp_path))
    assert raised.value.errno == number
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(("upper", "work"), [("link", "folder"), ("folder", "missing"), ("file", "folder")])
def test_an_upper_and_its_work_folder_are_folders_themselves(tmp_path: Path, upper: str, work: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "file").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as raised:
        build.build(
            [f"{tmp_path}/folder"],
            upper=f"{tmp_path}/{upper}",
            work=f"{tmp_path}/{work}",
            name="extensions:usr:1",
            attributes=0,
            scratch=str(tmp_path),
        )
    assert raised.value.errno in (errno.ENOTDIR, errno.ENOENT, errno.ELOOP)
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_old_kernel_takes_one_page_of_options(tmp_path: Path) -> None:
    lowers = [f"/proc/self/fd/{number}" for number in range(100, 100 + build.MAX_LOWERS)]
    with pytest.raises(OSError) as raised:
        build._build_by_string(lowers, [], "extensions:usr:1", 0, str(tmp_path))
    assert raised.value.errno == errno.E2BIG
    assert "497 layers do not fit the options that this kernel takes; use fewer" in str(raised.value)
    assert os.listdir(tmp_path) == []
