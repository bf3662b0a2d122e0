#  SPDX-License-Identifier: MIT
"""Tells what lies over a hierarchy from a mount table: which mounts are ours, and of which generation.

The tree over a hierarchy is, lowest first: an *anchor* (a private bind of the base, so that nothing done on top of
it propagates; with a sign that tells it from what people have mounted there), and one *top*: an overlay of ours, or
after an unmerge a bind of the base.
"""

from __future__ import annotations

from extension_manifests import origin
from extension_manifests.errors import ExtensionError

from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.kernel.syscalls import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


_FLAG_BITS = {
    "ro": syscalls.MOUNT_ATTR_RDONLY,
    "nosuid": MOUNT_ATTR_NOSUID,
    "nodev": MOUNT_ATTR_NODEV,
    "noexec": MOUNT_ATTR_NOEXEC,
}


# What an anchor has and its base has not, or the other way round.  Nobody sees either: a top always covers an anchor.
# The second is for where the first is locked, in a container of another user namespace.
_SIGNS = {"nodiratime": syscalls.MOUNT_ATTR_NODIRATIME, "nosymfollow": 0x00200000}


class OverlayError(ExtensionError):
    """An overlay cannot be made, put in place or taken off."""


def source(hierarchy: str, generation: int) -> str:
    """What mountinfo shows as the source of the overlay that `generation` put over `hierarchy`."""
    return f"{origin.SOURCE}:{hierarchy}:{generation}"


def generation_of(mount: mountinfo.Mount) -> int | None:
    """The generation that made this overlay, or None when it is not ours."""
    return origin.generation(mount.fstype, mount.source)


def flag_bits(flags: Sequence[str]) -> int:
    """The MOUNT_ATTR_* bits of flag names as mountinfo spells them."""
    bits = 0
    for flag in flags:
        bits |= _FLAG_BITS[flag]
    return bits


def find_tops(
    table: mountinfo.Table, top: int, target: str, base: mountinfo.Mount, *, own: bool, signed: bool = False
) -> list[mountinfo.Mount] | None:
    """The tops of ours at `target`, lowest first: one, more after a crash; None where there is no anchor.

    `top` is the id of the visible mount.  What lies under something foreign is not looked at: that hides ours.
    An anchor has its sign.  Those that an earlier version has made (`signed` is False) have none: they are private; in
    the namespace of a service (`own` is False) systemd may have made one shared, but never a slave, which tells it
    from the base's file system if that is a mount of its own.
    """
    if table.mounts[top].path != target:
        return None
    stack = table.stack(top)
    anchors = [position for position, mount in enumerate(stack) if is_anchor(mount, base)][-1:]
    if not anchors and not signed:
        foreign = ("master:", "shared:") if own else ("master:",)
        plain = (is_base(m, base) and not any(field.startswith(foreign) for field in m.propagation) for m in stack)
        anchors = [position for position, found in enumerate(plain) if found][:1]
    if not anchors:
        return None
    found = stack[anchors[0] + 1 :]
    return None if any(generation_of(mount) is None and not is_base(mount, base) for mount in found) else found


def is_base(mount: mountinfo.Mount, base: mountinfo.Mount) -> bool:
    """Whether `mount` shows the same folder of the same file system as the base."""
    return (mount.dev, mount.root) == (base.dev, base.root)


def is_anchor(mount: mountinfo.Mount, base: mountinfo.Mount) -> bool:
    """Whether `mount` is an anchor, or a copy of one, by its sign."""
    return is_base(mount, base) and any((sign in mount.options) != (sign in base.options) for sign in _SIGNS)


def marked(mount: mountinfo.Mount) -> bool:
    """Whether this is a copy of an anchor that an earlier version let propagate while it put that in place."""
    return "nosymfollow" in mount.options


def sign(anchor: int, base: mountinfo.Mount) -> None:
    """Give the detached copy `anchor` of `base` the sign of an anchor."""
    for name, bit in _SIGNS.items():
        try:
            if name in base.options:
                syscalls.mount_setattr(anchor, attr_clear=bit)
            else:
                syscalls.mount_setattr(anchor, attr_set=bit)
        except PermissionError:
            continue
        return
    raise OverlayError(f"{base.path}: a copy of it cannot be told from it: its flags are locked")
