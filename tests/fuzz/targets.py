#  SPDX-License-Identifier: MIT
"""All targets."""

from __future__ import annotations

from fuzz import of_images, of_manifests, of_state, of_units

TARGETS = [*of_manifests.TARGETS, *of_images.TARGETS, *of_units.TARGETS, *of_state.TARGETS]
