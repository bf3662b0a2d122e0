#  SPDX-License-Identifier: MIT
"""Tells what lies over a hierarchy from a mount table: which mounts are ours, and of which generation.

The tree over a hierarchy is, lowest first: an *anchor* (a private bind of the base, so that nothing done on top of
it propagates), and one *top*: an overlay of ours, or after an unmerge a bind of the base.
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


MARK = 0x00200000  # MOUNT_ATTR_NOSYMFOLLOW: marks an anchor while it is put in place, see namespaces/spread.py


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
    table: mountinfo.Table, top: int, target: str, base: mountinfo.Mount, *, own: bool
) -> list[mountinfo.Mount] | None:
    """The find_tops of ours at `target`, lowest first: one, more after a crash; None where there is no anchor.

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


def marked(mount: mountinfo.Mount) -> bool:
    """Whether this anchor is a copy that propagation made while the anchor was put in place."""
    return "nosymfollow" in mount.options
