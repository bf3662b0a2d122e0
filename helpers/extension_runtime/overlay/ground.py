#  SPDX-License-Identifier: MIT
"""The ground: the mount that a hierarchy lies on.  What is put over it, or taken off, reaches none of its peers.

A peer is a mount of the same folder elsewhere (`mount --bind /data/opt /opt`), the file system beneath that mount, or
the same mount in another namespace.  What is mounted on one of them comes up on all, and would stay there.  So the
ground leaves its group while that is done, and a *stand-in*, a copy of it at a private place, holds its membership,
for microseconds.  A ground that is a mount of the hierarchy's own is covered by what lies over it and cannot be
reached: that one comes back into its group, and learns what was mounted on its peers meanwhile, when it is bare again.

Without this, propagation would also put the anchor over what the sandboxes of services have masked.
"""

from __future__ import annotations

import os

from extension_runtime.files import folder
from extension_runtime.kernel import copies, mountinfo, syscalls
from extension_runtime.overlay.exchange import unmount_top
from extension_runtime.overlay.top import OverlayError, is_anchor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.overlay.hierarchy import Hierarchy


def attach(anchor: int, hierarchy: Hierarchy) -> None:
    """Put the staged tree of `anchor`, with one top on it, over the hierarchy in one step."""
    table = mountinfo.read()
    try:
        hush(table.mounts[mountinfo.visible(hierarchy.target)], table, hierarchy)
        syscalls.move_mount(anchor, hierarchy.target)
        settle(hierarchy)
    except BaseException:
        if _anchor(mountinfo.read(), hierarchy) is None:
            settle(hierarchy)
        else:
            unmount_top(hierarchy.target)
            detach(hierarchy)
        raise


def detach(hierarchy: Hierarchy) -> None:
    """Take off the anchor of the hierarchy, which has no top any more, so that the ground shows."""
    table = mountinfo.read()
    ground = _ground(table, hierarchy)
    try:
        if ground.path != hierarchy.target:
            hush(ground, table, hierarchy)
        unmount_top(hierarchy.target)
    finally:
        settle(hierarchy)


def hush(ground: mountinfo.Mount, table: mountinfo.Table, hierarchy: Hierarchy) -> None:
    """Take the mount `ground`, on which the hierarchy lies, out of its group, and put a stand-in in its place."""
    if not _propagates(ground):
        return
    _refuse_hidden(ground)
    if mountinfo.is_mount_point(hierarchy.stand_in):
        unmount_top(hierarchy.stand_in)  # one that could not be taken off, and that may have left the group
    _put_stand_in(ground, table, hierarchy)
    syscalls.mount_setattr(ground.path, propagation=syscalls.MS_PRIVATE)


def _put_stand_in(ground: mountinfo.Mount, table: mountinfo.Table, hierarchy: Hierarchy) -> None:
    # Only of what is the hierarchy itself the mounts on it are of interest; others have the whole machine on them.
    own = ground.path == hierarchy.target
    stand_in = copies.copy_tree(ground.path, table) if own else syscalls.open_tree(ground.path)
    try:
        folder(hierarchy.stand_in)
        syscalls.move_mount(stand_in, hierarchy.stand_in)
    finally:
        os.close(stand_in)


def settle(hierarchy: Hierarchy) -> None:
    """Bring the ground back into its group, if it can be reached, and take the stand-in off.

    Does nothing where there is no stand-in, so it also puts right what one that was killed has left.
    """
    if not mountinfo.is_mount_point(hierarchy.stand_in):
        return
    table = mountinfo.read()
    ground = _ground(table, hierarchy)
    if mountinfo.visible(ground.path) != ground.id and ground.path == hierarchy.target:
        return  # covered by the anchor
    _refuse_hidden(ground)
    if not _propagates(ground) and ground.path == hierarchy.target:
        _catch_up(table, ground, table.mounts[mountinfo.visible(hierarchy.stand_in)])
    _return(ground, hierarchy.stand_in)


def join(tree: int, hierarchy: Hierarchy) -> None:
    """Have the detached bind `tree` of the hierarchy's base exchange mounts with others as the ground does."""
    source = hierarchy.stand_in
    if not mountinfo.is_mount_point(source):
        table = mountinfo.read()
        ground, base = _ground(table, hierarchy), hierarchy.base_mount(table)
        if base is None or ground.dev != base.dev:
            return  # an earlier version has made the anchor
        if not _propagates(ground) or mountinfo.visible(ground.path) != ground.id:
            return
        source = ground.path
    fd = syscalls.open_tree(source, 0)
    try:
        syscalls.set_group(fd, tree)
    finally:
        os.close(fd)


def retract(target: str, place: str) -> None:
    """Take off the copies of the private bind at `target` that others in this namespace got when it was mounted.

    A stand-in is at `place`, which is in that bind.  It cannot be mounted so that nobody gets any: there is no other
    place for a stand-in yet, and without one a ground would stay out of its group if this were killed.
    """
    table = mountinfo.read()
    bind = table.mounts[mountinfo.visible(target)]
    ground = table.mounts[bind.parent]
    if mountinfo.visible(ground.path) != ground.id:
        return
    if mountinfo.is_mount_point(place):
        _return(ground, place)
        return
    copies_of_it = _copies(table, bind, ground)
    if not copies_of_it:
        return
    stand_in = copies.copy_mount(ground.path)
    try:
        folder(place)
        syscalls.move_mount(stand_in, place)
    finally:
        os.close(stand_in)
    try:
        syscalls.mount_setattr(ground.path, propagation=syscalls.MS_PRIVATE)
        for mount in copies_of_it:
            if _is_seen(mount):  # not gone with another one
                unmount_top(mount.path)
    finally:
        _return(mountinfo.read().mounts[ground.id], place)


def _copies(table: mountinfo.Table, bind: mountinfo.Mount, ground: mountinfo.Mount) -> list[mountinfo.Mount]:
    """The copies of `bind`, which is mounted on `ground`, that its peers and slaves have; none that others hide.

    Those go with the bind.  One is under `bind` itself, where `ground` is a bind of the folder that it lies on.
    """
    group = [field.removeprefix("shared:") for field in ground.propagation if field.startswith("shared:")]
    found = []
    for mount in table.mounts.values():
        above = table.mounts.get(mount.parent)
        if above is None or above.id == ground.id or (mount.dev, mount.root) != (bind.dev, bind.root):
            continue
        same_place = _inside(mount, above) == _inside(bind, ground)
        if same_place and any(field.partition(":")[2] in group for field in above.propagation):
            found.append(mount)
    return [mount for mount in found if _is_seen(mount)]


def _is_seen(mount: mountinfo.Mount) -> bool:
    try:
        return mountinfo.visible(mount.path) == mount.id
    except OSError:
        return False


def _inside(mount: mountinfo.Mount, ground: mountinfo.Mount) -> str:
    """Where in its file system the mount `ground` has the place of `mount`."""
    return ground.root.rstrip("/") + "/" + mount.path[len(ground.path.rstrip("/")) :].strip("/")


def _return(ground: mountinfo.Mount, place: str) -> None:
    """Bring `ground` back into its group, and take off the stand-in at `place`."""
    if not _propagates(ground):
        _enter_group(ground.path, place)
    unmount_top(place)
    try:
        os.rmdir(place)
    except OSError:
        return  # the next one uses the folder


def _ground(table: mountinfo.Table, hierarchy: Hierarchy) -> mountinfo.Mount:
    """The mount beneath the anchor, or the visible one where there is no anchor."""
    anchor = _anchor(table, hierarchy)
    return table.mounts[mountinfo.visible(hierarchy.target) if anchor is None else anchor.parent]


def _anchor(table: mountinfo.Table, hierarchy: Hierarchy) -> mountinfo.Mount | None:
    base = hierarchy.base_mount(table)
    stack = table.stack(mountinfo.visible(hierarchy.target))
    return next((mount for mount in reversed(stack) if base is not None and is_anchor(mount, base)), None)


def _propagates(mount: mountinfo.Mount) -> bool:
    return any(field.startswith(("shared:", "master:")) for field in mount.propagation)


def _refuse_hidden(ground: mountinfo.Mount) -> None:
    if mountinfo.visible(ground.path) != ground.id:
        raise OverlayError(f"{ground.path}: another mount hides the one that is to be merged over; unmount it first")


def _catch_up(table: mountinfo.Table, ground: mountinfo.Mount, stand_in: mountinfo.Mount) -> None:
    """Do on the bare `ground` what was done on its peers, and so on its stand-in, while it was covered."""
    here = {mount.path[len(ground.path) :]: mount for mount in table.submounts(ground)}
    there = {mount.path[len(stand_in.path) :] for mount in table.submounts(stand_in)}
    for path, mount in here.items():
        if path not in there and "unbindable" not in mount.propagation:  # a stand-in has no copies of those
            unmount_top(mount.path)
    for path in sorted(there - set(here)):
        tree = copies.copy_tree(stand_in.path + path, table)
        try:
            syscalls.move_mount(tree, ground.path + path)
        finally:
            os.close(tree)


def _enter_group(path: str, place: str) -> None:
    ground, stand_in = syscalls.open_tree(path, 0), syscalls.open_tree(place, 0)
    try:
        syscalls.set_group(stand_in, ground)
    finally:
        os.close(ground)
        os.close(stand_in)
