#  SPDX-License-Identifier: MIT
"""The transaction: what is there, what it should be, the steps in between, the new state."""
