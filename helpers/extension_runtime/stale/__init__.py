#  SPDX-License-Identifier: MIT
"""Who still uses content that was replaced."""
