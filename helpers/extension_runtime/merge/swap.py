#  SPDX-License-Identifier: MIT
"""The step that puts a staged top into its place."""

from __future__ import annotations

import os

from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge.stage import Stage
from extension_runtime.overlay import exchange, ground
from extension_runtime.overlay.base import signs_anchors
from extension_runtime.overlay.top import find_tops
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Swap(Step):
    """Puts a staged top into its place."""

    def __init__(self, stage: Stage, log: Callable[[str], None]) -> None:
        super().__init__(f"swap:{stage.hierarchy.name}", f"swap {stage.hierarchy.target}")
        self._stage = stage
        self._log = log
        self._old = -1

    def do(self) -> None:
        hierarchy = self._stage.hierarchy
        if hierarchy.found:
            self._exchange()
            return
        if hierarchy.found is None:
            ground.attach(self._stage.anchor, hierarchy)
        else:
            syscalls.move_mount(self._stage.tree, hierarchy.target)
        try:
            self._stage.share()
        except BaseException:
            self.undo()
            raise

    def _exchange(self) -> None:
        target = self._stage.hierarchy.target
        old = mountinfo.visible(target)
        self._old = exchange.copy_top(target)
        try:
            exchange.exchange(self._stage.tree, target, self._log)
            self._stage.share()
        except BaseException:
            try:
                self._put_back(old)
            except OSError as error:
                self._log(f"{target}: could not be put back: {error}")
            raise

    def _put_back(self, old: int) -> None:
        """After an exchange that stopped half way, show the old top, whose mount was `old`, and nothing beneath it."""
        hierarchy = self._stage.hierarchy
        table = mountinfo.read()
        visible = mountinfo.visible(hierarchy.target)
        base = hierarchy.base_mount(table)
        signed = signs_anchors(hierarchy.base)
        tops = (base and find_tops(table, visible, hierarchy.target, base, own=True, signed=signed)) or []
        if not tops:
            syscalls.move_mount(self._old, hierarchy.target)
            return
        if visible == old:
            if len(tops) == 1:
                return
            exchange.unmount_top(hierarchy.target)
        exchange.exchange(self._old, hierarchy.target, self._log)

    def undo(self) -> None:
        hierarchy = self._stage.hierarchy
        if self._old >= 0:
            exchange.exchange(self._old, hierarchy.target, self._log)
            self.close()
            return
        exchange.unmount_top(hierarchy.target)
        if hierarchy.found is None:
            ground.detach(hierarchy)

    def close(self) -> None:
        """Let go of the old top."""
        if self._old >= 0:
            os.close(self._old)
            self._old = -1
