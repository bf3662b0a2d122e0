#  SPDX-License-Identifier: MIT
"""What is said of layers that cannot be stacked."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from extension_runtime.kernel import syscalls
from extension_runtime.overlay import build, skeleton, stack
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths


def usr(path: Path) -> tuple[Paths, Hierarchy]:
    """A hierarchy whose base is a folder."""
    paths = Paths(str(path))
    Path(paths.base, "usr").mkdir(parents=True)
    return paths, Hierarchy("usr", f"{path}/usr", paths)


def test_a_layer_that_is_gone_is_named_with_the_hierarchy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, hierarchy = usr(tmp_path)
    monkeypatch.setattr(skeleton, "build", lambda base, *_: os.open(base, os.O_RDONLY))
    with pytest.raises(OverlayError) as raised:
        stack.build(paths, hierarchy, [f"{tmp_path}/missing"], 4)
    said = str(raised.value)
    assert said.startswith(f"{tmp_path}/usr: cannot be stacked: openat2 {tmp_path}/missing: No such file"), said
    assert said.endswith(
        " (the image is gone that was merged, or the base; 'extensionctl refresh' merges what is there now)"
    )


def test_a_base_that_is_gone_is_said_as_all_else_is(tmp_path: Path) -> None:
    paths, hierarchy = usr(tmp_path)
    os.rmdir(hierarchy.base)
    with pytest.raises(OverlayError) as raised:
        stack.build(paths, hierarchy, [], 4)
    said = str(raised.value)
    assert said.startswith(f"{tmp_path}/usr: cannot be stacked: {hierarchy.base}: No such file or directory (the"), said


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ELOOP, " (a folder is there twice, or lies inside another one)"),
        (errno.EINVAL, " (overlays stack two deep: is the root or an image itself on an overlay?)"),
        (errno.EBUSY, " (its upper or work folder is used by another overlay)"),
        (errno.ENOMEM, ""),
    ],
)
def test_what_the_kernel_means_is_said_where_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    def fail(*_arguments: object, **_more: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(build, "build", fail)
    monkeypatch.setattr(skeleton, "build", lambda base, *_: os.open(base, os.O_RDONLY))
    paths, hierarchy = usr(tmp_path)
    with pytest.raises(OverlayError) as raised:
        stack.build(paths, hierarchy, ["/layer"], 4)
    assert str(raised.value) == f"{tmp_path}/usr: cannot be stacked: {os.strerror(number)}{hint}"


@pytest.mark.parametrize(
    ("lowers", "above", "below"),
    [
        (["/top", "/low"], "", ["/top", "/low", "BASE"]),
        ([], "", ["BASE"]),
        ([], "/up", ["BASE"]),
        (["/low"], "/up", ["/low", "BASE"]),
    ],
)
def test_the_base_is_lowest_and_its_skeleton_on_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lowers: list[str], above: str, below: list[str]
) -> None:
    paths, hierarchy = usr(tmp_path)
    asked: list[tuple[Sequence[str | int], dict[str, Any]]] = []
    fd = os.open(tmp_path, os.O_RDONLY)

    def note(folders: Sequence[str | int], **more: Any) -> int:
        asked.append((folders, more))
        return 7

    def skeleton_of(base: str, mends: Sequence[str], under: Sequence[str], imported: str) -> int:
        assert (base, mends, under, imported) == (hierarchy.base, ["bin"], lowers, "")
        return fd

    monkeypatch.setattr(build, "build", note)
    monkeypatch.setattr(skeleton, "build", skeleton_of)
    assert stack.build(paths, hierarchy, lowers, 4, above, above and "/work", ["bin"]) == 7
    [(folders, more)] = asked
    assert list(folders) == [fd, *(name.replace("BASE", hierarchy.base) for name in below)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert (more["name"], more["upper"], more["scratch"]) == ("extensions:usr:4", above, paths.staging)
    # nodev always, nosuid and noexec as the base has them, and never read-only: that is the superblock's.
    assert more["attributes"] & ~(os.ST_NOSUID | os.ST_NOEXEC) == 4


@pytest.mark.parametrize(("name", "expected"), [("usr", False), ("opt", False), ("etc", True)])
def test_over_etc_nothing_is_set_user_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: bool
) -> None:
    paths, hierarchy = usr(tmp_path)
    hierarchy.name = name
    asked: list[int] = []

    def note(_folders: Sequence[str | int], **more: Any) -> int:
        asked.append(more["attributes"])
        return 7

    monkeypatch.setattr(build, "build", note)
    monkeypatch.setattr(skeleton, "build", lambda base, *_more: os.open(base, os.O_RDONLY))
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_NOEXEC))
    stack.build(paths, hierarchy, ["/low"], 4)
    nosuid = syscalls.MOUNT_ATTR_NOSUID if expected else 0
    assert asked == [syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC | nosuid]
