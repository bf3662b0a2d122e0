#  SPDX-License-Identifier: MIT
"""The step that puts a staged top into its place: how it reads; what it does is held where mounts can be made."""

from __future__ import annotations

from pathlib import Path

from extension_runtime.merge.stage import Stage
from extension_runtime.merge.swap import Swap
from extension_runtime.merge.wanted import Wanted
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths


def test_a_swap_names_the_hierarchy_and_lets_go_of_nothing_it_has_not(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    hierarchy = Hierarchy("etc", f"{tmp_path}/private/etc", paths)
    logged: list[str] = []
    step = Swap(Stage(paths, hierarchy, Wanted("etc", "auto", [], "", False, False), 4, logged.append), logged.append)
    assert (step.name, step.text, step.waits) == ("swap:etc", f"swap {tmp_path}/private/etc", False)
    step.close()
    step.close()
    assert logged == []
