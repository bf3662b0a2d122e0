#  SPDX-License-Identifier: MIT
"""The folders of a root lie in its /run, links in it followed inside of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.paths import Paths

FOLDERS = ("attached", "base", "layers", "staging", "merged", "upper", "forced")


@pytest.mark.parametrize("root", ["", "/"])
def test_the_running_machine(root: str) -> None:
    paths = Paths(root)
    assert (paths.root, paths.live) == ("", True)
    assert (paths.extension, paths.run) == ("/run/extension", "/run/extensionctl")
    assert [getattr(paths, name) for name in FOLDERS] == [f"/run/extensionctl/{name}" for name in FOLDERS]
    assert (paths.state, paths.lock) == ("/run/extensionctl/state.json", "/run/extensionctl/lock")


def test_another_root(tmp_path: Path) -> None:
    paths = Paths(f"{tmp_path}//./")
    assert (paths.root, paths.live) == (str(tmp_path), False)
    assert paths.extension == f"{tmp_path}/run/extension"
    assert all(getattr(paths, name) == f"{tmp_path}/run/extensionctl/{name}" for name in FOLDERS)
    assert list(tmp_path.iterdir()) == []


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "root/var/run").mkdir(parents=True)
    (tmp_path / "root/run").symlink_to("/var/run")
    (tmp_path / "link").symlink_to("root")
    paths = Paths(str(tmp_path / "link"))
    assert paths.root == f"{tmp_path}/root"
    assert paths.lock == f"{tmp_path}/root/var/run/extensionctl/lock"


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to("/var/run")
    with pytest.raises(
        ImageError, match=f"^{tmp_path}/run: is a link to nowhere inside the root; correct or remove it$"
    ):
        Paths(str(tmp_path))
    with pytest.raises(ImageError, match=f"^{tmp_path}/none: No such file or directory$"):
        Paths(f"{tmp_path}/none")


def test_places_are_below_the_root() -> None:
    assert (Paths("").state, Paths("/").lock) == ("/run/extensionctl/state.json", "/run/extensionctl/lock")
    assert (Paths("").live, Paths("/").live, Paths("/usr").live) == (True, True, False)
    assert Paths("/usr//lib/").layers == "/usr/lib/run/extensionctl/layers"


def test_every_folder_is_a_different_one() -> None:
    found = Paths("/usr")
    places = [getattr(found, name) for name in Paths.__slots__ if name not in ("root", "run", "extension")]
    assert len(set(places)) == len(places)
    assert all(place.startswith(f"{found.run}/") for place in places)
