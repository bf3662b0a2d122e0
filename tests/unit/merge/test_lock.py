#  SPDX-License-Identifier: MIT
"""The one lock of a root: taken in turn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.files import StateError
from extension_runtime.merge.lock import Lock
from extension_runtime.paths import Paths


def run(root: Path) -> Path:
    folder = root / "run/extensionctl"
    folder.mkdir(parents=True)
    return folder


def test_the_lock_is_taken_in_turn(tmp_path: Path) -> None:
    run(tmp_path)
    places = Paths(str(tmp_path))
    with Lock(places, 1), pytest.raises(StateError, match="another merge or refresh has not ended within 0 s"):
        Lock(places, 0).__enter__()
    with Lock(places, 0):
        pass


def test_a_lock_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    os.symlink("elsewhere", run(tmp_path) / "lock")
    with pytest.raises(StateError, match="symbolic links"):
        Lock(Paths(str(tmp_path)), 0).__enter__()
