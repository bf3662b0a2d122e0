#  SPDX-License-Identifier: MIT
"""A root whose folders are absolute links: they mean places inside it, and nothing outside is read or made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from roots import Root

FOLDERS = ("run", "var", "var/lib", "var/lib/extensions.mutable", "opt", "etc", "usr")


def moved(root: Root, folder: str, outside: Path) -> None:
    """Put `folder` of the root below `outside`, as seen from inside the root, and an absolute link in its place."""
    inside = root / str(outside).lstrip("/")
    inside.mkdir(parents=True)
    outside.mkdir()
    place = root / folder
    if place.exists():
        for name in os.listdir(place):
            os.rename(place / name, inside / name)
        place.rmdir()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_everything_is_done_inside_the_root(namespace: Path, folder: str) -> None:
    root = Root(namespace / "r")
    root.extension("tool")
    root.extension("conf", class_="confext")
    root.settings(etc="persistent", opt="ephemeral")
    outside = namespace / "outside"
    moved(root, folder, outside)
    before = os.listdir(namespace)
    assert root.merge().exit_code == 0
    assert (root.path / "usr").is_symlink() or root.read("usr/share/tool") == "1"
    assert listing(outside) == []
    assert root.refresh(always=True).exit_code == 0
    assert root.run("rollback").exit_code == 0
    assert root.run("unmerge").exit_code == 0
    assert listing(outside) == []
    assert os.listdir(namespace) == before


def test_a_run_that_leads_nowhere_is_told(namespace: Path) -> None:
    root = Root(namespace / "r")
    (root / "run").rmdir()
    (root / "run").symlink_to("/nowhere")
    with pytest.raises(ExtensionError, match=r"r/run: is a link to nowhere inside the root; correct or remove it"):
        root.merge()
