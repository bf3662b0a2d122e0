#  SPDX-License-Identifier: MIT
"""Which folders of a base the topmost layer has, and how they become as those are; with mounts: tests/namespace."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from extension_runtime.kernel import syscalls
from extension_runtime.overlay import skeleton


class Lab:
    """A folder that stands for the new mount, and trees."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.tree = path / "tree"
        self.tree.mkdir()
        self.base = self.make("base", [])
        self.asked: list[object] = []
        monkeypatch.setattr(syscalls, "fsopen", lambda kind: os.open(self.note(kind) or os.devnull, os.O_RDONLY))
        monkeypatch.setattr(syscalls, "fsconfig_string", lambda _context, key, value: self.note(f"{key}={value}"))
        monkeypatch.setattr(syscalls, "fsconfig_create", lambda _context: self.note("create"))
        monkeypatch.setattr(syscalls, "fsmount", lambda _context, _flags: os.open(self.tree, os.O_RDONLY))

    def note(self, what: object) -> str:
        self.asked.append(what)
        return ""

    def make(self, name: str, folders: Iterable[str], mode: int = 0o755) -> Path:
        top = self.path / name
        for folder in ("", *folders):
            (top / folder).mkdir(parents=True, exist_ok=True)
            (top / folder).chmod(mode)
        return top

    def build(self, folders: Sequence[str], layers: Sequence[Path] = (), imported: Path | str = "") -> dict[str, int]:
        """The modes of the folders that are made."""
        before = len(os.listdir("/proc/self/fd"))
        os.close(skeleton.build(str(self.base), folders, [str(layer) for layer in layers], str(imported)))
        assert len(os.listdir("/proc/self/fd")) == before
        return {
            str(path.relative_to(self.tree)): stat.S_IMODE(path.stat().st_mode)
            for path in (self.tree, *self.tree.rglob("*"))
        }


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


def test_the_root_and_what_is_asked_for_with_its_parents_are_as_in_the_base(lab: Lab) -> None:
    lab.make("base", ["a", "a/b", "a/b/c", "a-b", "z"])
    (lab.base / "a").chmod(0o2751)
    (lab.base / "a/b").chmod(0o1777)
    lab.base.chmod(0o711)
    assert lab.build(["a/b", "a-b"]) == {".": 0o711, "a": 0o2751, "a/b": 0o1777, "a-b": 0o755}
    assert lab.asked == ["tmpfs", "source=extensions-skeleton", "mode=0700", "create"]


def test_what_the_base_has_not_as_a_folder_is_left_out(lab: Lab) -> None:
    lab.make("base", ["real/inside"])
    (lab.base / "file").touch()
    (lab.base / "link").symlink_to("real")
    assert lab.build(["gone", "file", "link", "link/inside", "real/gone/x"]) == {".": 0o755, "real": 0o755}


@pytest.mark.parametrize("what", ["file", "link", "pipe"])
def test_what_a_layer_shows_as_something_else_does_not_come_back(lab: Lab, what: str) -> None:
    lab.make("base", ["a/b", "c"])
    low, high = lab.make("low", ["a/b", "c"]), lab.make("high", [])
    place = high / "a"
    if what == "file":
        place.touch()
    elif what == "link":
        place.symlink_to("c")
    else:
        os.mkfifo(place)
    assert lab.build(["a", "a/b", "c"], [high, low]) == {".": 0o755, "c": 0o755}


def test_what_a_layer_shows_anew_is_there(lab: Lab) -> None:
    lab.make("base", ["a/b", "a/c"])
    low, high = lab.make("low", []), lab.make("high", ["a/b"])
    (low / "a").touch()
    assert lab.build(["a/b", "a/c"], [high, low]) == {".": 0o755, "a": 0o755, "a/b": 0o755}


def test_what_people_wrote_counts_more(lab: Lab) -> None:
    lab.make("base", ["a/b", "c", "d"])
    own = lab.make("own", ["a"], 0o700)
    (own / "c").touch()
    layer = lab.make("layer", ["a/b", "c", "d"], 0o777)
    assert lab.build(["a", "a/b", "c", "d"], [layer], own) == {".": 0o755, "a": 0o700, "a/b": 0o755, "d": 0o755}


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.ENOSPC])
def test_a_label_that_cannot_be_set_is_left_out(lab: Lab, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    _label(lab, monkeypatch, number)
    assert lab.build([]) == {".": 0o755}


def test_another_error_is_raised_and_nothing_is_left_open(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    _label(lab, monkeypatch, errno.EIO)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="no label"):
        skeleton.build(str(lab.base), [])
    assert len(os.listdir("/proc/self/fd")) == before


def _label(lab: Lab, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(path: str, name: str, value: bytes) -> None:
        assert (name, value) == ("user.label", b"x")
        raise OSError(number, "no label")

    monkeypatch.setattr(os, "listxattr", lambda _path, follow_symlinks: ["user.label"])
    monkeypatch.setattr(os, "getxattr", lambda _path, _name, follow_symlinks: b"x")
    monkeypatch.setattr(os, "setxattr", refuse)
    assert lab.base.is_dir()
