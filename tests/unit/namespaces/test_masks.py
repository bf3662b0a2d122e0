#  SPDX-License-Identifier: MIT
"""What a sandbox has mounted below a hierarchy: told from mount tables, and refused where it has no place."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from extension_runtime.kernel.mountinfo import Mount, Table
from extension_runtime.namespaces import masks
from extension_runtime.namespaces.masks import Mask, NoPlaceError

TEXT = """\
20 1 8:2 / / rw - ext4 /dev/sda2 rw
30 20 8:2 /usr /usr rw - ext4 /dev/sda2 rw
31 30 0:45 / /usr ro - overlay extensions:usr:4 ro
40 31 0:45 /share /usr/share ro,noexec - overlay extensions:usr:4 ro
41 31 0:50 / /usr/lib rw - tmpfs tmpfs rw
42 41 0:51 / /usr/lib rw,nosuid - tmpfs tmpfs rw
43 42 0:45 /lib/x /usr/lib/x ro - overlay extensions:usr:4 ro
44 31 8:2 /etc/y /usr/y ro - ext4 /dev/sda2 rw
45 20 0:52 / /usr-other rw - tmpfs tmpfs rw
"""


def test_of_all_below_a_top_the_visible_ones_those_they_lie_on_first() -> None:
    table = Table(TEXT)
    assert [mount.id for mount in masks._below(table, "/usr", table.mounts[31])] == [42, 43, 40, 44]
    assert masks._below(table, "/usr", table.mounts[45]) == []


@pytest.mark.parametrize(
    ("mount", "part"),
    [(40, ("usr", "share")), (43, ("usr", "lib/x")), (42, ("", "")), (44, ("etc", "y")), (31, ("usr", "")),
     (30, ("", ""))],
)  # fmt: skip
def test_which_part_of_which_hierarchy_a_mask_shows(mount: int, part: tuple[str, str]) -> None:
    table = Table(TEXT)
    tops = {"usr": table.mounts[31], "etc": Mount("50 20 8:2 /etc /etc rw - ext4 /dev/sda2 rw")}
    assert masks._part_of(table.mounts[mount], tops) == part


def test_a_top_that_is_a_whole_file_system_has_parts_too() -> None:
    tops = {"usr": Mount("31 30 0:45 / /usr rw - overlay extensions:usr:4 ro")}
    assert masks._part_of(Mount("40 31 0:45 / /usr/all rw - overlay extensions:usr:4 ro"), tops) == ("usr", "")


def test_a_shape_is_what_lies_at_and_below_a_hierarchy() -> None:
    before = masks.shape(Table(TEXT), "/usr")
    assert [number for number, _parent, _flags in before] == [30, 31, 40, 41, 42, 43, 44]
    assert masks.shape(Table(TEXT.replace("/usr-other rw", "/usr-other ro")), "/usr") == before
    assert masks.shape(Table(TEXT.replace("44 31", "44 40")), "/usr") != before
    assert masks.shape(Table(TEXT.replace("/usr/share ro,noexec", "/usr/share ro")), "/usr") != before
    assert masks.shape(Table(TEXT.replace("44 31", "47 31")), "/usr") != before


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("", ""), True),
        (("61 60 0:60 / /usr/lib rw", "61 60 0:60 / /usr/lib ro"), False),
        (("0:46 / /usr ro", "0:46 / /usr rw"), False),
        (("61 60 0:60 / /usr/lib rw - tmpfs", "61 60 0:60 / /usr/lib rw - ramfs"), False),
        (("61 60 0:60 / /usr/lib rw", "61 60 0:60 / /usr/bin rw"), False),
    ],
)
def test_two_tops_allow_the_same_or_they_do_not(change: tuple[str, str], same: bool) -> None:
    text = (
        "31 30 0:45 / /usr ro - overlay extensions:usr:4 ro\n"
        "41 31 0:60 / /usr/lib rw - tmpfs tmpfs rw\n"
        "60 31 0:46 / /usr ro - overlay extensions:usr:5 ro\n"
        "61 60 0:60 / /usr/lib rw - tmpfs tmpfs rw\n"
    )
    table = Table(text.replace(*change) if change[0] else text)
    assert masks.same_rights(table, "/usr", table.mounts[31], table.mounts[60]) is same


def test_a_top_without_masks_has_none(tmp_path: Path) -> None:
    table = Table(f"31 30 0:45 / {tmp_path} ro - overlay extensions:usr:4 ro\n")
    assert masks.collect(table, str(tmp_path), table.mounts[31], {"usr": table.mounts[31]}, -1) == []


def test_what_another_mount_hides_is_no_mask(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    table = Table(
        f"31 30 0:45 / {tmp_path} ro - overlay extensions:usr:4 ro\n"
        f"40 31 0:45 /hidden {tmp_path}/hidden ro - overlay extensions:usr:4 ro\n"
        f"41 31 0:45 /gone {tmp_path}/gone ro - overlay extensions:usr:4 ro\n"
    )
    before = len(os.listdir("/proc/self/fd"))
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Neither of those ids is what a look-up ends on here.
        assert masks.collect(table, str(tmp_path), table.mounts[31], {"usr": table.mounts[31]}, proc) == []
    finally:
        os.close(proc)
    assert len(os.listdir("/proc/self/fd")) == before


def test_copies_are_let_go_once() -> None:
    reader, writer = os.pipe()
    found = [Mask("/usr/a", (), "", "", reader), Mask("/usr/b", ("ro",), "usr", "b", -1)]
    masks.close(found)
    masks.close(found)
    assert [mask.fd for mask in found] == [-1, -1]
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"1")
    os.close(writer)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("missing", errno.ENOENT),
        ("file/below", errno.ENOTDIR),
        ("link", errno.ELOOP),
        ("link/inside", errno.ELOOP),
        ("../outside", errno.EXDEV),
    ],
)
def test_a_mask_that_has_no_place_in_the_new_tree_is_never_left_out(tmp_path: Path, path: str, number: int) -> None:
    (tmp_path / "tree/folder").mkdir(parents=True)
    (tmp_path / "tree/link").symlink_to("folder")
    (tmp_path / "tree/file").write_text("")
    (tmp_path / "outside").mkdir()
    top = os.open(tmp_path / "tree", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    before = len(os.listdir("/proc/self/fd"))
    try:
        with pytest.raises(NoPlaceError) as raised:
            masks.place([Mask(f"/usr/{path}", (), "usr", "folder", -1)], "/usr", top, {"usr": top})
        assert (raised.value.errno, raised.value.strerror) == (
            number,
            f"/usr/{path}: mounted by the sandbox, but not in the new content",
        )
        # It has a place, but what it shows of the hierarchy is not there any more.
        with pytest.raises(NoPlaceError):
            masks.place([Mask("/usr/folder", (), "usr", path, -1)], "/usr", top, {"usr": top})
        masks.place([], "/usr", top, {})
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        os.close(top)
