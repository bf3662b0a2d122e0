#  SPDX-License-Identifier: MIT
"""The kernel as Linux has it: system calls, mount tables, loop devices, look-ups in a folder.  Knows no extension."""
