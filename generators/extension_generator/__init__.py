#  SPDX-License-Identifier: MIT
"""The systemd generator: renders and writes units.  Imports the standard library, extension_manifests and itself."""
