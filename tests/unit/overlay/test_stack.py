#  SPDX-License-Identifier: MIT
"""What is said of layers that cannot be stacked."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from extension_runtime.overlay import build, stack
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths


def usr(path: Path) -> tuple[Paths, Hierarchy]:
    """A hierarchy whose base is a folder."""
    paths = Paths(str(path))
    Path(paths.base, "usr").mkdir(parents=True)
    return paths, Hierarchy("usr", f"{path}/usr", paths)


def test_a_layer_that_is_gone_is_named_with_the_hierarchy(tmp_path: Path) -> None:
    paths, hierarchy = usr(tmp_path)
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
    paths, hierarchy = usr(tmp_path)
    with pytest.raises(OverlayError) as raised:
        stack.build(paths, hierarchy, ["/layer"], 4)
    assert str(raised.value) == f"{tmp_path}/usr: cannot be stacked: {os.strerror(number)}{hint}"


@pytest.mark.parametrize(
    ("lowers", "above", "below"),
    [
        (["/top", "/low"], "", ["/top", "/low", "BASE"]),
        ([], "", ["RUN/empty", "BASE"]),
        ([], "/up", ["BASE"]),
        (["/low"], "/up", ["/low", "BASE"]),
    ],
)
def test_the_base_is_lowest_and_an_empty_folder_makes_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lowers: list[str], above: str, below: list[str]
) -> None:
    paths, hierarchy = usr(tmp_path)
    asked: list[tuple[Sequence[str], dict[str, Any]]] = []

    def note(folders: Sequence[str], **more: Any) -> int:
        asked.append((folders, more))
        return 7

    monkeypatch.setattr(build, "build", note)
    assert stack.build(paths, hierarchy, lowers, 4, above, above and "/work") == 7
    [(folders, more)] = asked
    assert list(folders) == [name.replace("BASE", hierarchy.base).replace("RUN", paths.run) for name in below]
    assert (more["name"], more["upper"], more["scratch"]) == ("extensions:usr:4", above, paths.staging)
    # nodev always, nosuid and noexec as the base has them, and never read-only: that is the superblock's.
    assert more["attributes"] & ~(os.ST_NOSUID | os.ST_NOEXEC) == 4
    assert all(os.path.isdir(folder) for folder in folders if folder.startswith(str(tmp_path)))
