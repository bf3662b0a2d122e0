#  SPDX-License-Identifier: MIT
"""One image: found, judged, matched with the host, attached at /run/extension/NAME."""
