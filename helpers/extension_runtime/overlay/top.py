#  SPDX-License-Identifier: MIT
"""Builds overlays and puts them in place: stage, exchange, take off.  Rules measured on kernels 6.1 to 6.18.

The tree over a hierarchy is, lowest first: an *anchor* (a private bind of the base, so that nothing done on top of
it propagates), and one *top*: an overlay of ours, or after an unmerge a bind of the base.
"""

from __future__ import annotations

import errno
import os

from extension_manifests.errors import ExtensionError

from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.kernel.syscalls import MNT_DETACH, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOURCE = "extensions"  # what the source of our overlays starts with, so that they are known in every mount table
MAX_LOWERS = 499  # of 500 that overlayfs takes, one is the base
_FLAG_BITS = {
    "ro": syscalls.MOUNT_ATTR_RDONLY,
    "nosuid": MOUNT_ATTR_NOSUID,
    "nodev": MOUNT_ATTR_NODEV,
    "noexec": MOUNT_ATTR_NOEXEC,
}
_NOSYMFOLLOW = 0x00200000  # MOUNT_ATTR_NOSYMFOLLOW: marks an anchor while it is put in place, see namespaces.py


class OverlayError(ExtensionError):
    """An overlay cannot be made, put in place or taken off."""


def source(hierarchy: str, generation: int) -> str:
    """What mountinfo shows as the source of the overlay that `generation` put over `hierarchy`."""
    return f"{SOURCE}:{hierarchy}:{generation}"


def generation_of(mount: mountinfo.Mount) -> int | None:
    """The generation that made this overlay, or None when it is not ours."""
    prefix, _, number = mount.source.rpartition(":")
    if mount.fstype != "overlay" or not prefix.startswith(f"{SOURCE}:") or not number.isdecimal():
        return None
    return int(number)


def flag_bits(flags: Sequence[str]) -> int:
    """The MOUNT_ATTR_* bits of flag names as mountinfo spells them."""
    bits = 0
    for flag in flags:
        bits |= _FLAG_BITS[flag]
    return bits


def build(lowers: Sequence[str], *, upper: str = "", work: str = "", name: str, attributes: int, scratch: str) -> int:
    """Return a detached overlay of the folders `lowers`, highest first; without an `upper` it is read-only.

    `scratch` is a folder on a private mount, used by kernels that cannot do this detached.

    Raises OSError as the kernel words it: EINVAL for too deep a stacking, ELOOP for a folder that is there twice.
    """
    fds: list[int] = []
    try:
        for lower in lowers:
            # By descriptor: what was checked is what is stacked, even when a path changes in between.
            fds.append(syscalls.openat2(lower, os.O_PATH | os.O_DIRECTORY, syscalls.RESOLVE_NO_SYMLINKS))
        options = [("xino", "off"), ("index", "off"), ("metacopy", "off")]
        if upper:
            for path in (upper, work):
                fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
            options += [("upperdir", f"/proc/self/fd/{fds[-2]}"), ("workdir", f"/proc/self/fd/{fds[-1]}")]
            options += [("redirect_dir", "on")]
        paths = [f"/proc/self/fd/{fd}" for fd in fds[: len(lowers)]]
        try:
            return _build_by_key(paths, options, name, attributes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS) or _knows_lowerdir_key():
                raise
            return _build_by_string(paths, options, name, attributes, scratch)
    finally:
        for fd in fds:
            os.close(fd)


def _build_by_key(lowers: Sequence[str], options: Sequence[tuple[str, str]], name: str, attributes: int) -> int:
    context = syscalls.fsopen("overlay")
    try:
        syscalls.fsconfig_string(context, "source", name)
        for lower in lowers:
            syscalls.fsconfig_string(context, "lowerdir+", lower)
        for key, value in options:
            syscalls.fsconfig_string(context, key, value)
        syscalls.fsconfig_create(context)
        return syscalls.fsmount(context, attributes)
    finally:
        os.close(context)


def _knows_lowerdir_key() -> bool:
    """Whether overlayfs takes its lower folders one by one (kernel 6.8)."""
    try:
        context = syscalls.fsopen("overlay")
    except OSError:
        return False
    try:
        syscalls.fsconfig_string(context, "lowerdir+", "/")
    except OSError:
        return False
    finally:
        os.close(context)
    return True


def _build_by_string(
    lowers: Sequence[str], options: Sequence[tuple[str, str]], name: str, attributes: int, scratch: str
) -> int:
    """As _build_by_key, with mount(2) and its one page of options, at a place that is freed again."""
    text = ",".join(f"{key}={value}" for key, value in [("lowerdir", ":".join(lowers)), *options])
    if len(text) >= os.sysconf("SC_PAGESIZE"):
        raise OSError(errno.E2BIG, f"{len(lowers)} layers do not fit the options that this kernel takes; use fewer")
    place = f"{scratch}/build"
    os.mkdir(place, 0o700)
    try:
        syscalls.mount(name, place, "overlay", 0, text)
        try:
            detached = syscalls.open_tree(place)
        finally:
            syscalls.umount(place, MNT_DETACH)
    finally:
        os.rmdir(place)
    syscalls.mount_setattr(detached, attr_set=attributes)
    return detached


def clone_base(target: str, place: str) -> None:
    """Bind the hierarchy at `target`, as it is now and without what is mounted below it, at `place`, privately.

    It is read-only there: services see it, too, and some must not write to the hierarchy.  See copy_base.
    """
    forget_base(place)
    if "ro" not in mountinfo.read().mounts[mountinfo.visible(target)].flags:
        os.close(os.open(_writable(place), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    tree = syscalls.open_tree(target)
    try:
        # A peer of its source would get every overlay that is put over the hierarchy on itself.
        syscalls.mount_setattr(tree, attr_set=syscalls.MOUNT_ATTR_RDONLY, propagation=syscalls.MS_PRIVATE)
        syscalls.move_mount(tree, place)
    finally:
        os.close(tree)


def copy_base(place: str) -> int:
    """A detached copy of the base at `place`, as writable as the hierarchy was."""
    tree = syscalls.open_tree(place)
    if os.path.exists(_writable(place)):
        syscalls.mount_setattr(tree, attr_clear=syscalls.MOUNT_ATTR_RDONLY)
    return tree


def forget_base(place: str) -> None:
    """Forget how the base at `place`, which is not bound any more, was mounted."""
    try:
        os.unlink(_writable(place))
    except FileNotFoundError:
        return


def _writable(place: str) -> str:
    """The file that is there when the hierarchy, whose base is at `place`, was writable."""
    return f"{place}.writable"


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
    tree = syscalls.open_tree(path, syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE)
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
    return [(path, syscalls.open_tree(path, syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE)) for path in added]


def _within(path: str, target: str) -> bool:
    return path in (target, "/") or target.startswith(path.rstrip("/") + "/")


def tops(
    table: mountinfo.Table, top: int, target: str, base: mountinfo.Mount, *, own: bool
) -> list[mountinfo.Mount] | None:
    """The tops of ours at `target`, lowest first: one, more after a crash; None where there is no anchor.

    `top` is the id of the visible mount.  What lies under something foreign is not looked at: that hides ours.
    An anchor is private; in the namespace of a service (`own` is False) systemd may have made it shared, but never
    a slave, which tells it from the base's file system if that is a mount of its own.
    """
    if table.mounts[top].path != target:
        return None
    disqualifying = ("master:", "shared:") if own else ("master:",)
    stack = table.stack(top)
    for position, mount in enumerate(stack):
        if is_base(mount, base) and not any(field.startswith(disqualifying) for field in mount.propagation):
            found = stack[position + 1 :]
            foreign = any(generation_of(mount) is None and not is_base(mount, base) for mount in found)
            return None if foreign else found
    return None


def is_base(mount: mountinfo.Mount, base: mountinfo.Mount) -> bool:
    """Whether `mount` shows the same folder of the same file system as the base."""
    return (mount.dev, mount.root) == (base.dev, base.root)


def stage_tree(tree: int, target: str, place: str) -> list[str]:
    """Put the detached mount `tree` at `place`, and what is mounted below `target` on it; return what was carried."""
    syscalls.move_mount(tree, place)
    syscalls.mount_setattr(tree, propagation=syscalls.MS_SHARED)
    return carry_submounts(target, place)


def stage_anchor(base: str, place: str) -> int:
    """Put an anchor, a private bind of `base`, at `place` and return its descriptor; the top is staged onto it."""
    anchor = syscalls.open_tree(base)
    syscalls.mount_setattr(anchor, propagation=syscalls.MS_PRIVATE, attr_set=_NOSYMFOLLOW)
    syscalls.move_mount(anchor, place)
    return anchor


def attach_anchor(anchor: int, top: int, target: str) -> None:
    """Put the staged tree of `anchor` and `top` over `target` in one step.

    It propagates into service namespaces.  The copies there are read-only and marked (see namespaces.drop_copies).
    """
    syscalls.mount_setattr(top, attr_set=syscalls.MOUNT_ATTR_RDONLY)
    syscalls.move_mount(anchor, target)
    try:
        syscalls.mount_setattr(top, attr_clear=syscalls.MOUNT_ATTR_RDONLY)
        syscalls.mount_setattr(anchor, attr_clear=_NOSYMFOLLOW, propagation=syscalls.MS_PRIVATE)
    except BaseException:
        for _mount in ("top", "anchor"):
            detach(target)
        raise


def marked(mount: mountinfo.Mount) -> bool:
    """Whether this anchor is a copy that propagation made while the anchor was put in place."""
    return "nosymfollow" in mount.options


def detach(target: str) -> None:
    """Take the top mount at `target` off, with what is mounted on it; nothing of that propagates."""
    top = syscalls.open_tree(target, 0)
    try:
        # Copies of the submounts are peers of what they were copied from: without this those would go, too.
        syscalls.mount_setattr(top, propagation=syscalls.MS_PRIVATE, recursive=True)
    finally:
        os.close(top)
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
            detach(target)
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
    detach(target)


def _exchange_with_gap(tree: int, target: str, log: Callable[[str], None]) -> None:
    import time

    begin = time.perf_counter()
    detach(target)
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
