#  SPDX-License-Identifier: MIT
"""Reads manifests and settings, decides, writes units. Imports the standard library and itself only."""

DIRECTORIES = ("/etc/extensions.d", "/run/extensions.d", "/usr/local/lib/extensions.d", "/usr/lib/extensions.d")
"""Where manifests, actions and settings are; the first wins, as in systemd.unit(5)."""
