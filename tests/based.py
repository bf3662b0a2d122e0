#  SPDX-License-Identifier: MIT
"""A hierarchy for tests without mounts."""

from __future__ import annotations

from extension_runtime.overlay.hierarchy import Hierarchy


class Based(Hierarchy):
    """One whose base is made, as far as anybody asks."""

    __slots__ = ()

    @property
    def has_base(self) -> bool:
        return True
