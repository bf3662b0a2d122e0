#  SPDX-License-Identifier: MIT
"""PID 1 and its journal: what is asked of them, and what they are told."""
