#  SPDX-License-Identifier: MIT
"""Reads manifests and settings, decides, writes units. Imports the standard library and itself only."""
