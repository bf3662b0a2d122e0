#  SPDX-License-Identifier: MIT
"""Units by name: whose a process is, which are ours, and which are never restarted."""

from __future__ import annotations

from extension_manifests.names import UNIT_SUFFIXES
from extension_manifests.units import OURS

NEVER = ("dbus.service", "dbus-broker.service", "display-manager.service", "systemd-logind.service", "init.scope")
NEVER_PREFIXES = (*OURS, "user@", "user-runtime-dir@", "getty@", "serial-getty@")
"""A restart of those ends sessions, cuts off everything on the bus, or is this program itself."""


def never(unit: str) -> bool:
    """Whether `unit` must not be restarted because of a change."""
    return unit in NEVER or unit.startswith(NEVER_PREFIXES)


def unit_of(cgroup: str) -> str:
    """The unit of a path in the cgroup tree, as cg_path_get_unit() of systemd's cgroup-util.c; "" for none."""
    for part in cgroup.split("/"):
        name = part.removeprefix("_")
        if name.endswith(UNIT_SUFFIXES) and not name.endswith(".slice"):
            return name
    return ""
