#  SPDX-License-Identifier: MIT
"""The steps that change what is mounted over the hierarchies; spreading.py has those for services' namespaces."""

from __future__ import annotations

import os

from extension_runtime.files import folder
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge import state
from extension_runtime.merge.recover import unpin
from extension_runtime.overlay import base
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Workshop(Step):
    """Makes the folder of the state a private mount, so that nothing built there is copied into other namespaces."""

    def __init__(self, places: Paths) -> None:
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

    def __init__(self, place: Hierarchy) -> None:
        super().__init__(f"base:{place.name}", f"bind {place.target} without extensions at {place.base}")
        self._place = place

    def do(self) -> None:
        folder(self._place.base)
        try:
            base.clone_base(self._place.target, self._place.base)
        except BaseException:
            base.forget_base(self._place.base)
            raise

    def undo(self) -> None:
        syscalls.umount(self._place.base, syscalls.MNT_DETACH)
        os.rmdir(self._place.base)
        base.forget_base(self._place.base)


class Commit(Step):
    """Writes down what is merged now, for readers (state.json) and for units that assert it (merged/NAME)."""

    def __init__(self, places: Paths, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        super().__init__("commit", f"write {places.state}")
        self._places = places
        self._old = old
        self._new = new

    def do(self) -> None:
        state.write(self._places, dict(self._new))

    def undo(self) -> None:
        state.write(self._places, dict(self._old))


class Mark(Step):
    """Makes merged/NAME for each merged extension, which extension@NAME.service asserts."""

    def __init__(self, places: Paths, names: set[str]) -> None:
        super().__init__("mark", "mark what is merged for extension@.service")
        self._places = places
        self._names = names
        self._before: set[str] = set()

    def do(self) -> None:
        self._before = set(os.listdir(self._places.merged))
        try:
            self._set(self._names)
        except BaseException:
            self._set(self._before)
            raise

    def undo(self) -> None:
        self._set(self._before)

    def _set(self, wanted: set[str]) -> None:
        present = set(os.listdir(self._places.merged))
        for name in present - wanted:
            os.unlink(f"{self._places.merged}/{name}")
        for name in wanted - present:
            os.close(os.open(f"{self._places.merged}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
