#  SPDX-License-Identifier: MIT
"""Puts tops in place: stage_anchor, exchange, unmount_top.  Rules measured on kernels 6.1 to 6.18."""

from __future__ import annotations

import errno
import os

from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.kernel.syscalls import MNT_DETACH
from extension_runtime.overlay import top
from extension_runtime.overlay.top import generation_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def stage_anchor(base: str, place: str) -> int:
    """Put an anchor, a private bind of `base`, at `place` and return its descriptor; the top is staged onto it."""
    anchor = syscalls.open_tree(base)
    try:
        syscalls.mount_setattr(anchor, propagation=syscalls.MS_PRIVATE)
        top.sign(anchor, mountinfo.read().mounts[mountinfo.visible(base)])
        syscalls.move_mount(anchor, place)
    except BaseException:
        os.close(anchor)
        raise
    return anchor


def unmount_top(target: str) -> None:
    """Take the top mount at `target` off, with what is mounted on it; nothing of that propagates."""
    tree = syscalls.open_tree(target, 0)
    try:
        # Copies of the submounts are peers of what they were copied from: without this those would go, too.
        syscalls.mount_setattr(tree, propagation=syscalls.MS_PRIVATE, recursive=True)
    finally:
        os.close(tree)
    syscalls.umount(target, MNT_DETACH)


def collapse(found: list[mountinfo.Mount], target: str, keep: int | None = None) -> None:
    """Leave one of the tops `found` at `target`, after a refresh that was killed with both there.

    That is the lowest, which came last, unless the visible one is of the generation `keep`.
    """
    if len(found) < 2:
        return
    copy = copy_top(target) if (generation_of(found[-1]) or 0) == keep else -1
    try:
        while len(found) > 1:
            unmount_top(target)
            found.pop()
        if copy >= 0:
            # What is beneath cannot be taken out; so it is shown, for as long as it takes to put this one beneath it.
            syscalls.mount_setattr(copy, propagation=syscalls.MS_SHARED)
            exchange(copy, target, lambda _text: None)
    finally:
        if copy >= 0:
            os.close(copy)


def copy_top(target: str) -> int:
    """A detached copy of the top at `target` with all that is mounted on it: what undoes an exchange."""
    return syscalls.open_tree(target, syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE)


def exchange(tree: int, target: str, log: Callable[[str], None]) -> None:
    """Replace the top at `target`, which lies on an anchor, by the mount `tree`: a look-up sees one or the other.

    Without MOVE_MOUNT_BENEATH (kernel before 6.5) there is a gap, whose length is logged.
    """
    try:
        syscalls.move_mount(tree, target, syscalls.MOVE_MOUNT_BENEATH)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS) or knows_beneath():
            raise
        _exchange_with_gap(tree, target, log)
        return
    unmount_top(target)


def _exchange_with_gap(tree: int, target: str, log: Callable[[str], None]) -> None:
    import time

    begin = time.perf_counter()
    unmount_top(target)
    syscalls.move_mount(tree, target)
    gap = (time.perf_counter() - begin) * 1e6
    log(f"{target}: replaced with a gap of {gap:.0f} us, because this kernel cannot mount beneath (before 6.5)")


def knows_beneath() -> bool:
    """Whether this kernel has MOVE_MOUNT_BENEATH, by the one error that it gives only when it knows the flag."""
    tree = syscalls.open_tree("/")
    try:
        syscalls.move_mount(tree, "/proc/self/fd/-1", syscalls.MOVE_MOUNT_BENEATH)
    except OSError as error:
        return error.errno == errno.ENOENT  # the flag was accepted, the path was not
    finally:
        os.close(tree)
    return True
