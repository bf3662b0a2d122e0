#  SPDX-License-Identifier: MIT
"""The steps that change what is mounted over the hierarchies; spreading.py has those for services' namespaces."""

from __future__ import annotations

import errno
import os

from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge import choose
from extension_runtime.merge.state import folder, remove_empty
from extension_runtime.overlay import top as overlay
from extension_runtime.overlay import upper
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Places
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HIERARCHIES = {"usr": "/usr", "opt": "/opt", "etc": "/etc"}


class Place:
    """One hierarchy of a root: `target` is its real path, `base` where it is bound without layers."""

    __slots__ = ("base", "found", "name", "staging", "target")

    def __init__(self, name: str, target: str, places: Places) -> None:
        self.name = name
        self.target = target
        self.base = f"{places.base}/{name}"
        self.staging = f"{places.staging}/{name}"
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
        mount = table.mounts[top]
        base = self.base_mount(table)
        if base is None:
            self.found = None
            if mount.path == self.target and overlay.generation_of(mount) is not None:
                raise OverlayError(f"{self.base}: is gone, but {self.target} is still merged; reboot to repair this")
            return
        self.found = overlay.tops(table, top, self.target, base, own=True)
        if self.found is None and mount.path == self.target and not overlay.is_base(mount, base):
            raise OverlayError(
                f"{self.target}: {mount.source or mount.fstype} is mounted over the extensions; unmount it first"
            )

    @property
    def generation(self) -> int:
        """The generation of the visible overlay, 0 without one."""
        return (overlay.generation_of(self.found[-1]) or 0) if self.found else 0


def find_places(places: Places) -> dict[str, Place]:
    """The hierarchies that the root has, links resolved inside it; one that leads into another is left out."""
    result: dict[str, Place] = {}
    root = os.open(places.root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, path in HIERARCHIES.items():
            try:
                fd = syscalls.openat2(path, os.O_PATH | os.O_DIRECTORY, syscalls.RESOLVE_IN_ROOT, root)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue
                raise OverlayError(f"{places.root}{path}: {error.strerror}") from None
            target = os.readlink(f"/proc/self/fd/{fd}")
            os.close(fd)
            taken = [other.target for other in result.values()]
            if target not in (places.root or "/", *taken) and not any(target.startswith(f"{t}/") for t in taken):
                result[name] = Place(name, target, places)
    finally:
        os.close(root)
    return result


def recover(places: Places, found: Mapping[str, Place], generations: Mapping[str, int], used_layers: set[str]) -> None:
    """Put right what a merge or refresh that was killed has left: staged trees, double tops, unused layers.

    `generations` are those that the state tells of each hierarchy, 0 without one.
    """
    clear_staging(places)
    table = mountinfo.read()
    for place in found.values():
        place.look(table)
        if place.found and len(place.found) > 1:
            overlay.collapse(place.found, place.target, generations.get(place.name, 0))
            place.look()
    remove_layers(places, used_layers)


def clear_staging(places: Places) -> None:
    """Take off every tree that is staged."""
    try:
        names = os.listdir(places.staging)
    except FileNotFoundError:
        return
    for name in names:
        take_off(f"{places.staging}/{name}")
    remove_empty(places.staging)


def take_off(path: str) -> None:
    """Take off all that is mounted at `path`, each with what is mounted on it."""
    while mountinfo.is_mount_point(path):
        # Not one by one: what is mounted on a copy of a submount would be taken from the submount itself, too.
        overlay.detach(path)


def remove_layers(places: Places, used: set[str]) -> None:
    """Let go of every pinned layer that is not in `used` (paths)."""
    try:
        generations = os.listdir(places.layers)
    except FileNotFoundError:
        return
    for generation in generations:
        parent = f"{places.layers}/{generation}"
        for name in os.listdir(parent):
            if f"{parent}/{name}" not in used:
                unpin(f"{parent}/{name}")
        try:
            os.rmdir(parent)
        except OSError:
            continue  # some of it is still used


def unpin(path: str) -> None:
    """Let go of one pinned layer."""
    try:
        syscalls.umount(path, syscalls.MNT_DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    os.rmdir(path)


class Workshop(Step):
    """Makes the folder of the state a private mount, so that nothing built there is copied into other namespaces."""

    def __init__(self, places: Places) -> None:
        super().__init__("workshop", f"make {places.run} a private mount")
        self._places = places

    def do(self) -> None:
        run = self._places.run
        folder(run)
        mount = mountinfo.read().mounts[mountinfo.visible(run)]
        if mount.path != run or mount.propagation:
            tree = syscalls.open_tree(run)
            try:
                syscalls.move_mount(tree, run)
            finally:
                os.close(tree)
            syscalls.mount_setattr(run, propagation=syscalls.MS_PRIVATE)
        for path in (self._places.base, self._places.layers, self._places.staging, self._places.merged):
            folder(path)

    def undo(self) -> None:
        """Kept: it is the same folder, and the lock is in it."""


class Pin(Step):
    """Keeps an attached image, as it is now, as the layer of a generation."""

    def __init__(self, name: str, attached: str, layer: str) -> None:
        super().__init__(f"pin:{name}", f"pin {name} as {layer}")
        self._attached = attached
        self._layer = layer

    def do(self) -> None:
        tree = syscalls.open_tree(self._attached)
        try:
            syscalls.mount_setattr(tree, propagation=syscalls.MS_PRIVATE)
            folder(self._layer)
            try:
                syscalls.move_mount(tree, self._layer)
            except OSError:
                os.rmdir(self._layer)
                raise
        finally:
            os.close(tree)

    def undo(self) -> None:
        unpin(self._layer)


class Base(Step):
    """Binds a hierarchy, as it is before anything is merged, where merges find it."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"base:{place.name}", f"bind {place.target} without extensions at {place.base}")
        self._place = place

    def do(self) -> None:
        folder(self._place.base)
        try:
            overlay.clone_base(self._place.target, self._place.base)
        except BaseException:
            overlay.forget_base(self._place.base)
            raise

    def undo(self) -> None:
        syscalls.umount(self._place.base, syscalls.MNT_DETACH)
        os.rmdir(self._place.base)
        overlay.forget_base(self._place.base)


class Stage(Step):
    """Builds the new top of one hierarchy, with what is mounted below it, where nobody sees it."""

    def __init__(self, places: Places, place: Place, wanted: choose.Hierarchy, generation: int) -> None:
        what = "the base alone"
        if wanted.merged:
            layers = ", ".join(name for name, _path in reversed(wanted.layers)) or "no extension"
            what = f"{layers} over the base, {wanted.mode}"
        super().__init__(f"stage:{place.name}", f"stage {place.target}: {what}")
        self._places = places
        self._generation = generation
        self._wanted = wanted
        self._work = ""
        self._made: list[str] = []
        self._first = False
        self.place = place
        self.anchor = -1
        self.tree = -1

    def do(self) -> None:
        staging = self.place.staging
        folder(self._places.staging)
        folder(staging)
        self._first = self.place.found is None
        try:
            if self._wanted.merged:
                self.tree = self._overlay()
            else:
                self.tree = overlay.copy_base(self.place.base)
            if self._first:
                self.anchor = overlay.stage_anchor(self.place.base, staging)
            overlay.stage_tree(self.tree, self.place.target, staging)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        self.close()
        take_off(self.place.staging)
        os.rmdir(self.place.staging)
        if self._work:
            upper.remove_tree(self._work)
        for path in reversed(self._made):
            if os.path.isdir(path):
                os.rmdir(path)
        self._made.clear()

    def close(self) -> None:
        """Close the descriptors; the tree stays where it is."""
        for fd in (self.anchor, self.tree):
            if fd >= 0:
                os.close(fd)
        self.anchor = self.tree = -1

    def _overlay(self) -> int:
        lowers = [path for _name, path in reversed(self._wanted.layers)]
        above, work = "", ""
        if self._wanted.imported:
            lowers.insert(0, upper.resolve(self._places, self._wanted.upper, self.place.name))
        if self._wanted.mode == "persistent":
            above = upper.persistent(self._places, self.place.name, self._wanted.upper, self.place.base, self._made)
        elif self._wanted.mode == "ephemeral":
            above = upper.ephemeral(self._places, self.place.name, self.place.base, self._made)
        if above:
            work = self._work = upper.work(above, self.place.name, self._generation)
        return build(self._places, self.place, lowers, self._generation, above, work)


def build(places: Places, place: Place, lowers: Sequence[str], generation: int, above: str = "", work: str = "") -> int:
    """Return a detached overlay of `lowers`, highest first, over the base of `place`.  Raises OverlayError."""
    # The mount's own "ro" would be taken for a sandbox's in the namespaces of services: read-only is the superblock.
    flags = os.statvfs(place.base).f_flag & (os.ST_NOSUID | os.ST_NOEXEC)  # the bits are those of MOUNT_ATTR_*
    attributes = flags | syscalls.MOUNT_ATTR_NODEV
    below = [*lowers, place.base]
    if len(below) == 1 and not above:
        below.insert(0, _empty(places))  # overlayfs wants two, or an upper
    try:
        return overlay.build(
            below,
            upper=above,
            work=work,
            name=overlay.source(place.name, generation),
            attributes=attributes,
            scratch=places.staging,
        )
    except OSError as error:
        raise OverlayError(f"{place.target}: cannot be stacked: {error}{_hint(error)}") from None


def _empty(places: Places) -> str:
    path = f"{places.run}/empty"
    folder(path)
    return path


def _hint(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return " (a folder is there twice, or lies inside another one)"
    if error.errno == errno.EINVAL:
        return " (overlays stack two deep: is the root or an image itself on an overlay?)"
    if error.errno == errno.EBUSY:
        return " (its upper or work folder is used by another overlay)"
    return ""


class Swap(Step):
    """Puts a staged top into its place."""

    def __init__(self, stage: Stage, log: Callable[[str], None]) -> None:
        super().__init__(f"swap:{stage.place.name}", f"swap {stage.place.target}")
        self._stage = stage
        self._log = log
        self._old = -1

    def do(self) -> None:
        place = self._stage.place
        if place.found is None:
            overlay.attach_anchor(self._stage.anchor, self._stage.tree, place.target)
        elif not place.found:
            syscalls.move_mount(self._stage.tree, place.target)
        else:
            self._exchange()

    def _exchange(self) -> None:
        target = self._stage.place.target
        old = mountinfo.visible(target)
        self._old = overlay.copy_top(target)
        try:
            overlay.exchange(self._stage.tree, target, self._log)
        except BaseException:
            try:
                self._put_back(old)
            except OSError as error:
                self._log(f"{target}: could not be put back: {error}")
            raise

    def _put_back(self, old: int) -> None:
        """After an exchange that stopped half way, show the old top, whose mount was `old`, and nothing beneath it."""
        place = self._stage.place
        table = mountinfo.read()
        visible = mountinfo.visible(place.target)
        base = place.base_mount(table)
        tops = (base and overlay.tops(table, visible, place.target, base, own=True)) or []
        if not tops:
            syscalls.move_mount(self._old, place.target)
            return
        if visible == old:
            if len(tops) == 1:
                return
            overlay.detach(place.target)
        overlay.exchange(self._old, place.target, self._log)

    def undo(self) -> None:
        place = self._stage.place
        if self._old >= 0:
            overlay.exchange(self._old, place.target, self._log)
            self.close()
            return
        overlay.detach(place.target)
        if place.found is None:
            overlay.detach(place.target)

    def close(self) -> None:
        """Let go of the old top."""
        if self._old >= 0:
            os.close(self._old)
            self._old = -1


def dismantle(places: Places, found: Mapping[str, Place]) -> None:
    """Take everything off that merges have put on a root: tops, anchors, bases, layers and the private mount."""
    for place in found.values():
        place.look()
        if place.found is not None:
            added = overlay.added_submounts(place.target, len(place.found))
            try:
                for _mount in (*place.found, "anchor"):
                    overlay.detach(place.target)
                for path, tree in added:
                    syscalls.move_mount(tree, path)
            finally:
                for _path, tree in added:
                    os.close(tree)
    table = mountinfo.read()
    for mount in table.below(places.run):
        if mount.path == places.run and mount.dev != table.mounts[mount.parent].dev:
            continue  # a file system of somebody else; ours is a bind of the folder that is there
        try:
            syscalls.umount(mount.path, syscalls.MNT_DETACH)
        except OSError as error:
            if error.errno != errno.EINVAL:  # gone, with what it was mounted on
                raise
    remove_empty(places.base)
    for place in found.values():
        overlay.forget_base(place.base)
    remove_layers(places, set())
    remove_empty(places.run)
