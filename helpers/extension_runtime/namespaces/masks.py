#  SPDX-License-Identifier: MIT
"""What a service's sandbox has mounted below a hierarchy, taken from the old top to a new one that nobody sees yet."""

from __future__ import annotations

import errno
import os

from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.overlay.top import flag_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MASKS_MAX = 1000  # below one hierarchy; a sandbox with many paths has some dozens
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS


class NoPlaceError(OSError):
    """What is mounted below the old top has no place in the new tree: to leave it out would lift a mask."""


class Mask:
    """One mount below an old top, at `path`, with its `flags`.

    It shows the folder or file `part` of the hierarchy `hierarchy`, or, where that is empty, something else: a
    detached copy of the mount, `fd`.
    """

    __slots__ = ("fd", "flags", "hierarchy", "part", "path")

    def __init__(self, path: str, flags: Sequence[str], hierarchy: str, part: str, fd: int) -> None:
        self.path = path
        self.flags = flags
        self.hierarchy = hierarchy
        self.part = part
        self.fd = fd


def collect(
    table: mountinfo.Table, target: str, old: mountinfo.Mount, tops: Mapping[str, mountinfo.Mount], proc: int
) -> list[Mask]:
    """The masks below the top `old` at `target` in the namespace that this process is in, those they lie on first.

    `tops` are the old tops of all hierarchies in this namespace that are about to be replaced.  Raises OSError, for
    more than MASKS_MAX of them, too.
    """
    found: list[Mask] = []
    below = _below(table, target, old)
    if len(below) > MASKS_MAX:
        raise OSError(errno.E2BIG, f"{target}: has {len(below)} mounts below it; at most {MASKS_MAX} are carried over")
    try:
        for mount in below:
            fd = _open(mount, proc)
            if fd < 0:
                continue
            hierarchy, part = _part_of(mount, tops)
            try:
                copy = -1 if hierarchy else syscalls.open_tree("", syscalls.OPEN_TREE_CLONE, fd)
            finally:
                os.close(fd)
            found.append(Mask(mount.path, mount.flags, hierarchy, part, copy))
            if copy >= 0 and mount.shared:
                # What is then mounted on a peer would come up on the original, which everybody sees.
                syscalls.mount_setattr(copy, propagation=syscalls.MS_SLAVE)
    except BaseException:
        close(found)
        raise
    return found


def close(masks: Sequence[Mask]) -> None:
    """Let go of the copies."""
    for mask in masks:
        if mask.fd >= 0:
            os.close(mask.fd)
            mask.fd = -1


def shape(table: mountinfo.Table, target: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """What must be the same when the masks are used as when they were collected."""
    inside = target + "/"
    return [(m.id, m.parent, m.flags) for m in table.mounts.values() if (m.path + "/").startswith(inside)]


def same_rights(table: mountinfo.Table, target: str, one: mountinfo.Mount, other: mountinfo.Mount) -> bool:
    """Whether two tops at `target` allow the same."""
    rights = [
        (top.flags, [(mount.path, mount.flags, mount.fstype) for mount in _below(table, target, top)])
        for top in (one, other)
    ]
    return rights[0] == rights[1]


def _below(table: mountinfo.Table, target: str, mount: mountinfo.Mount) -> list[mountinfo.Mount]:
    """All mounts on `mount`, below `target`, and on those; of several at one place the visible one."""
    found = []
    # Whose table this is has made it what it likes: as deep and as high as the kernel allows.
    todo = [child for child in reversed(table.submounts(mount)) if child.path.startswith(target + "/")]
    while todo:
        top = table.covering(todo.pop())
        found.append(top)
        todo += reversed(table.submounts(top))
    return found


def _part_of(mount: mountinfo.Mount, tops: Mapping[str, mountinfo.Mount]) -> tuple[str, str]:
    """Which part of which old top `mount` is a bind of: the hierarchy and the path in it, or empty ones.

    A base is a folder of its file system, so the device alone does not tell.
    """
    for hierarchy, top in tops.items():
        if mount.dev == top.dev and (mount.root + "/").startswith(top.root.rstrip("/") + "/"):
            return hierarchy, mount.root[len(top.root.rstrip("/")) + 1 :]
    return "", ""


def _open(mount: mountinfo.Mount, proc: int) -> int:
    """A descriptor (O_PATH) of the root of `mount`, or -1 when another mount hides it."""
    try:
        fd = os.open(mount.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    if mountinfo.mount_id(fd, proc) == mount.id:
        return fd
    os.close(fd)
    return -1


def place(masks: Sequence[Mask], target: str, top: int, sources: Mapping[str, int]) -> None:
    """Mount `masks` on the attached mount `top`, which is to be at `target`.

    `sources` are descriptors of the new tops of the hierarchies.  No link is followed: it could lead out of the
    tree.  Raises NoPlaceError, OSError.
    """
    for mask in masks:
        where = _inside(top, mask.path[len(target) + 1 :], mask)
        try:
            tree = mask.fd
            if mask.hierarchy:
                tree = _new_part(mask, sources[mask.hierarchy])
            try:
                syscalls.move_mount(tree, "", target_fd=where)
            finally:
                if tree != mask.fd:
                    os.close(tree)
        finally:
            os.close(where)


def _new_part(mask: Mask, source: int) -> int:
    fd = _inside(source, mask.part, mask)
    try:
        tree = syscalls.open_tree("", syscalls.OPEN_TREE_CLONE, fd)
    finally:
        os.close(fd)
    try:
        syscalls.mount_setattr(tree, attr_set=flag_bits(mask.flags))
    except BaseException:
        os.close(tree)
        raise
    return tree


def _inside(fd: int, path: str, mask: Mask) -> int:
    try:
        return syscalls.openat2(path or ".", os.O_PATH, _INSIDE, fd)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV):
            raise
        text = f"{mask.path}: mounted by the sandbox, but not in the new content"
        raise NoPlaceError(error.errno, text) from None
