#  SPDX-License-Identifier: MIT
"""Overlays over the hierarchies: built, staged, exchanged, taken off."""
