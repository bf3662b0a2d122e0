#  SPDX-License-Identifier: MIT
"""What is tidied up after a verb, and what is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from extension_manifests import load
from extension_manifests.errors import reason_of
from extension_runtime.image import attach as images
from extension_runtime.merge import tidy
from extension_runtime.merge.outlook import Outlook
from extension_runtime.merge.result import TransactionError
from extension_runtime.merge.state import Merged, Spec, Stacked, Standing, State
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths
from injected import each_error


class Root:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths = Paths(str(path))
        (path / "etc/extensions.d").mkdir(parents=True)

    def manifest(self, name: str, text: str) -> None:
        (self.path / f"etc/extensions.d/{name}.extension").write_text(text)

    def outlook(self) -> Outlook:
        return Outlook(self.paths, State(), load.load(str(self.path)), {}, set())

    def folder(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(parents=True)
        return folder


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_forsaken_are_those_without_a_manifest_or_masked(root: Root) -> None:
    assert tidy.forsaken(root.outlook()) == []
    attached = root.folder("run/extensionctl/attached")
    for name in ("good", "broken", "masked", "gone", "b-gone", ".half", "no name"):
        (attached / f"{name}.json").write_text("{}")
    (attached / "notes").write_text("")
    root.manifest("good", "[Extension]\n")
    root.manifest("broken", "[Extension]\nClass=wrong\n")
    root.manifest("masked", "")
    assert tidy.forsaken(root.outlook()) == ["b-gone", "gone", "masked"]


def test_layers_that_are_used_stay_and_empty_folders_go(root: Root) -> None:
    layer = root.folder("run/extensionctl/layers/3/app")
    root.folder("run/extensionctl/layers/2")
    root.folder("run/extensionctl/staging/usr")
    state = State(Merged(3, 0, {}, {"app": Standing("app", "merged", "", "/m", layer=str(layer))}))
    tidy.remove_unused(root.outlook(), state)
    assert layer.is_dir()
    assert not (layer.parents[1] / "2").exists()
    assert list((root.path / "run/extensionctl/staging").iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "merged", "kept"),
    [
        ("persistent", True, {"persistent": {7}, "ephemeral": set()}),
        ("ephemeral", True, {"persistent": set(), "ephemeral": {7}}),
        ("auto", True, {"persistent": set(), "ephemeral": set()}),
        ("persistent", False, {"persistent": set(), "ephemeral": set()}),
    ],
)
def test_only_the_work_folder_of_what_is_merged_stays(
    root: Root, mode: str, merged: bool, kept: dict[str, set[int]]
) -> None:
    places = {
        "persistent": root.folder("var/lib/extensions.mutable/etc"),
        "ephemeral": root.folder("run/extensionctl/upper/etc/upper"),
    }
    for place in places.values():
        (place / "precious").write_text("1")
        for generation in (6, 7):
            (place.parent / f".{place.name}-work-{generation}" / "work").mkdir(parents=True)
    etc = Stacked("/etc", mode, merged, merged and mode != "auto", "", [], 7, Spec(mode, [], "", False, merged))
    tidy.remove_old_work(root.outlook(), State(Merged(7, 0, {"etc": etc}, {})))
    for name, place in places.items():
        left = {int(path.name.rpartition("-")[2]) for path in place.parent.glob(".*-work-*")}
        assert left == kept[name], name
        assert (place / "precious").read_text() == "1"


@pytest.mark.parametrize(("writable", "left"), [(True, ["etc.upper.7", "usr.upper.7"]), (False, ["usr.upper.7"])])
def test_only_the_upper_of_what_is_merged_is_noted(root: Root, writable: bool, left: list[str]) -> None:
    bases = root.folder("run/extensionctl/base")
    for name in ("etc.upper.6", "etc.upper.7", "usr.upper.7"):
        (bases / name).symlink_to("/var/up")
    outlook = root.outlook()
    outlook.hierarchies["etc"] = Hierarchy("etc", f"{root.path}/etc", root.paths)
    spec = Spec("ephemeral", [], "", False, writable)
    etc = Stacked("/etc", "ephemeral", writable, writable, "", [], 7, spec)
    tidy.remove_old_work(outlook, State(Merged(7, 0, {"etc": etc}, {})))
    assert sorted(path.name for path in bases.iterdir()) == left


@each_error
def test_an_image_that_does_not_come_off_holds_up_no_other(
    root: Root, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    detached = []

    def detach(_paths: Paths, name: str) -> None:
        if name == "bad":
            raise error
        detached.append(name)

    monkeypatch.setattr(images, "detach", detach)
    with pytest.raises(TransactionError, match=f"^{re.escape(f'bad: {reason_of(error)}')}$"):
        tidy.detach(root.paths, ["a", "bad", "c"])
    assert detached == ["a", "c"]
    tidy.detach(root.paths, ["a"])
