#  SPDX-License-Identifier: MIT
"""Mount namespaces that any user can make: whatever is in them, a refresh goes on without them, and says so."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from extension_manifests.errors import reason_of
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.namespaces import masks, spread, steps
from extension_runtime.namespaces.find import Namespaces
from extension_runtime.overlay.hierarchy import find
from extension_runtime.paths import Paths
from injected import each_error
from roots import Root

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
MS_REC = 0x4000


@contextmanager
def other(root: Root, inside: Callable[[], None], user: bool = False) -> Iterator[int]:
    """A process in a mount namespace of its own that has done `inside` at the root; an ordinary `user`'s, if so."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(root.path)  # what leads there is root's
            if user:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                assert syscalls._libc.unshare(CLONE_NEWUSER | syscalls.CLONE_NEWNS) == 0
            else:
                syscalls.unshare()
                syscalls.mount("", "/", None, MS_REC | syscalls.MS_SLAVE, None)
            inside()
            os.write(writer, b"done")
            signal.pause()
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        said = os.read(reader, 4096)
        assert said == b"done", said
        yield pid
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def merged(path: Path) -> Root:
    root = Root(path)
    root.extension("app", "1")
    root.merge()
    return root


def refresh(root: Root, version: str = "2") -> spread.Spread:
    """A refresh, and what of it a running machine does besides: bring other namespaces to what is merged."""
    root.install(root.tree("app", version))
    root.refresh()
    paths = Paths(str(root.path))
    hierarchies = find(paths).found
    for hierarchy in hierarchies.values():
        hierarchy.look()
    return steps.spread(hierarchies.values(), paths.staging)


def seen(pid: int, root: Root) -> str:
    return Path(f"/proc/{pid}/root/{root.path}/usr/share/app").read_text()


def stacks(place: str, number: int) -> Callable[[], None]:
    def inside() -> None:
        for _ in range(number):
            syscalls.mount(place, place, None, syscalls.MS_BIND, None)

    return inside


@pytest.mark.parametrize("place", ["usr", "usr/share"])
@pytest.mark.parametrize("user", [True, False])
def test_a_pile_of_mounts_blocks_nobody(namespace: Path, place: str, user: bool) -> None:
    """A recursion over it has no end that Python takes."""
    root = merged(namespace / "r")
    with other(root, stacks(place, 1200), user), other(root, lambda: None) as service:
        begin = time.monotonic()
        done = refresh(root)
        assert time.monotonic() - begin < 5
        assert seen(service, root) == "2"
    # Of one pile the top counts; what nobody may take off in a user namespace stays, and is told.
    assert len(done.failed) <= 1
    root.check()


def test_more_mounts_than_a_sandbox_can_have(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "MASKS_MAX", 20)
    root = merged(namespace / "r")

    def inside() -> None:
        for number in range(30):
            place = f"usr/share/{number}"
            syscalls.mount("tmpfs", place, "tmpfs", 0, None)

    for number in range(30):
        (root / f"run/{number}").mkdir()
    root.install(root.tree("app", "2", files={f"usr/share/{number}/x": "" for number in range(30)}))
    root.refresh()
    with other(root, inside), other(root, lambda: None) as service:
        done = refresh(root, "3")
        assert seen(service, root) == "3"
    [failed] = done.failed
    assert failed.endswith("/usr: has 30 mounts below it; at most 20 are carried over")


def test_a_mount_table_without_an_end(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "TABLE_MAX", 40_000)
    root = merged(namespace / "r")
    with other(root, stacks("opt", 1000), user=True), other(root, lambda: None) as service:
        done = refresh(root)
        assert seen(service, root) == "2"
    [failed] = done.failed
    assert failed.endswith("its mount table has more than 40000 bytes")


def test_there_is_an_end_of_time_for_all(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = merged(namespace / "r")
    original = spread.Spreader._update

    def slow(self: spread.Spreader, fd: int) -> bool:
        time.sleep(0.2)
        return original(self, fd)

    monkeypatch.setattr(spread, "TIMEOUT", 0.3)
    monkeypatch.setattr(spread.Spreader, "_update", slow)
    everybody = Namespaces.processes
    with (
        other(root, lambda: None, user=True) as one,
        other(root, lambda: None, user=True) as two,
        other(root, lambda: None) as own,
    ):
        known = {os.stat(f"/proc/{pid}/ns/mnt").st_ino for pid in (one, two, own)}

        def processes(self: Namespaces) -> dict[int, list[str]]:
            return {number: names for number, names in everybody(self).items() if number in known}

        monkeypatch.setattr(Namespaces, "processes", processes)
        monkeypatch.setattr(Namespaces, "_without_process", lambda _self, _seen: iter(()))
        begin = time.monotonic()
        done = refresh(root)
        assert time.monotonic() - begin < 3
        # That of a service comes first, whoever else has made some before it.
        assert seen(own, root) == "2"
    late = [f"process {pid}: not reached within 0.3 s" for pid in (one, two)]
    assert late[1] in done.failed
    assert {*done.failed} <= {*late}


@each_error
@pytest.mark.parametrize("call", ["_table", "_drop_private", "_replace", "_assemble"])
def test_whatever_is_raised_over_one_namespace_leaves_that_one_behind(
    namespace: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, call: str
) -> None:
    root = merged(namespace / "r")
    original = getattr(spread.Spreader, call)
    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "debug")
    with other(root, lambda: None) as bad, other(root, lambda: None) as good:
        number = os.stat(f"/proc/{bad}/ns/mnt").st_ino
        current: list[int] = []

        def update(self: spread.Spreader, fd: int) -> bool:
            current[:] = [os.fstat(fd).st_ino]
            return plain(self, fd)

        def fail(self: spread.Spreader, *arguments: object) -> object:
            if current == [number]:
                raise error
            return original(self, *arguments)

        plain = spread.Spreader._update
        monkeypatch.setattr(spread.Spreader, "_update", update)
        monkeypatch.setattr(spread.Spreader, call, fail)
        done = refresh(root)
        assert (seen(bad, root), seen(good, root)) == ("1", "2")
        assert done.failed == [f"process {bad}: {reason_of(error)}"]
    root.check()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM])
@pytest.mark.parametrize("call", ["move_mount", "open_tree", "mount_setattr", "umount"])
def test_a_system_call_that_fails_in_one_namespace(
    namespace: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    root = merged(namespace / "r")
    with other(root, lambda: None) as bad, other(root, lambda: None) as good:
        inode = os.stat(f"/proc/{bad}/ns/mnt").st_ino
        original, plain = getattr(syscalls, call), spread.Spreader._update
        failing = False

        def update(self: spread.Spreader, fd: int) -> bool:
            nonlocal failing
            failing = os.fstat(fd).st_ino == inode
            try:
                return plain(self, fd)
            finally:
                failing = False

        def fail(*arguments: object, **more: object) -> object:
            if failing:
                raise OSError(number, os.strerror(number))
            return original(*arguments, **more)

        monkeypatch.setattr(spread.Spreader, "_update", update)
        monkeypatch.setattr(syscalls, call, fail)
        done = refresh(root)
        assert seen(good, root) == "2"
        assert [text for text in done.failed if text.startswith(f"process {bad}: ")]
    assert mountinfo.read()
