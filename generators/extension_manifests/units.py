#  SPDX-License-Identifier: MIT
"""The names of our own units.  Those of each extension are made in escape.py."""

from __future__ import annotations

TARGET = "extensions.target"
MERGE = "extensions-merge.service"
REFRESH = "extensions-refresh.service"
OURS = ("extensions-", "extension@", "run-extension-", TARGET)
"""What the names of all of them begin with."""
