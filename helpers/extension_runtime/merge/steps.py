#  SPDX-License-Identifier: MIT
"""The steps before and behind the swap: a private place to work in, pins, bases, marks and the state."""

from __future__ import annotations

import os

from extension_runtime.files import folder
from extension_runtime.kernel import copies, mountinfo, syscalls
from extension_runtime.merge import statefile
from extension_runtime.merge.recover import unpin
from extension_runtime.overlay import base, ground
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.merge.state import State


class Workshop(Step):
    """Makes the folder of the state a private mount, so that nothing built there is copied into other namespaces."""

    def __init__(self, paths: Paths) -> None:
        super().__init__("workshop", f"make {paths.run} a private mount")
        self._paths = paths

    def do(self) -> None:
        run = self._paths.run
        folder(run)
        mount = mountinfo.read().mounts[mountinfo.visible(run)]
        if mount.path != run or mount.propagation:
            tree = copies.copy_mount(run)
            try:
                syscalls.move_mount(tree, run)
            finally:
                os.close(tree)
            syscalls.mount_setattr(run, propagation=syscalls.MS_PRIVATE)
        ground.retract(run, self._paths.stand_in)
        for path in (self._paths.base, self._paths.layers, self._paths.staging, self._paths.merged):
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

    def __init__(self, hierarchy: Hierarchy) -> None:
        super().__init__(f"base:{hierarchy.name}", f"bind {hierarchy.target} without extensions at {hierarchy.base}")
        self._hierarchy = hierarchy

    def do(self) -> None:
        folder(self._hierarchy.base)
        try:
            base.clone_base(self._hierarchy.target, self._hierarchy.base)
        except BaseException:
            base.forget_base(self._hierarchy.base)
            os.rmdir(self._hierarchy.base)
            raise

    def undo(self) -> None:
        syscalls.umount(self._hierarchy.base, syscalls.MNT_DETACH)
        os.rmdir(self._hierarchy.base)
        base.forget_base(self._hierarchy.base)


class Commit(Step):
    """Writes down what is merged now, for readers (state.json) and for units that assert it (merged/NAME)."""

    def __init__(self, paths: Paths, old: State, new: State) -> None:
        super().__init__("commit", f"write {paths.state}")
        self._paths = paths
        self._old = old
        self._new = new

    def do(self) -> None:
        statefile.write(self._paths, self._new)

    def undo(self) -> None:
        statefile.write(self._paths, self._old)


class Mark(Step):
    """Makes merged/NAME for each merged extension, which extension@NAME.service asserts."""

    def __init__(self, paths: Paths, names: set[str]) -> None:
        super().__init__("mark", "mark what is merged for extension@.service")
        self._paths = paths
        self._names = names
        self._before: set[str] = set()

    def do(self) -> None:
        self._before = set(os.listdir(self._paths.merged))
        try:
            self._set(self._names)
        except BaseException:
            self._set(self._before)
            raise

    def undo(self) -> None:
        self._set(self._before)

    def _set(self, wanted: set[str]) -> None:
        present = set(os.listdir(self._paths.merged))
        for name in present - wanted:
            os.unlink(f"{self._paths.merged}/{name}")
        for name in wanted - present:
            os.close(os.open(f"{self._paths.merged}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
