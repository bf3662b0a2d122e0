#  SPDX-License-Identifier: MIT
"""What stacks of layers hold and what changed between two of them; reads folders, knows no mounts."""
