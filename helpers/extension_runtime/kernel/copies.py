#  SPDX-License-Identifier: MIT
"""Detached copies of mounts, also of unbindable ones: those are private for as long as it takes.

The kernel refuses to copy an unbindable mount, and leaves those out that are below what is copied.  Private and
unbindable mounts propagate nothing both, so that nobody can tell.
"""

from __future__ import annotations

import errno

from extension_runtime.kernel import mountinfo, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def copy_mount(path: str, dir_fd: int = syscalls.AT_FDCWD) -> int:
    """A copy of the visible mount at `path`, or, where that is "", of the mount of `dir_fd`; from there on, alone."""
    try:
        return syscalls.open_tree(path, syscalls.OPEN_TREE_CLONE, dir_fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        table = mountinfo.read()
        mount = table.mounts.get(mountinfo.visible(path) if path else mountinfo.mount_id(dir_fd))
        closed = _closed([mount] if mount else [])
        if not closed:
            raise
    return _copy(path, syscalls.OPEN_TREE_CLONE, dir_fd, closed)


def copy_tree(path: str, table: mountinfo.Table) -> int:
    """A copy of the visible mount at `path` with all that is mounted below it."""
    closed = _closed([table.mounts[mountinfo.visible(path)], *table.below(path)])
    return _copy(path, syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE, syscalls.AT_FDCWD, closed)


def _copy(path: str, flags: int, dir_fd: int, closed: Iterable[mountinfo.Mount]) -> int:
    # An automount is copied as it is: to have something mounted there may take for ever.
    flags |= syscalls.AT_NO_AUTOMOUNT
    try:
        for mount in closed:
            syscalls.mount_setattr(mount.path, propagation=syscalls.MS_PRIVATE)
        return syscalls.open_tree(path, flags, dir_fd)
    finally:
        for mount in closed:
            syscalls.mount_setattr(mount.path, propagation=syscalls.MS_UNBINDABLE)


def _closed(mounts: Iterable[mountinfo.Mount]) -> list[mountinfo.Mount]:
    """Which of them are unbindable, and can be reached by their paths."""
    return [mount for mount in mounts if "unbindable" in mount.propagation and _is_visible(mount)]


def _is_visible(mount: mountinfo.Mount) -> bool:
    try:
        return mountinfo.visible(mount.path) == mount.id
    except OSError:
        return False
