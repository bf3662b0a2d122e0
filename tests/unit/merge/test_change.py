#  SPDX-License-Identifier: MIT
"""What is asked of services when what is merged changes: which extensions came, went or changed, and their fields."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests.errors import Diagnostic
from extension_manifests.load import Plan
from extension_manifests.manifest import Manifest
from extension_manifests.settings import Settings
from extension_runtime.merge import change
from extension_runtime.merge.goal import Order
from extension_runtime.merge.state import Merged, Spec, Stacked, Standing
from extension_runtime.react import actionfile
from extension_runtime.react.actionfile import Action
from extension_runtime.react.reaction import Reaction
from fake_systemd import FakeSystemd

RELEASE = "usr/lib/extension-release.d/extension-release."


class Machine:
    """Layers of extensions in a folder, merges of them, and what changes from one to the next."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logged: list[str] = []
        (path / "base").mkdir()

    def layer(self, name: str, generation: int, release: str = "ID=_any\n") -> Standing:
        folder = self.path / str(generation) / name
        (folder / RELEASE).parent.mkdir(parents=True)
        (folder / f"{RELEASE}{name}").write_text(release)
        (folder / "usr/version").write_text(str(generation))
        return Standing(name, "merged", "", "/m", image=f"/images/{name}.raw", classes=["sysext"], layer=str(folder))

    def merged(self, *standings: Standing) -> Merged:
        layers = [(item.name, f"{item.layer}/usr") for item in standings]
        usr = Stacked("/usr", "auto", True, False, "", layers, 1, Spec("auto", layers, "", False, True))
        return Merged(1, 0, {"usr": usr}, {item.name: item for item in standings})

    def change(self, old: Merged, new: Merged, order: Order | None = None, *manifests: Manifest) -> Reaction:
        plan = Plan(manifests, {}, {}, Settings(), [])
        bases = {"usr": str(self.path / "base")}
        return change.prepare(order or Order("refresh"), plan, old, new, bases, self.logged.append)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(change, "Systemd", FakeSystemd)
    monkeypatch.setattr(actionfile, "load", lambda _root: ([], []))
    return Machine(tmp_path)


def test_what_came_went_and_changed_and_what_stayed(machine: Machine) -> None:
    stays, goes, changes = (machine.layer(name, 1) for name in ("stays", "goes", "changes"))
    old = machine.merged(stays, goes, changes)
    found = machine.change(old, machine.merged(stays, machine.layer("changes", 2), machine.layer("comes", 2)))
    assert (found.change.added, found.change.changed, found.change.removed) == (("comes",), ("changes",), ("goes",))
    assert (found.change.verb, found.change.boot) == ("refresh", False)
    assert {item.path: item.kind for item in found.changes if item.path.startswith("/usr/version")} == {
        "/usr/version": "modified"
    }


def test_what_is_not_merged_neither_comes_nor_goes(machine: Machine) -> None:
    out = Standing("out", "skipped", "x", "/m")
    empty = Merged(0, 0, {}, {"out": out})
    found = machine.change(empty, empty)
    assert (found.change.added, found.change.removed, found.changes) == ((), (), [])


def test_fields_are_those_of_the_new_image_or_of_the_one_that_goes(machine: Machine) -> None:
    old = machine.merged(machine.layer("a", 1, "ID=_any\nX=1\n"), machine.layer("b", 1, "ID=_any\nX=1\n"))
    found = machine.change(old, machine.merged(machine.layer("a", 2, "ID=_any\nX=2\n")))
    assert {name: fields["X"] for name, fields in found.change.release.items()} == {"a": "2", "b": "1"}


@pytest.mark.parametrize("how", ["gone", "without", "broken"])
def test_fields_that_cannot_be_read_ask_for_nothing(machine: Machine, how: str) -> None:
    item = machine.layer("a", 1, "ID='\n" if how == "broken" else "ID=_any\n")
    if how == "without":
        Path(item.layer, f"{RELEASE}a").unlink()
    found = change._release_fields(item.but(layer="/missing") if how == "gone" else item)
    assert found == {}


def test_the_boot_is_told_and_manifests_are_asked(machine: Machine) -> None:
    manifest = Manifest("a", "/m", start=("n.service",))
    found = machine.change(machine.merged(), machine.merged(machine.layer("a", 1)), Order("merge", boot=True), manifest)
    assert found.change.boot
    assert [(wish.verb, wish.unit) for wish in found.wishes] == [("start", "n.service")]


def test_actions_are_those_of_the_machine_and_wrong_ones_are_logged(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = Action("demo", "/d")
    action.paths, action.exec = ("/usr/version",), ("/bin/demo",)
    monkeypatch.setattr(actionfile, "load", lambda _root: ([action], [Diagnostic("/d/x.action", 2, "is wrong")]))
    found = machine.change(machine.merged(), machine.merged(machine.layer("a", 1)))
    assert [item.describe() for item in found.actions] == ["run the action demo for /usr/version"]
    assert machine.logged == ["/d/x.action:2: is wrong"]
