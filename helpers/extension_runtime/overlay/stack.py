#  SPDX-License-Identifier: MIT
"""Builds the overlay of one hierarchy: its layers over its base, with the flags that the base has."""

from __future__ import annotations

import errno
import os

from extension_manifests.classes import CLASSES

from extension_runtime.kernel import syscalls
from extension_runtime.overlay import build as overlays
from extension_runtime.overlay import skeleton
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError, source
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def build(
    paths: Paths,
    hierarchy: Hierarchy,
    lowers: Sequence[str],
    generation: int,
    above: str = "",
    work: str = "",
    mends: Iterable[str] = (),
    imported: str = "",
) -> int:
    """Return a detached overlay of `lowers`, highest first, over the base of `hierarchy`.  Raises OverlayError.

    Its root, and the folders `mends` (relative), have mode, owner and attributes that they have in the base, or in
    the upper `imported`, which lies over the `lowers` without being written to.
    """
    try:
        # The mount's own "ro" would be taken for a sandbox's in the namespaces of services: it is the superblock's.
        flags = os.statvfs(hierarchy.base).f_flag & (os.ST_NOSUID | os.ST_NOEXEC)  # the bits of MOUNT_ATTR_*
        attributes = flags | syscalls.MOUNT_ATTR_NODEV
        if any(hierarchy.name in class_.hierarchies for class_ in CLASSES.values() if class_.harmless):
            attributes |= syscalls.MOUNT_ATTR_NOSUID
        top = skeleton.build(hierarchy.base, mends, lowers, imported)
        try:
            return overlays.build(
                [top, *([imported] if imported else []), *lowers, hierarchy.base],
                upper=above,
                work=work,
                name=source(hierarchy.name, generation),
                attributes=attributes,
                scratch=paths.staging,
            )
        finally:
            os.close(top)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise OverlayError(f"{hierarchy.target}: cannot be stacked: {where}{error.strerror}{_hint(error)}") from None


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
