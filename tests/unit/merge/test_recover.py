#  SPDX-License-Identifier: MIT
"""What a killed merge has left, where nothing is mounted: folders go when they are empty, and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import reason_of
from extension_runtime.merge import recover
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths
from injected import each_error


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path))


def test_where_nothing_ever_was_there_is_nothing_to_do(paths: Paths) -> None:
    recover.recover(paths, {}, {}, set(), pytest.fail)
    recover.clear_staging(paths)
    recover.remove_layers(paths, set())
    recover.dismantle(paths, {})
    recover.take_off(f"{paths.staging}/usr")
    assert os.listdir(paths.root) == []


def test_staging_folders_go_and_what_is_in_them_stays(paths: Paths) -> None:
    Path(paths.staging, "usr").mkdir(parents=True)
    Path(paths.staging, "etc").mkdir()
    Path(paths.staging, "etc/file").write_text("1")
    recover.clear_staging(paths)
    assert os.listdir(paths.staging) == ["etc"]


def test_layers_that_are_used_stay_with_their_generation(paths: Paths) -> None:
    layer = Path(paths.layers, "2/app")
    layer.mkdir(parents=True)
    Path(paths.layers, "1").mkdir()
    recover.remove_layers(paths, {str(layer)})
    assert os.listdir(paths.layers) == ["2"]
    assert layer.is_dir()


def test_a_hierarchy_without_a_base_is_looked_at_and_left(paths: Paths) -> None:
    usr = Path(paths.root, "usr")
    usr.mkdir()
    hierarchy = Hierarchy("usr", str(usr), paths)
    hierarchy.found = []
    recover.recover(paths, {"usr": hierarchy}, {"usr": 4}, set(), pytest.fail)
    assert hierarchy.found is None


def test_all_that_merges_made_goes_and_what_others_have_there_stays(paths: Paths) -> None:
    usr = Path(paths.root, "usr")
    usr.mkdir()
    for name in (paths.base + "/usr", paths.layers + "/1", paths.staging, paths.attached):
        Path(name).mkdir(parents=True)
    Path(f"{paths.base}/usr.writable").write_text("")
    Path(paths.state).write_text("{}")
    recover.dismantle(paths, {"usr": Hierarchy("usr", str(usr), paths)})
    assert sorted(os.listdir(paths.run)) == ["state.json"]


@each_error
def test_a_layer_that_stays_holds_up_neither_others_nor_a_verb(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("1/a", "1/bad", "2/c"):
        Path(paths.layers, name).mkdir(parents=True)

    def unpin(path: str) -> None:
        if path.endswith("/bad"):
            raise error
        Path(path).rmdir()

    monkeypatch.setattr(recover, "unpin", unpin)
    said: list[str] = []
    recover.recover(paths, {}, {}, set(), said.append)
    assert said == [f"an unused layer stays: {reason_of(error)}"]
    assert [str(path.relative_to(paths.layers)) for path in sorted(Path(paths.layers).glob("*/*"))] == ["1/bad"]
    with pytest.raises(type(error)):
        recover.remove_layers(paths, set())
