#  SPDX-License-Identifier: MIT
"""The hierarchies that a root has, and what is said of those that something foreign hides."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from extension_runtime.kernel import chase, mountinfo
from extension_runtime.kernel.mountinfo import Mount, Table
from extension_runtime.overlay import hierarchy
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths


def targets(root: Path) -> dict[str, str]:
    """Name to path below the root of each hierarchy found there."""
    return {name: item.target.removeprefix(str(root)) for name, item in hierarchy.find(Paths(str(root))).found.items()}


def missing(root: Path) -> dict[str, str]:
    """Name to path below the root of each hierarchy that can be made."""
    return {n: item.target.removeprefix(str(root)) for n, item in hierarchy.find(Paths(str(root))).missing.items()}


def unusable(root: Path) -> dict[str, str]:
    return hierarchy.find(Paths(str(root))).unusable


def test_only_those_that_are_there_in_the_order_of_the_classes(tmp_path: Path) -> None:
    assert targets(tmp_path) == {}
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr").mkdir()
    (tmp_path / "opt").write_text("")
    assert list(targets(tmp_path).items()) == [("usr", "/usr"), ("etc", "/etc")]
    assert unusable(tmp_path) == {"opt": "/opt: is a regular file; make it a folder"}
    (tmp_path / "opt").unlink()
    assert (missing(tmp_path), unusable(tmp_path)) == ({"opt": "/opt"}, {})


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "private/etc").mkdir(parents=True)
    (tmp_path / "etc").symlink_to("/private/etc")
    (tmp_path / "usr").symlink_to("usr")
    (tmp_path / "opt").symlink_to("nowhere")
    assert targets(tmp_path) == {"etc": "/private/etc"}
    assert missing(tmp_path) == {"opt": "/nowhere"}
    assert unusable(tmp_path) == {"usr": "/usr: Too many levels of symbolic links; make it a folder"}


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("var/opt", "/var/opt"),
        ("/var/./opt/", "/var/opt"),
        ("../../var/opt", "/var/opt"),
        ("link/../opt", "/srv/opt"),
        ("link/opt", "/srv/deep/opt"),
        ("missing/../opt", "/opt"),
    ],
)
def test_a_link_leads_inside_the_root_also_to_what_is_not_there(tmp_path: Path, to: str, where: str) -> None:
    (tmp_path / "srv/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("srv/deep")
    (tmp_path / "opt").symlink_to(to)
    if where == "/opt":
        assert unusable(tmp_path) == {"opt": "/opt: Too many levels of symbolic links; make it a folder"}
        return
    assert missing(tmp_path) == {"usr": "/usr", "opt": where, "etc": "/etc"}
    made: list[str] = []
    hierarchy.make(Hierarchy("opt", f"{tmp_path}{where}", Paths(str(tmp_path))), made)
    assert made[-1] == f"{tmp_path}{where}"
    assert targets(tmp_path) == {"opt": where}


def test_a_folder_that_cannot_be_looked_into_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_root: int, _path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    paths = Paths(str(tmp_path))
    monkeypatch.setattr(chase, "entry", fail)
    with pytest.raises(OverlayError, match="usr: Permission denied"):
        hierarchy.find(paths)


@pytest.mark.parametrize("to", ["usr", "usr/opt", "/"])
def test_one_that_leads_into_another_is_left_out(tmp_path: Path, to: str) -> None:
    (tmp_path / "usr/opt").mkdir(parents=True)
    (tmp_path / "opt").symlink_to(to)
    assert targets(tmp_path) == {"usr": "/usr"}
    assert "opt" in unusable(tmp_path)


def test_one_that_only_begins_like_another_is_not_in_it(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr-opt").mkdir()
    (tmp_path / "opt").symlink_to("usr-opt")
    assert targets(tmp_path) == {"usr": "/usr", "opt": "/usr-opt"}


def test_places_are_below_the_folder_of_the_state(tmp_path: Path) -> None:
    item = Hierarchy("usr", "/usr", Paths(str(tmp_path)))
    assert item.base == f"{tmp_path}/run/extensionctl/base/usr"
    assert item.staging == f"{tmp_path}/run/extensionctl/staging/usr"
    assert item.found is None


def test_the_generation_is_that_of_the_visible_overlay(tmp_path: Path) -> None:
    item = Hierarchy("usr", "/usr", Paths(str(tmp_path)))
    assert item.generation == 0
    ours = [Mount(f"3{number} 30 0:45 / /usr rw - overlay extensions:usr:{number} ro") for number in (4, 5)]
    for found, generation in (([], 0), (ours, 5), (ours[:1], 4), ([Mount("31 30 8:2 / /usr rw - ext4 x rw")], 0)):
        item.found = found
        assert item.generation == generation


class Seen:
    """A hierarchy in a folder of the test, and a mount table that says what is mounted there."""

    def __init__(self, path: Path) -> None:
        (path / "usr").mkdir()
        self.item = Hierarchy("usr", str(path / "usr"), Paths(str(path)))
        self.visible = mountinfo.visible(self.item.target)

    def based(self) -> None:
        """Have a base: something that certainly is a mount of its own stands for it."""
        self.item.base = "/proc"

    def look(self, *lines: str) -> None:
        """`lines` are what follows "ID PARENT " of the visible mount."""
        base = mountinfo.visible("/proc")
        table = [f"{base} 1 8:2 /usr /proc ro - ext4 /dev/sda2 rw"]
        table += [f"{self.visible} {self.visible + 1} {line}".replace("TARGET", self.item.target) for line in lines]
        self.item.look(Table("".join(f"{line}\n" for line in table)))


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(tmp_path)


def test_without_a_base_there_is_no_anchor(seen: Seen) -> None:
    assert not seen.item.has_base
    seen.look("8:2 / / rw shared:1 - ext4 /dev/sda2 rw")
    assert seen.item.found is None


def test_a_base_that_is_gone_under_a_merge_is_an_error(seen: Seen) -> None:
    with pytest.raises(OverlayError) as raised:
        seen.look("0:45 / TARGET rw - overlay extensions:usr:4 ro")
    item = seen.item
    assert str(raised.value) == f"{item.base}: is gone, but {item.target} is still merged; reboot to repair this"


def test_an_anchor_with_nothing_on_it(seen: Seen) -> None:
    seen.based()
    assert seen.item.has_base
    seen.look("8:2 /usr TARGET rw - ext4 /dev/sda2 rw")
    assert seen.item.found == []


def test_a_base_that_is_a_mount_of_its_own_is_nothing_foreign(seen: Seen) -> None:
    seen.based()
    seen.look("8:2 /usr TARGET rw shared:3 - ext4 /dev/sda2 rw")
    assert seen.item.found is None


@pytest.mark.parametrize(
    ("mount", "name"), [("0:50 / TARGET rw - tmpfs foreign rw", "foreign"), ("0:50 / TARGET rw - tmpfs  rw", "tmpfs")]
)
def test_what_hides_the_extensions_is_named(seen: Seen, mount: str, name: str) -> None:
    seen.based()
    with pytest.raises(OverlayError) as raised:
        seen.look(mount)
    said = f"{seen.item.target}: {name} is mounted over the extensions; unmount it first"
    assert str(raised.value) == said
