#  SPDX-License-Identifier: MIT
"""Builds the overlay of one hierarchy: its layers over its base, with the flags that the base has."""

from __future__ import annotations

import errno
import os

from extension_runtime.files import folder
from extension_runtime.kernel import syscalls
from extension_runtime.overlay import build as overlays
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError, source
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def build(
    paths: Paths, hierarchy: Hierarchy, lowers: Sequence[str], generation: int, above: str = "", work: str = ""
) -> int:
    """Return a detached overlay of `lowers`, highest first, over the base of `hierarchy`.  Raises OverlayError."""
    try:
        # The mount's own "ro" would be taken for a sandbox's in the namespaces of services: it is the superblock's.
        flags = os.statvfs(hierarchy.base).f_flag & (os.ST_NOSUID | os.ST_NOEXEC)  # the bits of MOUNT_ATTR_*
        below = [*lowers, hierarchy.base]
        if len(below) == 1 and not above:
            below.insert(0, _empty(paths))  # overlayfs wants two, or an upper
        return overlays.build(
            below,
            upper=above,
            work=work,
            name=source(hierarchy.name, generation),
            attributes=flags | syscalls.MOUNT_ATTR_NODEV,
            scratch=paths.staging,
        )
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise OverlayError(f"{hierarchy.target}: cannot be stacked: {where}{error.strerror}{_hint(error)}") from None


def _empty(paths: Paths) -> str:
    path = f"{paths.run}/empty"
    folder(path)
    return path


def _hint(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return " (the image is gone that was merged, or the base; 'extensionctl refresh' merges what is there now)"
    if error.errno == errno.ELOOP:
        return " (a folder is there twice, or lies inside another one)"
    if error.errno == errno.EINVAL:
        return " (overlays stack two deep: is the root or an image itself on an overlay?)"
    if error.errno == errno.EBUSY:
        return " (its upper or work folder is used by another overlay)"
    return ""
