"""Faults at every step and in every system call of a verb: what was is what is, or the verb is done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime import files
from extension_runtime.kernel import syscalls
from extension_runtime.merge import recover, statefile, steps
from extension_runtime.overlay import submounts, upper
from extension_runtime.paths import Paths
from extension_runtime.steps import Step
from roots import Interruption, Root, failing_call

CALLS = [
    (syscalls, name)
    for name in (
        "open_tree",
        "move_mount",
        "mount_setattr",
        "fsopen",
        "fsconfig_string",
        "fsconfig_create",
        "fsmount",
        "umount",
        "openat2",
    )
]
FILES = [(os, name) for name in ("mkdir", "rmdir", "unlink", "rename", "listdir", "chown", "chmod")]


def fresh(path: Path) -> Root:
    """A root to be merged for the first time, with what makes it hard: shared submounts and mutable modes."""
    root = Root(path)
    for place in ("usr/local", "usr/local/deep", "etc/net"):
        (root / place).mkdir(parents=True, exist_ok=True)
        syscalls.mount("sub", str(root / place), "tmpfs", 0, None)
        syscalls.mount("", str(root / place), None, syscalls.MS_SHARED, None)
        root.put(f"{place}/file", place)
    root.extension("app", files={"opt/app/x": "1"})
    root.extension("conf", class_="confext")
    root.put("run/extensions.d/extensions.conf", "[Etc]\nMode=ephemeral\n[Opt]\nMode=persistent\n")
    return root


def merged(path: Path) -> Root:
    root = fresh(path)
    root.merge()
    root.put("etc/written", "kept")
    root.put("opt/written", "kept")
    return root


def updated(path: Path) -> Root:
    """A root with new versions of its images, not yet refreshed."""
    root = merged(path)
    root.install(root.tree("app", "2", files={"opt/app/x": "2"}))
    root.install(root.tree("conf", "2", "confext"), "confext")
    root.extension("tool")
    return root


def with_other_modes(path: Path) -> Root:
    root = merged(path)
    modes = "[Etc]\nMode=persistent\n[Opt]\nMode=ephemeral\n[Usr]\nMode=ephemeral\n"
    root.put("run/extensions.d/extensions.conf", modes)
    return root


def twice_merged(path: Path) -> Root:
    root = updated(path)
    root.refresh()
    return root


SCENARIOS: dict[str, tuple[Callable[[Path], Root], str, set[str]]] = {
    "first": (fresh, "merge", {"attach:app", "pin:app", "base:usr", "base:etc", "stage:opt", "swap:etc", "mark"}),
    "refresh": (updated, "refresh", {"attach:app", "pin:conf", "stage:usr", "stage:etc", "swap:usr", "swap:opt"}),
    "modes": (with_other_modes, "refresh", {"stage:usr", "stage:etc", "stage:opt", "swap:usr", "mark", "commit"}),
    "unmerge": (merged, "unmerge", {"stage:usr", "stage:etc", "swap:usr", "swap:etc", "mark", "commit"}),
    "rollback": (twice_merged, "rollback", {"stage:usr", "stage:etc", "swap:usr", "mark", "commit"}),
}


@pytest.fixture(params=sorted(SCENARIOS))
def scenario(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def lasting(root: Root) -> dict[str, object]:
    """All that must not change, but for the empty folders of a first merge."""
    found = root.snapshot()
    run = str(root / "run/extensionctl")
    empty = {f"{run}/{name}" for name in ("attached", "base", "layers", "staging", "merged", "upper", "empty")}
    listing = [path for path in found["listing"] if path != run and path not in empty]
    return {**found, "listing": [path for path in listing if path != f"{root.path}/run/extension"]}


def test_a_fault_before_each_step(namespace: Path, scenario: str) -> None:
    prepare, verb, expected = SCENARIOS[scenario]
    root = prepare(namespace / "r")
    before = lasting(root)
    seen: list[str] = []
    for position in range(100):
        names: list[str] = []

        def fail(step: Step, names: list[str] = names, position: int = position) -> None:
            names.append(step.name)
            if len(names) == position + 1:
                raise Interruption(f"injected at {step.name}")

        try:
            root.run(verb, before=fail)
        except Interruption as error:
            assert lasting(root) == before, f"before {names[-1]}"
            assert (root.state["last"]["result"], root.state["last"]["reason"]) == ("failed", str(error))
            continue
        seen = names
        break
    assert expected <= set(seen)
    assert root.state["last"]["result"] == "done"
    if verb != "unmerge":
        root.check()


def test_a_fault_in_each_system_call(namespace: Path, scenario: str) -> None:
    # What opens an image has tests of its own, and here a fault in it is one extension left out, again and again.
    attaches = scenario in ("first", "refresh")
    fault_in_each(namespace, scenario, [f for f in CALLS if not attaches or f[1] != "openat2"], errno.EIO)


def test_a_fault_at_each_change_of_a_folder(namespace: Path, scenario: str) -> None:
    fault_in_each(namespace, scenario, FILES, errno.ENOSPC)


def fault_in_each(namespace: Path, scenario: str, functions: list[tuple[Any, str]], error: int) -> None:
    """Have the first call fail, then the second, and so on: a verb that fails changes nothing, any other is sound."""
    prepare, verb, _expected = SCENARIOS[scenario]
    root = prepare(namespace / "r")
    before = lasting(root)
    serial = failures = 0
    for number in range(1000):
        root.log.clear()
        with failing_call(number, error, functions) as calls:
            try:
                code = root.run(verb).exit_code
            except ExtensionError:
                code = 1
        if code == 1:
            failures += 1
            assert lasting(root) == before, f"after {calls[number]}; log: {root.log}"
            continue
        if len(calls) <= number:
            break
        # It got along: with a fallback, without what failed, or with something left to tidy up.
        if verb != "unmerge":
            root.check(tidy=functions is CALLS and not any("tidied" in line for line in root.log))
        again = root.run("refresh" if verb == "rollback" else verb).exit_code
        assert again == 0, f"after {calls[number]}"
        if verb == "unmerge":
            assert {mount.source for mount in root.mounts()} == {"tmpfs", "sub"}
            assert not root.loops()
        else:
            root.check()
        syscalls.umount(str(root.path), syscalls.MNT_DETACH)
        serial += 1
        root = prepare(namespace / f"r{serial}")
        before = lasting(root)
    else:
        pytest.fail("there was no end of calls")
    assert failures > 10


def test_what_cannot_be_taken_back_is_logged_and_the_rest_is(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = updated(namespace / "r")
    before = root.content()

    def broken(_self: steps.Pin) -> None:
        raise OSError(errno.EIO, "cannot unpin")

    monkeypatch.setattr(steps.Pin, "undo", broken)

    def fail(step: Step) -> None:
        if step.name == "commit":
            raise Interruption("injected")

    with pytest.raises(Interruption):
        root.run("refresh", before=fail)
    assert root.content() == before
    assert [line for line in root.log if line.startswith("pin app") and "could not be taken back" in line]
    root.check()


@pytest.mark.parametrize("verb", ["refresh", "unmerge"])
def test_umount_that_always_fails_deletes_nothing(namespace: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Removals must never go on where a mount is still there: behind it may be the hierarchy itself."""
    root = updated(namespace / "r")
    root.put("usr/local/file", "precious")
    before = root.content()
    bases = {name: sorted(os.listdir(root / f"run/extensionctl/base/{name}")) for name in ("usr", "opt", "etc")}
    images = sorted(os.walk(root / "var/lib/extensions"))

    def busy(target: str, _flags: int = 0) -> None:
        raise OSError(errno.EBUSY, f"umount {target}: injected")

    original = syscalls.umount
    monkeypatch.setattr(syscalls, "umount", busy)
    with pytest.raises(ExtensionError):
        root.run(verb)
    with pytest.raises(ExtensionError):
        root.run(verb)
    assert root.content() == before
    monkeypatch.setattr(syscalls, "umount", original)
    assert {n: sorted(os.listdir(root / f"run/extensionctl/base/{n}")) for n in bases} == bases
    assert sorted(os.walk(root / "var/lib/extensions")) == images
    assert root.refresh().exit_code == 0
    assert root.read("usr/share/app") == "2"
    root.check()


def test_removing_a_work_folder_stops_at_mounts(namespace: Path) -> None:
    """A bind within one file system has the same device number: rmtree() would go through it."""
    root = Root(namespace / "r")
    work = root / "var/.up-work-1/work/inner"
    work.mkdir(parents=True)
    root.put("var/.up-work-1/file")
    os.symlink(root / "usr", root / "var/.up-work-1/link")
    tree = syscalls.open_tree(str(root / "usr"))
    syscalls.move_mount(tree, str(work))
    os.close(tree)
    file = root.put("var/.up-work-1/bound")
    tree = syscalls.open_tree(str(root / "usr/bin/base"))
    syscalls.move_mount(tree, str(file))
    os.close(tree)
    upper.remove_tree(str(root / "var/.up-work-1"))
    assert root.read("usr/bin/base") == "base"
    assert not root.has("var/.up-work-1/file")
    assert not root.has("var/.up-work-1/link")
    for path in (work, file):
        syscalls.umount(str(path))
    upper.remove_tree(str(root / "var/.up-work-1"))
    assert not root.has("var/.up-work-1")


def test_removing_layers_never_goes_into_one(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    places = Paths(str(root.path))
    monkeypatch.setattr(syscalls, "umount", lambda *_arguments: None)
    with pytest.raises(OSError, match="busy"):
        recover.remove_layers(places, set())
    assert root.read("var/lib/extensions/app/usr/share/app") == "1"
    assert root.read("run/extensionctl/layers/1/app/usr/share/app") == "1"


def test_taking_a_staged_tree_off_leaves_the_real_submounts(namespace: Path) -> None:
    """A copy of a shared submount is its peer: what is unmounted on the copy is unmounted on the submount."""
    root = fresh(namespace / "r")
    root.merge()
    places = Paths(str(root.path))
    (root / "run/extensionctl/staging/usr").mkdir()
    tree = syscalls.open_tree(str(root / "run/extensionctl/base/usr"))
    syscalls.move_mount(tree, f"{places.staging}/usr")
    syscalls.mount_setattr(tree, propagation=syscalls.MS_SHARED)
    submounts.carry_submounts(str(root / "usr"), f"{places.staging}/usr").close()
    os.close(tree)
    assert root.read("run/extensionctl/staging/usr/local/deep/file") == "usr/local/deep"
    recover.clear_staging(places)
    assert root.read("usr/local/deep/file") == "usr/local/deep"
    assert os.listdir(places.staging) == []


def test_a_full_file_system_of_the_state(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = updated(namespace / "r")
    before = lasting(root)

    def full(*_arguments: object) -> None:
        raise files.StateError("state.json: No space left on device")

    monkeypatch.setattr(statefile, "write", full)
    with pytest.raises(ExtensionError, match="No space left"):
        root.refresh()
    assert lasting(root) == before
