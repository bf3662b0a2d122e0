"""Many verbs at once: one after the other, each by what is there when its turn comes."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime import files
from extension_runtime.files import StateError
from extension_runtime.merge import transaction
from extension_runtime.merge.lock import Lock
from extension_runtime.paths import Paths
from roots import Root


def start(body: Callable[[], int]) -> int:
    """Run `body`, which returns an exit status, in a child process."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = body()
        except ExtensionError as error:
            os.write(2, f"{error}\n".encode())
            status = 1
        finally:
            os._exit(status)
    return pid


def ends(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_twelve_at_once(namespace: Path) -> None:
    root = Root(namespace / "r")
    for name in ("app", "tool"):
        root.extension(name)
    root.extension("conf", class_="confext")
    for verb in ("merge", "refresh"):
        root.install(root.tree("app", verb))
        assert ends([start(lambda verb=verb: root.run(verb).exit_code) for _ in range(12)]) == [0] * 12  # type: ignore[misc]
        root.check()
        assert root.read("usr/share/app") == verb
    assert ends([start(lambda: root.refresh(always=True).exit_code) for _ in range(12)]) == [0] * 12
    root.check()
    verbs = ["refresh", "unmerge", "merge", "refresh", "unmerge", "refresh"] * 2
    assert ends([start(lambda verb=verb: root.run(verb).exit_code) for verb in verbs]) == [0] * 12  # type: ignore[misc]
    root.refresh()
    root.check()
    root.run("unmerge")
    assert [mount.path for mount in root.mounts()] == [str(root.path)]


def test_twelve_at_once_with_one_that_is_broken(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.manifest("absent")
    assert ends([start(lambda: root.refresh().exit_code) for _ in range(12)]) == [3] * 12
    root.check()


def test_who_waited_goes_by_what_is_there_then(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    reader, writer = os.pipe()

    def hold() -> int:
        with Lock(Paths(str(root.path)), 1):
            os.write(writer, b"held")
            time.sleep(0.5)
        return 0

    # In a process of its own: a child of this one would inherit the lock.
    holder = start(hold)
    os.read(reader, 4)
    waiting = start(lambda: root.refresh().exit_code)
    time.sleep(0.3)
    root.extension("tool")
    assert ends([holder, waiting]) == [0, 0]
    assert root.read("usr/share/tool") == "1"


def test_changes_and_refreshes_at_once_end_with_the_last_change(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    pids = []
    for number in range(20):
        root.install(root.tree("app", str(number)))
        pids.append(start(lambda: root.refresh().exit_code))
    assert ends(pids) == [0] * 20
    assert root.read("usr/share/app") == "19"
    root.check()


def test_a_reader_never_sees_half_a_state(namespace: Path) -> None:
    root = Root(namespace / "r")
    for number in range(20):
        root.extension(f"app{number}")
    root.merge()

    def write() -> int:
        for _ in range(25):
            root.refresh(always=True)
        return 0

    pid = start(write)
    reads, generations = 0, set()
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        for _ in range(50):
            found = json.loads((root / "run/extensionctl/state.json").read_text())
            assert len(found["extensions"]) == 20
            assert found["hierarchies"]["usr"]["generation"] == found["generation"]
            generations.add(found["generation"])
            reads += 1
    assert reads > 200
    assert len(generations) > 10


def test_one_that_never_ends_is_told(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    with Lock(Paths(str(root.path)), 1), pytest.raises(StateError, match="has not ended within"):
        Lock(Paths(str(root.path)), 0.05).__enter__()


def test_the_lock_goes_with_its_holder(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    with Lock(Paths(str(root.path)), 1):
        pass
    with open(root / "run/extensionctl/lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_two_roots_do_not_wait_for_each_other(namespace: Path) -> None:
    first, second = Root(namespace / "a"), Root(namespace / "b")
    for root in (first, second):
        root.extension("app")
    files.folder(Paths(str(first.path)).run)
    with Lock(Paths(str(first.path)), 1):
        assert transaction.run("refresh", str(second.path)).exit_code == 0
