#  SPDX-License-Identifier: MIT
"""The words: manifests, settings and names, read and decided.  Generator and runtime share it; it imports neither."""

DIRECTORIES = ("/etc/extensions.d", "/run/extensions.d", "/usr/local/lib/extensions.d", "/usr/lib/extensions.d")
"""Where manifests, actions and settings are; the first wins, as in systemd.unit(5)."""
BASES = "extensionctl/base"
"""Below /run: where the hierarchies are bound without layers, while anything is merged."""
