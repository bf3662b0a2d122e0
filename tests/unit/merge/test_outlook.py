#  SPDX-License-Identifier: MIT
"""What a verb finds: whether anything is to be done at all, the number of the next merge, which layers are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests import load
from extension_runtime.kernel.mountinfo import Mount
from extension_runtime.merge import outlook
from extension_runtime.merge.outlook import Outlook
from extension_runtime.merge.state import Merged, Standing, State
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths


def root(path: Path, text: str = "", settings: str = "", cmdline: str = "") -> Paths:
    """A root with /usr and /etc, a manifest of `text` if there is any, and settings."""
    (path / "usr").mkdir(exist_ok=True)
    folder = path / "etc/extensions.d"
    folder.mkdir(parents=True, exist_ok=True)
    (path / "proc").mkdir(exist_ok=True)
    (path / "proc/cmdline").write_text(cmdline)
    if text:
        (folder / "app.extension").write_text(text)
    if settings:
        (folder / "extensions.conf").write_text(settings)
    return Paths(str(path))


def seen(paths: Paths, visible: int, merged: int = 0) -> Outlook:
    """With an overlay of generation `visible` on /usr and a state of generation `merged`."""
    usr = Hierarchy("usr", f"{paths.root}/usr", paths)
    usr.found = [Mount(f"22 21 0:45 / /usr rw - overlay extensions:usr:{visible} ro")] if visible else []
    return Outlook(paths, State(Merged(merged, 0, {}, {})), load.load(paths.root), {"usr": usr}, set())


def test_a_look_has_the_hierarchies_that_are_there_and_nothing_pinned(tmp_path: Path) -> None:
    state = State()
    found = outlook.look(root(tmp_path, "[Extension]\n"), state)
    assert list(found.hierarchies) == ["usr", "etc"]
    assert [manifest.name for manifest in found.plan.extensions] == ["app"]
    assert found.pinned == set()
    assert found.state is state


@pytest.mark.parametrize(("visible", "merged", "number"), [(0, 0, 1), (0, 4, 5), (7, 4, 8), (3, 4, 5)])
def test_the_next_merge_has_a_number_that_never_was_seen(
    tmp_path: Path, visible: int, merged: int, number: int
) -> None:
    assert seen(root(tmp_path), visible, merged).generation == number


@pytest.mark.parametrize(
    ("text", "settings", "cmdline", "idle"),
    [
        ("", "", "", True),
        ("[Extension]\n", "", "", False),
        ("[Extension]\nClass=wrong\n", "", "", False),
        ("", "[Etc]\nMode=read-only\n", "", False),
        ("", "[Opt]\nImport=yes\n", "", False),
        ("[Extension]\n", "[Etc]\nMode=read-only\n", "extensions=0", True),
    ],
)
def test_idle_is_who_has_neither_manifests_nor_modes(
    tmp_path: Path, text: str, settings: str, cmdline: str, idle: bool
) -> None:
    assert outlook.look(root(tmp_path, text, settings, cmdline), State()).idle is idle


def test_who_ever_merged_is_not_idle(tmp_path: Path) -> None:
    assert seen(root(tmp_path), 0).idle
    assert not seen(root(tmp_path), 0, 1).idle
    assert not seen(root(tmp_path), 1).idle


def test_good_is_only_what_has_its_layer_still(tmp_path: Path) -> None:
    stood = {name: Standing(name, "merged", "", "/m", layer=f"/layers/1/{name}") for name in ("there", "gone")}
    stood["out"] = Standing("out", "skipped", "x", "/m")
    found = Outlook(
        Paths(str(tmp_path)), State(Merged(1, 0, {}, stood)), load.load(str(tmp_path)), {}, {"/layers/1/there"}
    )
    assert found.good() == {"there": stood["there"]}
