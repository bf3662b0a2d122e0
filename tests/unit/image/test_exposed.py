#  SPDX-License-Identifier: MIT
"""Who else than root can change what decides, by the file itself, a folder above it, or one on the way of a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.image import exposed
from requirements import require_root

BY_ALL = "can be written by everybody, who can so change what is merged; chmod o-w"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "srv/images/app.raw"
    file.parent.mkdir(parents=True)
    file.touch(0o644)
    (tmp_path / "var/lib/extensions").mkdir(parents=True)
    (tmp_path / "var/lib/extensions/app.raw").symlink_to("/srv/images/app.raw")
    return file


def found(root: Path) -> list[tuple[str, str]]:
    return exposed.remarks(str(root), ["/var/lib/extensions/app.raw", "/etc/missing"])


def test_what_is_root_s_alone_is_not_mentioned(tmp_path: Path, image: Path) -> None:
    tmp_path.chmod(0o777)  # the root itself is somebody else's matter
    assert found(tmp_path) == []


@pytest.mark.parametrize("place", ["srv", "srv/images", "srv/images/app.raw", "var", "var/lib", "var/lib/extensions"])
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_every_place_on_the_way_counts(tmp_path: Path, image: Path, place: str, mode: int) -> None:
    (tmp_path / place).chmod(mode)
    shown = "var/lib/extensions/app.raw" if place == "srv/images/app.raw" else place
    places = dict(found(tmp_path))
    assert places[f"/{shown}"] == BY_ALL
    assert places.keys() <= {f"/{place}", f"/{shown}"}


def test_owners(tmp_path: Path, image: Path) -> None:
    require_root()
    os.chown(image.parent, 1000, 1000)
    assert found(tmp_path) == [("/srv/images", "belongs to user 1000, who can change what is merged; make it root's")]
    # All of it is a user's, who builds a system there.
    os.chown(tmp_path, 1000, 1000)
    assert found(tmp_path) == []


def test_what_leads_nowhere_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("/loop")
    (tmp_path / "gone").symlink_to("/nowhere/at/all")
    assert exposed.remarks(str(tmp_path), ["/loop/a", "/gone", "/missing/a"]) == []


def test_each_is_told_once_and_on_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "a\n<2>b"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "x").touch(0o644)
    (folder / "y").touch(0o644)
    paths = ["/a\n<2>b/x", "/a\n<2>b/y"]
    assert exposed.remarks(str(tmp_path), paths) == [("/a\\x0a<2>b", BY_ALL)]
