#  SPDX-License-Identifier: MIT
"""The step that builds a new top: how it reads, and that one which cannot be built leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.merge.stage import Stage
from extension_runtime.merge.wanted import Wanted
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths

LAYERS = [("low", "/layers/1/low/usr"), ("top", "/layers/1/top/usr")]


def stage(path: Path, wanted: Wanted) -> Stage:
    paths = Paths(str(path))
    return Stage(paths, Hierarchy("usr", f"{path}/usr", paths), wanted, 4, print)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Wanted("usr", "auto", LAYERS, "", False, True), "top, low over the base, auto"),
        (Wanted("usr", "persistent", [], "/up", False, True), "no extension over the base, persistent"),
        (Wanted("usr", "auto", [], "", False, False), "the base alone"),
    ],
)
def test_what_is_staged_is_said_highest_first(tmp_path: Path, wanted: Wanted, text: str) -> None:
    step = stage(tmp_path, wanted)
    assert (step.name, step.text) == ("stage:usr", f"stage {tmp_path}/usr: {text}")
    assert (step.anchor, step.tree) == (-1, -1)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("usr", "auto", LAYERS, "", False, True),
        Wanted("usr", "auto", [], "", False, False),
        Wanted("usr", "ephemeral", [], "", False, True),
        Wanted("usr", "persistent", [], "/var/lib/extensions.mutable/usr", False, True),
        Wanted("usr", "auto", [], "/var/lib/missing", True, True),
    ],
    ids=lambda wanted: f"{wanted.mode}{' imported' * wanted.imported}{' base' * (not wanted.merged)}",
)
def test_one_that_cannot_be_built_leaves_no_folder_and_no_descriptor(tmp_path: Path, wanted: Wanted) -> None:
    """There is no base: nothing of it can be mounted."""
    (tmp_path / "usr").mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)
    step = stage(tmp_path, wanted)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises((ExtensionError, OSError)):
        step.do()
    assert len(os.listdir("/proc/self/fd")) == before
    left = sorted(str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*"))
    assert [name for name in left if name not in ("run", "run/extensionctl", "run/extensionctl/staging")] == [
        "usr", "var", "var/lib",
    ]  # fmt: skip
    step.close()
