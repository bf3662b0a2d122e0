#  SPDX-License-Identifier: MIT
"""Copies of unbindable mounts: which are made private meanwhile, and that they are unbindable again; all faked."""

from __future__ import annotations

import errno
import os

import pytest
from extension_runtime.kernel import copies, mountinfo, syscalls

TEXT = """\
10 1 8:1 / / rw shared:1 - ext4 a rw
11 10 8:2 / /opt rw unbindable - ext4 b rw
12 11 8:3 / /opt/sub rw unbindable - ext4 c rw
13 11 8:4 / /opt/hidden rw unbindable - ext4 d rw
14 11 8:5 / /opt/private rw - ext4 e rw
15 11 8:5 / /opt/gone rw unbindable - ext4 e rw
"""


class Kernel:
    """A mount table, and what is asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[object] = []
        self.table = mountinfo.Table(TEXT)
        self.propagation = {m.path: "unbindable" in m.propagation for m in self.table.mounts.values()}
        self.error = 0
        monkeypatch.setattr(mountinfo, "read", lambda: self.table)
        monkeypatch.setattr(mountinfo, "mount_id", lambda fd: fd)
        monkeypatch.setattr(mountinfo, "visible", self.visible)
        monkeypatch.setattr(syscalls, "mount_setattr", self.mount_setattr)
        monkeypatch.setattr(syscalls, "open_tree", self.open_tree)

    def visible(self, path: str) -> int:
        if path == "/opt/gone":
            raise FileNotFoundError(path)
        return next((m.id for m in self.table.mounts.values() if m.path == path != "/opt/hidden"), 10)

    def mount_setattr(self, path: str, *, propagation: int) -> None:
        self.propagation[path] = propagation == syscalls.MS_UNBINDABLE
        self.calls.append((path, self.propagation[path]))

    def open_tree(self, path: str, flags: int, dir_fd: int) -> int:
        self.calls.append((path, flags))
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        if self.propagation.get(path or {11: "/opt"}.get(dir_fd, "/"), False):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return 7


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def test_an_ordinary_mount_is_copied_at_once(kernel: Kernel) -> None:
    assert copies.copy_mount("/") == 7
    assert kernel.calls == [("/", 1)]


@pytest.mark.parametrize(("path", "fd"), [("/opt", -100), ("", 11)])
def test_an_unbindable_one_is_private_meanwhile(kernel: Kernel, path: str, fd: int) -> None:
    assert copies.copy_mount(path, fd) == 7
    assert kernel.calls == [
        (path, 1),
        ("/opt", False),
        (path, 1 | syscalls.AT_NO_AUTOMOUNT),
        ("/opt", True),
    ]


@pytest.mark.parametrize(
    ("path", "number"), [("/", errno.EINVAL), ("/opt", errno.EPERM), ("/opt/hidden", errno.EINVAL)]
)
def test_whatever_else_is_wrong_is_raised(kernel: Kernel, path: str, number: int) -> None:
    kernel.error = number
    with pytest.raises(OSError) as raised:
        copies.copy_mount(path)
    assert (raised.value.errno, kernel.calls) == (number, [(path, 1)])


def test_of_a_tree_all_that_can_be_reached_are(kernel: Kernel) -> None:
    assert copies.copy_tree("/opt", kernel.table) == 7
    closed = {path for path, value in (call for call in kernel.calls if isinstance(call, tuple)) if value is False}
    assert closed == {"/opt", "/opt/sub"}
    assert kernel.propagation == Kernel(pytest.MonkeyPatch()).propagation


def test_they_are_unbindable_again_after_a_failure(kernel: Kernel) -> None:
    kernel.error = errno.ENOMEM
    with pytest.raises(OSError):
        copies.copy_tree("/opt", kernel.table)
    assert all(kernel.propagation[path] for path in ("/opt", "/opt/sub"))
