#  SPDX-License-Identifier: MIT
"""The hierarchies of a root, and what lies over each."""

from __future__ import annotations

import errno
import os

from extension_manifests.classes import HIERARCHIES

from extension_runtime.kernel import chase, mountinfo
from extension_runtime.overlay import base as bases
from extension_runtime.overlay.top import OverlayError, find_tops, generation_of, is_base
from extension_runtime.paths import Paths


class Hierarchy:
    """One hierarchy of a root: `target` is its real path, `base` where it is bound without layers.

    `stand_in` is where a copy of the mount that it lies on is, see ground.py.
    """

    __slots__ = ("base", "found", "name", "staging", "stand_in", "target")

    def __init__(self, name: str, target: str, paths: Paths) -> None:
        self.name = name
        self.target = target
        self.base = f"{paths.base}/{name}"
        self.staging = f"{paths.staging}/{name}"
        self.stand_in = f"{paths.base}/{name}.ground"
        self.found: list[mountinfo.Mount] | None = None

    @property
    def has_base(self) -> bool:
        """Whether the base is made."""
        return mountinfo.is_mount_point(self.base)

    def base_mount(self, table: mountinfo.Table) -> mountinfo.Mount | None:
        """The mount of the base, when it is made."""
        try:
            mount = table.mounts[mountinfo.visible(self.base)]
        except FileNotFoundError:
            return None
        return mount if mount.path == self.base else None

    def look(self, table: mountinfo.Table | None = None) -> None:
        """Set `found` to the tops that lie on the anchor, or to None without an anchor, as in `table` or as it is now.

        Raises OverlayError when something foreign hides ours, or when the base is gone.
        """
        table = table or mountinfo.read()
        top = mountinfo.visible(self.target)
        if top not in table.mounts:
            raise OverlayError(f"{self.target}: its mount cannot be seen in this chroot; bind its / onto itself first")
        mount = table.mounts[top]
        base = self.base_mount(table)
        if base is None:
            self.found = None
            if mount.path == self.target and generation_of(mount) is not None:
                raise OverlayError(f"{self.base}: is gone, but {self.target} is still merged; reboot to repair this")
            return
        signed = bases.signs_anchors(self.base)
        self.found = find_tops(table, top, self.target, base, own=True, signed=signed)
        if self.found is None and mount.path == self.target and not is_base(mount, base):
            raise OverlayError(
                f"{self.target}: {mount.source or mount.fstype} is mounted over the extensions; unmount it first"
            )

    @property
    def generation(self) -> int:
        """The generation of the visible overlay, 0 without one."""
        return (generation_of(self.found[-1]) or 0) if self.found else 0


def find(paths: Paths) -> dict[str, Hierarchy]:
    """The hierarchies that the root has, links resolved inside it; one that leads into another is left out."""
    result: dict[str, Hierarchy] = {}
    root = chase.open_root(paths.root or "/")
    try:
        for name in HIERARCHIES:
            try:
                target = chase.real_folder(root, name)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue
                raise OverlayError(f"{paths.root}/{name}: {error.strerror}") from None
            taken = [other.target for other in result.values()]
            if target not in (paths.root or "/", *taken) and not any(target.startswith(f"{t}/") for t in taken):
                result[name] = Hierarchy(name, target, paths)
    finally:
        os.close(root)
    return result
