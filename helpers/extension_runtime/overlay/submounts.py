#  SPDX-License-Identifier: MIT
"""What is mounted below a hierarchy, carried over to a new tree."""

from __future__ import annotations

import os

from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.overlay.top import OverlayError

# An automount is carried as it is: to have something mounted there may take for ever.
_WHOLE = syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE | syscalls.AT_NO_AUTOMOUNT


def carry_submounts(target: str, place: str) -> list[str]:
    """Bind what is mounted below the visible mount at `target` to the same paths below `place`; return those paths.

    Raises OverlayError when one has no path in the new tree.
    """
    table = mountinfo.read()
    top = table.mounts[mountinfo.visible(target)]
    if not _within(top.path, target):
        return []
    prefix = target.rstrip("/") + "/"
    carried = []
    above: tuple[str, ...] = ()
    for mount in table.submounts(top):
        if not mount.path.startswith(prefix):
            continue
        if mount.path.startswith(above):
            continue  # one that is higher up, and came later, hides it
        above = (*above, f"{mount.path}/")
        try:
            _carry(mount.path, mount.path[len(prefix) :], place)
        except OSError as error:
            raise OverlayError(
                f"{mount.path}: mounted below {target}, but has no place in the new tree ({error.strerror}); "
                f"unmount it, or leave out the extension that hides it"
            ) from None
        carried.append(mount.path)
    return carried


def _carry(path: str, relative: str, place: str) -> None:
    """Bind the tree of mounts at `path` to `relative` in the tree at `place`, which no link there can lead out of."""
    tree = syscalls.open_tree(path, _WHOLE)
    try:
        inside = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            onto = syscalls.openat2(
                relative, os.O_PATH, syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS, inside
            )
        finally:
            os.close(inside)
        try:
            syscalls.move_mount(tree, "", target_fd=onto)
        finally:
            os.close(onto)
    finally:
        os.close(tree)


def added_submounts(target: str, tops: int) -> list[tuple[str, int]]:
    """Copies of what was mounted below `target` since it is merged: paths and descriptors, which the caller closes.

    `tops` is how many mounts lie over the anchor there.
    """
    table = mountinfo.read()
    stack = table.stack(mountinfo.visible(target))
    anchor = stack[-1 - tops]
    before = {mount.path for mount in table.submounts(table.mounts[anchor.parent])}
    prefix = target + "/"
    added = [m.path for m in table.submounts(stack[-1]) if m.path.startswith(prefix) and m.path not in before]
    return [(path, syscalls.open_tree(path, _WHOLE)) for path in added]


def _within(path: str, target: str) -> bool:
    return path in (target, "/") or target.startswith(path.rstrip("/") + "/")
