#  SPDX-License-Identifier: MIT
"""The mount table, read from its text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.kernel import mountinfo
from extension_runtime.kernel.mountinfo import Mount, Table

TEXT = """\
20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
21 20 8:2 /sub /usr ro,nosuid,nodev,noexec master:3 propagate_from:2 - btrfs /dev/disk/by\\040id rw,subvol=/sub
22 21 0:30 / /usr rw - overlay extensions:usr:4 ro,lowerdir=a:b
23 22 0:31 / /usr/local rw shared:9 - tmpfs tmpfs rw
24 22 0:32 / /usr/a rw - tmpfs  rw
25 23 0:33 / /usr/local/x\\040y\\134z rw - tmpfs tmpfs rw
"""


def test_fields() -> None:
    mount = Mount(TEXT.splitlines()[1])
    assert (mount.id, mount.parent, mount.dev, mount.root, mount.path) == (21, 20, "8:2", "/sub", "/usr")
    assert mount.flags == ("ro", "nosuid", "nodev", "noexec")
    assert mount.propagation == ("master:3", "propagate_from:2")
    assert not mount.shared
    assert (mount.fstype, mount.source, mount.super_options) == ("btrfs", "/dev/disk/by id", "rw,subvol=/sub")
    assert Mount(TEXT.splitlines()[4]).source == ""


def test_a_stack_is_told_lowest_first() -> None:
    table = Table(TEXT)
    assert [m.id for m in table.stack(22)] == [21, 22]
    assert [m.id for m in table.stack(21)] == [21]
    assert [m.id for m in table.stack(20)] == [20]


def test_submounts_are_those_directly_on_a_mount() -> None:
    table = Table(TEXT)
    assert [m.path for m in table.submounts(table.mounts[22])] == ["/usr/a", "/usr/local"]
    assert [m.id for m in table.submounts(table.mounts[20])] == [21]


def test_below_begins_with_what_was_mounted_last() -> None:
    assert [m.id for m in Table(TEXT).below("/usr/local")] == [25, 23]
    assert [m.id for m in Table(TEXT).below("/us")] == []


@pytest.mark.parametrize(
    "line", ["", "20 1 8:1 / /", "x 1 8:1 / / rw - a b c", "20 1 8:1 / /\\09 rw - a b c", "- a b c"]
)
def test_what_is_no_line_of_a_table(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Mount(line)
    with pytest.raises(ValueError, match=r"."):
        Table(f"{line}\n")


def test_a_stack_ends_where_numbers_go_round() -> None:
    """A table is read in pieces, and the number of a mount that goes meanwhile is given again."""
    table = Table("7 9 0:1 / /a rw - tmpfs a rw\n8 7 0:2 / /a rw - tmpfs b rw\n9 8 0:3 / /a rw - tmpfs c rw\n")
    assert [m.id for m in table.stack(9)] == [7, 8, 9]


def test_only_a_newline_ends_a_line() -> None:
    text = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:9 / /a\x85\u2028\x0b\x1c\rb rw - tmpfs tmpfs rw\n"
    assert [m.path for m in Table(text).mounts.values()] == ["/", "/a\x85\u2028\x0b\x1c\rb"]


def test_the_mount_below_all_others_may_be_its_own_parent() -> None:
    table = Table("1 1 0:2 / / rw - rootfs rootfs rw\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    assert [m.id for m in table.stack(2)] == [1, 2]
    assert [m.id for m in table.stack(1)] == [1]


def test_the_table_of_this_process() -> None:
    table = mountinfo.read()
    assert table.mounts[mountinfo.visible("/")].path == "/"
    proc = os.open("/proc", os.O_RDONLY)
    try:
        assert mountinfo.read(proc).mounts.keys() == table.mounts.keys()
        assert mountinfo.visible("/proc", proc) == mountinfo.mount_id(proc, proc) == mountinfo.mount_id(proc)
        assert table.mounts[mountinfo.mount_id(proc)].fstype == "proc"
    finally:
        os.close(proc)


def test_what_a_mount_point_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    (tmp_path / "dir").mkdir()
    assert mountinfo.is_mount_point("/proc")
    for path in (tmp_path / "link", tmp_path / "dir", tmp_path / "missing"):
        assert not mountinfo.is_mount_point(str(path))


def test_a_kernel_that_tells_no_mount(tmp_path: Path) -> None:
    (tmp_path / "self/fdinfo").mkdir(parents=True)
    (tmp_path / "self/fdinfo/7").write_text("pos:\t0\nflags:\t02\n")
    proc = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"^self/fdinfo/7: no mnt_id$"):
            mountinfo.mount_id(7, proc)
    finally:
        os.close(proc)
