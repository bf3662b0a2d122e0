#  SPDX-License-Identifier: MIT
"""The hierarchies of a root, and what lies over each."""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests.classes import HIERARCHIES

from extension_runtime.kernel import chase, mountinfo
from extension_runtime.overlay import base as bases
from extension_runtime.overlay.top import OverlayError, find_tops, generation_of, is_base
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LINKS = 40  # that are followed, as the kernel does


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


class Hierarchies:
    """The hierarchies of a root by name: `found`, `missing` ones that can be made, and why others are `unusable`."""

    __slots__ = ("found", "missing", "unusable")

    def __init__(self) -> None:
        self.found: dict[str, Hierarchy] = {}
        self.missing: dict[str, Hierarchy] = {}
        self.unusable: dict[str, str] = {}


def find(paths: Paths) -> Hierarchies:
    """The hierarchies of the root, links resolved inside it; one that leads into another cannot be used."""
    result = Hierarchies()
    root = chase.open_root(paths.root or "/")
    try:
        for name in HIERARCHIES:
            try:
                inside = _aim(root, name)
                info = chase.entry(root, inside)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise OverlayError(f"{paths.root}/{name}: {error.strerror}") from None
                result.unusable[name] = f"/{name}: {os.strerror(error.errno)}; make it a folder"
                continue
            target = f"{paths.root}/{inside}".rstrip("/")
            problem = _problem(name, inside, info, target, paths, result.found)
            if problem:
                result.unusable[name] = problem
            elif info is None:
                result.missing[name] = Hierarchy(name, target, paths)
            else:
                result.found[name] = Hierarchy(name, target, paths)
    finally:
        os.close(root)
    return result


def _problem(
    name: str, inside: str, info: os.stat_result | None, target: str, paths: Paths, found: Mapping[str, Hierarchy]
) -> str:
    """Why nothing can be merged over the hierarchy `name`, which is `inside` the root, or "" where it can."""
    if target == paths.root:
        return f"/{name}: leads to /; make it a folder"
    for other in found.values():
        if f"{target}/".startswith(f"{other.target}/"):
            return (
                f"/{name}: leads to /{inside}, which is part of /{other.name}; make it a folder, or a link to elsewhere"
            )
    if info is not None and not stat.S_ISDIR(info.st_mode):
        return f"/{inside}: is {chase.kind(info.st_mode)}; make it a folder"
    return ""


def _aim(root: int, name: str) -> str:
    """Where below `root` the path `name` leads, links followed, also to what is not there.  Raises OSError."""
    todo, done = [name], list[str]()
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done[-1:] = []
            continue
        path = "/".join([*done, part])
        info = chase.entry(root, path)
        if info is None or not stat.S_ISLNK(info.st_mode):
            done.append(part)
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        folder = chase.locate(root, "/".join(done), folder=True)
        try:
            text = os.readlink(part, dir_fd=folder)
        finally:
            os.close(folder)
        if text.startswith("/"):
            done = []
        todo += text.split("/")[::-1]
    return "/".join(done)


def make(hierarchy: Hierarchy, made: list[str]) -> None:
    """Make the folder of a missing hierarchy, and those above it; each is added to `made`.  Raises OSError."""
    missing = [hierarchy.target]
    while not os.path.lexists(os.path.dirname(missing[0])):
        missing.insert(0, os.path.dirname(missing[0]))
    for path in missing:
        os.mkdir(path)
        made.append(path)
        os.chmod(path, 0o755)
