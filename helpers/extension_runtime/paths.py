#  SPDX-License-Identifier: MIT
"""The folders of a root that this program makes and uses."""

from __future__ import annotations

import os

from extension_manifests import BASES

from extension_runtime.kernel import chase


class Paths:
    """The folders of one root.  `root` is "" for the running machine, else an absolute path without a last slash.

    Links on the way are followed inside the root, once, here.  Raises ImageError for one that leads nowhere.
    """

    __slots__ = (
        "attached",
        "base",
        "extension",
        "forced",
        "layers",
        "lock",
        "merged",
        "root",
        "run",
        "staging",
        "stand_in",
        "state",
        "upper",
    )

    def __init__(self, root: str) -> None:
        self.root = "" if root in ("", "/") else os.path.realpath(root)
        # The running machine's /run is whatever the kernel takes for it.
        run = chase.real_path(self.root, "run") if self.root else "/run"
        self.extension = f"{run}/extension"
        self.run = f"{run}/extensionctl"
        self.attached = f"{self.run}/attached"
        self.base = f"{run}/{BASES}"
        self.layers = f"{self.run}/layers"
        self.staging = f"{self.run}/staging"
        self.stand_in = f"{self.run}/ground"
        self.merged = f"{self.run}/merged"
        self.upper = f"{self.run}/upper"
        self.forced = f"{self.run}/forced"
        self.state = f"{self.run}/state.json"
        self.lock = f"{self.run}/lock"

    @property
    def live(self) -> bool:
        """Whether this is the running machine, where PID 1 is spoken to."""
        return not self.root
