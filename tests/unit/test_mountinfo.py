"""The mount table, read from its text."""

from __future__ import annotations

from extension_runtime.kernel.mountinfo import Mount, Table, unescape

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


def test_escapes() -> None:
    assert unescape("a\\040b\\011c\\012d\\134e") == "a b\tc\nd\\e"
    assert unescape("\\134040") == "\\040"
    assert unescape("plain") == "plain"


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


def test_only_a_newline_ends_a_line() -> None:
    text = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:9 / /a\x85\u2028\x0b\x1c\rb rw - tmpfs tmpfs rw\n"
    assert [m.path for m in Table(text).mounts.values()] == ["/", "/a\x85\u2028\x0b\x1c\rb"]
