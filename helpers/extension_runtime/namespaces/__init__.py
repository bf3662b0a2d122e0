#  SPDX-License-Identifier: MIT
"""The mount namespaces of services, brought to what the machine shows."""
