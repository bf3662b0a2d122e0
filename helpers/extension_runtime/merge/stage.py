#  SPDX-License-Identifier: MIT
"""The step that builds the new top of a hierarchy where nobody sees it."""

from __future__ import annotations

import os

from extension_runtime.files import folder
from extension_runtime.merge.recover import take_off
from extension_runtime.merge.wanted import Wanted
from extension_runtime.overlay import base, exchange, upper
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.stack import build
from extension_runtime.paths import Paths
from extension_runtime.steps import Step


class Stage(Step):
    """Builds the new top of one hierarchy, with what is mounted below it, where nobody sees it."""

    def __init__(self, paths: Paths, hierarchy: Hierarchy, wanted: Wanted, generation: int) -> None:
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
            exchange.stage_tree(self.tree, self.hierarchy.target, staging)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        self.close()
        take_off(self.hierarchy.staging)
        os.rmdir(self.hierarchy.staging)
        if self._work:
            upper.remove_tree(self._work)
            base.forget_upper(self.hierarchy.base, self._generation)
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
