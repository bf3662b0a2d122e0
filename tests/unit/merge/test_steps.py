#  SPDX-License-Identifier: MIT
"""The steps around the mounts of a merge: how they read, marks and the state, and that failures leave nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.files import StateError
from extension_runtime.merge import statefile
from extension_runtime.merge.state import Merged, State
from extension_runtime.merge.steps import Base, Commit, Mark, Pin, Workshop
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(str(tmp_path))
    Path(found.merged).mkdir(parents=True)
    return found


def test_steps_say_what_they_do(paths: Paths) -> None:
    root = paths.root
    usr = Hierarchy("usr", f"{root}/usr", paths)
    steps = [
        Workshop(paths),
        Pin("app", f"{paths.extension}/app", f"{paths.layers}/4/app"),
        Base(usr),
        Commit(paths, State(), State()),
        Mark(paths, set()),
    ]
    assert [(step.name, step.text) for step in steps] == [
        ("workshop", f"make {root}/run/extensionctl a private mount"),
        ("pin:app", f"pin app as {root}/run/extensionctl/layers/4/app"),
        ("base:usr", f"bind {root}/usr without extensions at {root}/run/extensionctl/base/usr"),
        ("commit", f"write {root}/run/extensionctl/state.json"),
        ("mark", "mark what is merged for extension@.service"),
    ]
    assert not any(step.waits for step in steps)


def test_marks_are_made_removed_and_put_back(paths: Paths) -> None:
    def marks() -> list[str]:
        return sorted(os.listdir(paths.merged))

    Mark(paths, {"a", "b"}).do()
    assert marks() == ["a", "b"]
    step = Mark(paths, {"b", "c"})
    step.do()
    assert marks() == ["b", "c"]
    assert Path(paths.merged, "c").stat().st_mode & 0o777 == 0o600
    step.undo()
    assert marks() == ["a", "b"]


def test_marks_that_cannot_be_made_leave_those_of_before(paths: Paths) -> None:
    Mark(paths, {"a"}).do()
    with pytest.raises(OSError, match="File name too long"):
        Mark(paths, {"b", "x" * 300}).do()
    assert os.listdir(paths.merged) == ["a"]


def test_a_commit_writes_the_new_state_and_back_the_old_one(paths: Paths) -> None:
    old, new = State(Merged(1, 0, {}, {})), State(Merged(2, 0, {}, {}))
    step = Commit(paths, old, new)
    step.do()
    assert statefile.read(paths) == new
    step.undo()
    assert statefile.read(paths) == old


def test_a_commit_that_fails_leaves_the_state_of_before(paths: Paths) -> None:
    statefile.write(paths, State(Merged(1, 0, {}, {})))
    os.symlink("elsewhere", f"{paths.state}.new")
    with pytest.raises(StateError, match="symbolic links"):
        Commit(paths, State(), State(Merged(2, 0, {}, {}))).do()
    assert statefile.read(paths).now.generation == 1


def test_what_is_not_attached_is_not_pinned(paths: Paths) -> None:
    layer = f"{paths.layers}/4/app"
    with pytest.raises(OSError):
        Pin("app", f"{paths.extension}/app", layer).do()
    assert not os.path.lexists(layer)


def test_a_hierarchy_that_is_gone_is_not_bound(paths: Paths) -> None:
    usr = Hierarchy("usr", f"{paths.root}/usr", paths)
    with pytest.raises(FileNotFoundError):
        Base(usr).do()
    assert not os.path.lexists(f"{usr.base}.writable")
    assert not usr.has_base


def test_the_workshop_is_not_taken_back(paths: Paths) -> None:
    Workshop(paths).undo()
    assert os.path.isdir(paths.run)
