"""Killed at any moment: the next verb puts it right, and nothing is left over."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import syscalls
from extension_runtime.merge import statefile
from extension_runtime.overlay import exchange
from extension_runtime.paths import Paths
from extension_runtime.steps import Step
from roots import Root


def made(namespace: Path) -> Root:
    """A root with submounts, a raw image and a mutable /etc."""
    root = Root(namespace / "r")
    for place in ("usr/local", "usr/local/deep"):
        (root / place).mkdir(parents=True, exist_ok=True)
        syscalls.mount("sub", str(root / place), "tmpfs", 0, None)
        syscalls.mount("", str(root / place), None, syscalls.MS_SHARED, None)
        root.put(f"{place}/file", place)
    root.extension("app")
    root.raw("big")
    root.extension("conf", class_="confext")
    root.put("run/extensions.d/extensions.conf", "[Etc]\nMode=ephemeral\n")
    return root


def forked(body: Callable[[], object]) -> int:
    """Run `body` in a child and return the signal or, negative, the status that it ended with."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        except ExtensionError:
            status = 2
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return -code


def killed_at(root: Root, verb: str, position: int) -> bool:
    """Do `verb` in a process that kills itself before the step at `position`; whether there was such a step."""
    seen = 0

    def die(_step: Step) -> None:
        nonlocal seen
        if seen == position:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    return forked(lambda: root.run(verb, before=die)) == signal.SIGKILL


def hold_nothing_is_left(root: Root) -> None:
    """Hold that there is one work folder, and a loop device for each raw image that is mounted and no other."""
    root.check()
    assert len(root.works()) == 1
    wanted = len({mount.source for mount in root.mounts() if mount.fstype == "squashfs"})
    end = time.monotonic() + 5
    while len(root.loops()) > wanted and time.monotonic() < end:
        time.sleep(0.02)
    assert len(root.loops()) == wanted


@pytest.mark.parametrize("verb", ["merge", "refresh", "rollback", "unmerge"])
@pytest.mark.parametrize("then", ["refresh", "unmerge"])
def test_killed_before_each_step(namespace: Path, verb: str, then: str) -> None:
    root = made(namespace)
    start = root.snapshot()["mounts"]
    root.merge()
    root.put("etc/written", "kept")
    position = 0
    while True:
        root.run("unmerge" if verb == "merge" else "refresh")
        root.install(root.tree("app", str(position)))
        if verb == "rollback":
            root.refresh()
        found = killed_at(root, verb, position)
        for hierarchy in ("usr", "etc"):
            assert root.has(f"{hierarchy}/base.conf" if hierarchy == "etc" else "usr/bin/base")
        assert root.read("usr/local/deep/file") == "usr/local/deep"
        assert root.run(then).exit_code == 0
        if then == "refresh":
            assert (root.read("usr/share/app"), root.read("etc/written")) == (str(position), "kept")
            hold_nothing_is_left(root)
        else:
            names = [mount[0] for mount in root.snapshot()["mounts"]]
            assert names == [mount[0] for mount in start]
            assert not root.has("usr/share/big")
            root.merge()
        if not found:
            break
        position += 1
    assert position >= 4


def test_killed_at_any_time(namespace: Path) -> None:
    root = made(namespace)
    root.merge()
    chance = random.Random(11)
    deaths = 0
    begin = time.monotonic()
    root.refresh(always=True)
    whole = time.monotonic() - begin  # seconds
    for number in range(40):
        root.install(root.tree("app", str(number)))
        pid = os.fork()
        if pid == 0:
            try:
                root.refresh(always=True)
            finally:
                os._exit(0)
        time.sleep(chance.random() * whole)
        os.kill(pid, signal.SIGKILL)
        deaths += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        assert root.read("usr/share/app") in (str(number), str(number - 1), "1")
        assert root.read("usr/share/big") == root.read("etc/share/conf") == "1"
        assert root.read("usr/local/deep/file") == "usr/local/deep"
        assert root.refresh().exit_code == 0
        assert root.read("usr/share/app") == str(number)
        hold_nothing_is_left(root)
    assert deaths > 10


def test_killed_between_beneath_and_umount_stays_with_what_the_state_says(namespace: Path) -> None:
    root = made(namespace)
    root.merge()
    before = root.snapshot()
    image = root.tree("app", "2")

    def die(_target: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    root.install(image)
    detach = exchange.unmount_top
    exchange.unmount_top = die  # type: ignore[assignment]
    assert forked(root.refresh) == signal.SIGKILL
    exchange.unmount_top = detach
    assert len([m for m in root.mounts() if m.path == str(root / "usr")]) == 3
    assert root.read("usr/share/app") == "1"
    with pytest.raises(ExtensionError):
        root.run("rollback")
    assert root.read("usr/share/app") == "1"
    assert sorted(m.source for m in root.mounts() if m.path == str(root / "usr")) == ["extensions:usr:1", "tmpfs"]
    assert root.content() == before["content"]
    assert root.refresh().exit_code == 0
    root.check()


def test_a_generation_that_was_seen_is_not_used_again(namespace: Path) -> None:
    """Other namespaces are told by the number of the generation whether they are behind."""
    root = made(namespace)
    root.merge()
    root.install(root.tree("app", "2"))

    def die(step: Step) -> None:
        if step.name == "commit":
            os.kill(os.getpid(), signal.SIGKILL)

    assert forked(lambda: root.run("refresh", before=die)) == signal.SIGKILL
    assert (root.state["generation"], root.top("usr").source) == (1, "extensions:usr:2")
    root.install(root.tree("app", "3"))
    root.refresh()
    assert (root.state["generation"], root.top("usr").source) == (3, "extensions:usr:3")
    root.check()


def test_after_a_loss_of_power_all_mounts_are_made_again(namespace: Path) -> None:
    """A root's /run may be on a disk: then the state tells of layers which a reboot has taken."""
    root = made(namespace)
    root.merge()
    for mount in sorted(root.mounts(), key=lambda mount: -mount.id):
        if "/run/" in mount.path or mount.source.startswith("extensions:") or not mount.propagation:
            try:
                syscalls.umount(mount.path, syscalls.MNT_DETACH)
            except OSError:
                continue
    assert not root.has("usr/share/app")
    assert root.refresh().exit_code == 0
    assert root.read("usr/share/app") == root.read("usr/share/big") == root.read("etc/share/conf") == "1"
    root.check()
    with pytest.raises(ExtensionError, match="no earlier merge"):
        root.run("rollback")


@pytest.mark.parametrize("verb", ["merge", "refresh", "unmerge"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"format": 1, "generation": "x"}'])
def test_a_state_that_cannot_be_read_is_put_aside_and_stops_no_verb(namespace: Path, text: str, verb: str) -> None:
    root = made(namespace)
    base = root.content()
    root.merge()
    merged = root.content()
    root.put("run/extensionctl/state.json", text)
    done = root.run(verb)
    assert done.exit_code == 0
    [told] = [message for message in done.messages if "state.json" in message]
    assert told.endswith("state.json.aside, and all extensions are merged anew")
    assert root.read("run/extensionctl/state.json.aside") == text
    assert root.content() == (base if verb == "unmerge" else merged)
    if verb != "unmerge":
        root.check()
    again = root.refresh()
    assert (again.exit_code, root.content()) == (0, merged)
    assert not [message for message in again.messages if "state.json" in message]
    root.check()


def test_a_state_that_cannot_be_read_is_none_to_go_back_to(namespace: Path) -> None:
    root = made(namespace)
    root.merge()
    before = root.content()
    root.put("run/extensionctl/state.json", "{")
    with pytest.raises(ExtensionError, match="there is no earlier merge to go back to"):
        root.run("rollback")
    assert root.content() == before
    assert root.refresh().exit_code == 0
    root.check()
    with pytest.raises(ExtensionError, match="there is no earlier merge to go back to"):
        root.run("rollback")
    assert root.content() == before


def test_what_is_left_of_a_killed_write_is_no_state(namespace: Path) -> None:
    root = made(namespace)
    root.merge()
    root.put("run/extensionctl/state.json.new", '{"format": 1, "gener')
    assert statefile.read(Paths(str(root.path))).now.generation == 1
    assert root.refresh().exit_code == 0
    root.check()
