#  SPDX-License-Identifier: MIT
"""What a change means for units and actions, and doing it."""
