#  SPDX-License-Identifier: MIT
"""extensionctl(1): the command line, one module for each verb."""
