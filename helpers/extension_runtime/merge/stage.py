#  SPDX-License-Identifier: MIT
"""The step that builds the new top of a hierarchy where nobody sees it."""

from __future__ import annotations

import os

from extension_runtime.files import folder
from extension_runtime.kernel import syscalls
from extension_runtime.merge.recover import take_off
from extension_runtime.merge.wanted import Wanted
from extension_runtime.overlay import base, exchange, ground, submounts, upper
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.stack import build
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Stage(Step):
    """Builds the new top of one hierarchy, with what is mounted below it, where nobody sees it."""

    def __init__(
        self, paths: Paths, hierarchy: Hierarchy, wanted: Wanted, generation: int, log: Callable[[str], None]
    ) -> None:
        what = "the base alone"
        if wanted.merged:
            layers = ", ".join(name for name, _path in reversed(wanted.layers)) or "no extension"
            what = f"{layers} over the base, {wanted.mode}"
        super().__init__(f"stage:{hierarchy.name}", f"stage {hierarchy.target}: {what}")
        self._paths = paths
        self._generation = generation
        self._wanted = wanted
        self._work = ""
        self._made: list[str] = []
        self._log = log
        self._carried: submounts.Carried | None = None
        self._first = False
        self.hierarchy = hierarchy
        self.anchor = -1
        self.tree = -1

    def do(self) -> None:
        staging = self.hierarchy.staging
        folder(self._paths.staging)
        folder(staging)
        self._first = self.hierarchy.found is None
        try:
            if self._wanted.merged:
                self.tree = self._overlay()
            else:
                self.tree = base.copy_base(self.hierarchy.base)
            if self._first:
                self.anchor = exchange.stage_anchor(self.hierarchy.base, staging)
            self._place(staging)
        except BaseException as error:
            self.undo()
            if isinstance(error, OverlayError):
                raise OverlayError(f"{error}; nothing was changed") from None
            raise

    def _place(self, staging: str) -> None:
        """Put the tree into its place with what is mounted below the hierarchy, on which it does not propagate yet."""
        syscalls.move_mount(self.tree, staging)
        # An unmerge is the way back, which nothing blocks; of all else what is mounted there is the boundary.
        spare = "" if self._wanted.merged else f"{self._paths.run}.kept"
        self._carried = submounts.carry_submounts(self.hierarchy.target, staging, spare)
        for path, place in self._carried.kept:
            self._log(f"{path}: is mounted where only an extension has a place, which cannot be made; now at {place}")

    def share(self) -> None:
        """Have what is mounted on the tree, now in its place, reach services; on a base alone also who it did before.

        Not before: a mount is taken off the peers of what it lies on, too, and the old top lies on this for a moment.
        """
        if not self._wanted.merged:
            ground.join(self.tree, self.hierarchy)
        syscalls.mount_setattr(self.tree, propagation=syscalls.MS_SHARED)

    def undo(self) -> None:
        take_off(self.hierarchy.staging)
        os.rmdir(self.hierarchy.staging)
        if self._carried is not None:
            self._carried.take_back()
        self.close()
        if self._work:
            upper.remove_tree(self._work)
            base.forget_upper(self.hierarchy.base, self._generation)
        for path in reversed(self._made):
            if os.path.isdir(path):
                os.rmdir(path)
        self._made.clear()

    def close(self) -> None:
        """Close the descriptors; the tree stays where it is."""
        if self._carried is not None:
            self._carried.close()
        for fd in (self.anchor, self.tree):
            if fd >= 0:
                os.close(fd)
        self.anchor = self.tree = -1

    def _overlay(self) -> int:
        lowers = [path for _name, path in reversed(self._wanted.layers)]
        above, work, imported = "", "", ""
        if self._wanted.imported:
            imported = upper.resolve(self._paths, self._wanted.upper, self.hierarchy.name)
        if self._wanted.mode == "persistent":
            above = upper.persistent(
                self._paths, self.hierarchy.name, self._wanted.upper, self.hierarchy.base, self._made
            )
        elif self._wanted.mode == "ephemeral":
            above = upper.ephemeral(self._paths, self.hierarchy.name, self.hierarchy.base, self._made)
        if above:
            work = self._work = upper.work(above, self.hierarchy.name, self._generation)
            base.note_upper(self.hierarchy.base, self._generation, above.removeprefix(self._paths.root))
        return build(self._paths, self.hierarchy, lowers, self._generation, above, work, self._wanted.mends, imported)
