#  SPDX-License-Identifier: MIT
"""What acts: attaches images, merges them over /usr, /opt and /etc, and brings services up to date."""
