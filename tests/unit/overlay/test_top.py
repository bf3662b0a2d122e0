#  SPDX-License-Identifier: MIT
"""What lies over a hierarchy, told from a mount table: whose it is, of which generation, and what hides it."""

from __future__ import annotations

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import syscalls
from extension_runtime.kernel.mountinfo import Mount, Table
from extension_runtime.overlay import top
from extension_runtime.overlay.top import OverlayError

BASE = "90 20 8:2 /usr /run/extensionctl/base/usr ro - ext4 /dev/sda2 rw"
FIRST = "20 1 8:2 / / rw shared:1 - ext4 /dev/sda2 rw"
ANCHOR = "30 20 8:2 /usr /usr rw - ext4 /dev/sda2 rw"
OURS = "31 30 0:45 / /usr rw shared:7 - overlay extensions:usr:4 ro"
NEWER = "32 31 0:46 / /usr rw shared:8 - overlay extensions:usr:5 ro"
FOREIGN = "33 31 0:47 / /usr rw shared:9 - overlay overlay rw"
UNMERGED = "31 30 8:2 /usr /usr rw shared:7 - ext4 /dev/sda2 rw"


def tops(visible: int, *lines: str, own: bool = True, signed: bool = False) -> list[int] | None:
    table = Table("".join(f"{line}\n" for line in (FIRST, BASE, *lines)))
    found = top.find_tops(table, visible, "/usr", table.mounts[90], own=own, signed=signed)
    return None if found is None else [mount.id for mount in found]


@pytest.mark.parametrize(
    ("kind", "source", "generation"),
    [
        ("overlay", "extensions:usr:4", 4),
        ("overlay", "extensions:usr:0", 0),
        ("overlay", "extensions:usr:", None),
        ("overlay", "extensions:usr:-1", None),
        ("overlay", "extensions:usr:4x", None),
        ("overlay", "extensions", None),
        ("overlay", "extensions:4", None),
        ("overlay", "extensionsusr:4", None),
        ("overlay", "overlay", None),
        ("tmpfs", "extensions:usr:4", None),
    ],
)
def test_whose_an_overlay_is(kind: str, source: str, generation: int | None) -> None:
    assert top.generation_of(Mount(f"31 30 0:45 / /usr rw - {kind} {source} ro")) == generation


def test_what_is_named_is_known_again() -> None:
    assert top.source("etc", 12) == "extensions:etc:12"
    assert top.generation_of(Mount(f"31 30 0:45 / /etc rw - overlay {top.source('etc', 12)} ro")) == 12


def test_flags_are_bits_of_the_kernel() -> None:
    # MOUNT_ATTR_*, linux/mount.h
    assert top.flag_bits(()) == 0
    assert [top.flag_bits([flag]) for flag in ("ro", "nosuid", "nodev", "noexec")] == [1, 2, 4, 8]
    assert top.flag_bits(("ro", "noexec")) == 9
    assert not {*top._SIGNS.values()} & {1, 2, 4, 8}


@pytest.mark.parametrize(
    ("visible", "lines", "found"),
    [
        (20, (), None),
        (30, (ANCHOR,), []),
        (31, (ANCHOR, OURS), [31]),
        (31, (ANCHOR, UNMERGED), [31]),
        (32, (ANCHOR, OURS, NEWER), [31, 32]),
        (33, (ANCHOR, OURS, FOREIGN), None),
        (31, (OURS,), None),
        # The base's file system, where it is a mount of its own, is shared: that tells an anchor from it.
        (30, (f"{ANCHOR[:19]} rw shared:3 - ext4 /dev/sda2 rw",), None),
        (30, (f"{ANCHOR[:19]} rw master:3 - ext4 /dev/sda2 rw",), None),
        # Another folder of its file system is not the base.
        (30, (ANCHOR.replace("/usr /usr", "/other /usr"),), None),
    ],
)
def test_tops_are_what_lies_on_the_anchor(visible: int, lines: tuple[str, ...], found: list[int] | None) -> None:
    assert tops(visible, *lines) == found


def test_what_is_mounted_elsewhere_is_no_top() -> None:
    assert tops(40, ANCHOR, OURS, "40 31 0:48 / /usr/local rw - tmpfs tmpfs rw") is None


def test_in_the_namespace_of_a_service_the_anchor_may_be_shared_but_no_slave() -> None:
    shared = f"{ANCHOR[:19]} rw shared:3 - ext4 /dev/sda2 rw"
    slave = f"{ANCHOR[:19]} rw shared:4 master:3 - ext4 /dev/sda2 rw"
    assert tops(31, shared, OURS, own=False) == [31]
    assert tops(31, shared, OURS, own=True) is None
    assert tops(31, slave, OURS, own=False) is None


SIGNED = ANCHOR.replace(" rw ", " ro,nodiratime ")


@pytest.mark.parametrize(
    ("visible", "lines", "found"),
    [
        (30, (SIGNED,), []),
        (31, (SIGNED, OURS), [31]),
        (31, (SIGNED, UNMERGED), [31]),
        (31, (SIGNED.replace("nodiratime", "nosymfollow"), OURS), [31]),
        (33, (SIGNED, OURS, FOREIGN), None),
        # What people have mounted there is like the base in all, and what lies on it may be ours or not.
        (30, (ANCHOR,), None),
        (31, (ANCHOR, UNMERGED), None),
        (34, (ANCHOR, SIGNED.replace("30 20", "34 30")), []),
        (36, (ANCHOR, SIGNED.replace("30 20", "34 30"), OURS.replace("31 30", "36 34")), [36]),
        (36, (SIGNED, f"34 30{ANCHOR[5:]}", OURS.replace("31 30", "36 34")), [34, 36]),
    ],
)
def test_an_anchor_with_a_sign_is_no_other_mount(visible: int, lines: tuple[str, ...], found: list[int] | None) -> None:
    assert tops(visible, *lines, signed=True) == found


def test_the_sign_is_what_the_base_has_not() -> None:
    base = Mount(BASE.replace(" ro ", " ro,nodiratime "))
    assert not top.is_anchor(Mount(SIGNED), base)
    assert top.is_anchor(Mount(ANCHOR), base)
    assert not top.is_anchor(Mount(OURS), base)


@pytest.mark.parametrize(("has", "calls"), [("", ["attr_set"]), (",nodiratime", ["attr_clear"])])
def test_a_sign_is_given(monkeypatch: pytest.MonkeyPatch, has: str, calls: list[str]) -> None:
    made: list[dict[str, int]] = []
    monkeypatch.setattr(syscalls, "mount_setattr", lambda _fd, **bits: made.append(bits))
    top.sign(7, Mount(BASE.replace(" ro ", f" ro{has} ")))
    assert [list(bits) for bits in made] == [calls]


def test_where_flags_are_locked_there_is_another_sign_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[int] = []

    def refuse(_fd: int, attr_set: int) -> None:
        refused.append(attr_set)
        if attr_set == 0x80 or all_of_them:
            raise PermissionError

    monkeypatch.setattr(syscalls, "mount_setattr", refuse)
    all_of_them = False
    top.sign(7, Mount(BASE))
    assert refused == [0x80, 0x200000]
    all_of_them = True
    with pytest.raises(OverlayError, match="its flags are locked"):
        top.sign(7, Mount(BASE))


def test_a_copy_of_an_anchor_of_an_earlier_version_is_marked() -> None:
    assert top.marked(Mount("30 20 8:2 /usr /usr ro,nosymfollow - ext4 /dev/sda2 rw"))
    assert not top.marked(Mount(ANCHOR))


def test_a_base_is_a_folder_of_a_file_system() -> None:
    assert top.is_base(Mount(ANCHOR), Mount(BASE))
    assert not top.is_base(Mount(OURS), Mount(BASE))
    assert not top.is_base(Mount(FIRST), Mount(BASE))


def test_an_error_is_one_of_ours() -> None:
    assert issubclass(OverlayError, ExtensionError)
