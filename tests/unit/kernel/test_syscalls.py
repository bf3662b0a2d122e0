#  SPDX-License-Identifier: MIT
"""What system calls refuse comes out as OSError that names the call; openat2 keeps its rules.  Nothing is mounted."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from extension_runtime.kernel import syscalls

# Without the right to mount, some calls say so before they look at anything.
REFUSED = f": {os.strerror(errno.EPERM)}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").write_text("inside")
    return tmp_path


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_PATH)
    yield fd
    os.close(fd)


@pytest.fixture
def file_fd(root: Path) -> Iterator[int]:
    fd = os.open(root / "dir/file", os.O_RDONLY)
    yield fd
    os.close(fd)


def opened(path: str, resolve: int, dir_fd: int) -> os.stat_result:
    fd = syscalls.openat2(path, os.O_PATH, resolve, dir_fd)
    try:
        assert not os.get_inheritable(fd)
        return os.fstat(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("target", ["/dir/file", "../../../dir/file", "dir/file"])
def test_in_root_a_link_stays_inside(target: str, root: Path, root_fd: int) -> None:
    (root / "link").symlink_to(target)
    assert opened("link", syscalls.RESOLVE_IN_ROOT, root_fd).st_ino == (root / "dir/file").stat().st_ino


@pytest.mark.parametrize(
    ("target", "resolve", "number"),
    [
        ("../..", syscalls.RESOLVE_BENEATH, errno.EXDEV),
        ("/dir", syscalls.RESOLVE_BENEATH, errno.EXDEV),
        ("dir", syscalls.RESOLVE_NO_SYMLINKS, errno.ELOOP),
        ("/proc/self/fd/0", syscalls.RESOLVE_NO_MAGICLINKS, errno.ELOOP),
        ("link", 0, errno.ELOOP),
        ("/outside", syscalls.RESOLVE_IN_ROOT, errno.ENOENT),
    ],
)
def test_what_the_rules_forbid(target: str, resolve: int, number: int, root: Path, root_fd: int) -> None:
    (root / "link").symlink_to(target)
    with pytest.raises(OSError, match=r"openat2 link: ") as raised:
        opened("link", resolve, root_fd)
    assert raised.value.errno == number


def test_no_xdev_stays_on_its_mount() -> None:
    fd = os.open("/", os.O_PATH)
    try:
        with pytest.raises(OSError, match=r"openat2 proc/self: ") as raised:
            opened("proc/self", syscalls.RESOLVE_NO_XDEV, fd)
    finally:
        os.close(fd)
    assert raised.value.errno == errno.EXDEV


def test_a_file_is_made_with_its_mode(root: Path, root_fd: int) -> None:
    os.close(syscalls.openat2("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0, root_fd, 0o600))
    assert (root / "new").stat().st_mode & 0o777 == 0o600


def test_a_name_may_hold_any_byte(root: Path, root_fd: int) -> None:
    name = os.fsdecode(b"\xff\xfe")
    (root / name).write_text("")
    assert opened(name, 0, root_fd).st_ino == (root / name).stat().st_ino


def test_a_tree_that_is_not_copied_is_the_place_itself(root: Path, root_fd: int) -> None:
    for path, dir_fd in ((str(root), syscalls.AT_FDCWD), ("", root_fd)):
        tree = syscalls.open_tree(path, 0, dir_fd)
        try:
            assert os.fstat(tree).st_ino == root.stat().st_ino
            assert not os.get_inheritable(tree)
        finally:
            os.close(tree)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda _fd: syscalls.open_tree("/none", 0), "open_tree /none: No such file or directory"),
        (lambda fd: syscalls.move_mount(fd, "/none"), "move_mount /none: No such file or directory"),
        (lambda _fd: syscalls.move_mount(-1, ""), "move_mount : Bad file descriptor"),
        (lambda fd: syscalls.mount_setattr(fd, attr_set=1), "mount_setattr : Invalid argument"),
        (lambda _fd: syscalls.mount_setattr("/none", attr_set=1), "mount_setattr /none: No such file or directory"),
        (lambda _fd: syscalls.fsopen("no-such-fs"), "fsopen no-such-fs: No such device"),
        (syscalls.fsmount, "fsmount: Invalid argument"),
        (
            lambda _fd: syscalls.mount("none", "/none", "tmpfs", 0, None),
            "mount tmpfs on /none: No such file or directory",
        ),
        (lambda _fd: syscalls.mount("none", "/none", None, 0, "x"), "mount  on /none: No such file or directory"),
        (lambda _fd: syscalls.umount("/none"), "umount /none: No such file or directory"),
        (syscalls.setns, "setns: Invalid argument"),
        (lambda _fd: syscalls.unshare(1), "unshare: Invalid argument"),
        (syscalls.next_mount_namespace, "ioctl NS_MNT_GET_NEXT: Inappropriate ioctl for device"),
    ],
)
def test_a_failure_names_the_call_and_the_reason(call: Callable[[int], object], text: str, file_fd: int) -> None:
    with pytest.raises(OSError) as raised:
        call(file_fd)
    assert raised.value.strerror in (text, text.rpartition(": ")[0] + REFUSED)
    assert os.geteuid() or raised.value.strerror == text


def test_nothing_is_unmounted_where_nothing_is_mounted(root: Path) -> None:
    with pytest.raises(OSError, match=f"umount {root}/dir: ") as raised:
        syscalls.umount(f"{root}/dir")
    assert raised.value.errno in (errno.EINVAL, errno.EPERM)


def test_an_unmount_does_not_follow_a_link(root: Path) -> None:
    (root / "link").symlink_to("nowhere")
    with pytest.raises(OSError, match=f"umount {root}/link: ") as raised:
        syscalls.umount(f"{root}/link")
    assert raised.value.errno in (errno.EINVAL, errno.EPERM)  # and not ENOENT


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda fd: syscalls.fsconfig_string(fd, "source", "/x"), "fsconfig source=/x: Invalid argument"),
        (lambda fd: syscalls.fsconfig_flag(fd, "ro"), "fsconfig ro: Invalid argument"),
        (syscalls.fsconfig_create, "fsconfig create: Invalid argument"),
    ],
)
def test_what_the_kernel_logged_is_told(call: Callable[[int], None], text: str) -> None:
    # A pipe is no context, so it is refused; like one, it gives a message a read.
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_DIRECT)
    try:
        with pytest.raises(OSError, match="Invalid argument") as raised:
            call(reader)
        assert raised.value.strerror == text
        for line in (b"e squashfs: no superblock\n", b"plain"):
            os.write(writer, line)
        with pytest.raises(OSError, match="Invalid argument") as raised:
            call(reader)
        assert raised.value.strerror == f"{text}: squashfs: no superblock; plain"
        for _ in range(9):
            os.write(writer, b"e x")
        with pytest.raises(OSError, match="Invalid argument") as raised:
            call(reader)
        assert raised.value.strerror == f"{text}: {'; '.join('x' * 8)}"
    finally:
        os.close(reader)
        os.close(writer)
