#  SPDX-License-Identifier: MIT
"""Who is forced is told by files, for root alone, that a reboot forgets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import forced
from extension_runtime.paths import Paths


def test_names_are_added_and_forgotten_together(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    assert forced.names(paths) == frozenset()
    forced.forget(paths)
    forced.add(paths, ["one", "two"])
    forced.add(paths, ["two", "three"])
    assert forced.names(paths) == {"one", "two", "three"}
    forced.forget(paths)
    assert forced.names(paths) == frozenset()
    assert os.listdir(paths.forced) == []


def test_only_root_can_look(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    forced.add(paths, ["one"])
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (paths.run, paths.forced)] == [0o700, 0o700]


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ImageError, match="/run/extensionctl/forced: cannot be written: "):
        forced.add(Paths(str(tmp_path)), ["one"])
