#  SPDX-License-Identifier: MIT
"""Units by name: whose a process is, which are ours, and which are never restarted."""

from __future__ import annotations

from extension_manifests.names import UNIT_SUFFIXES

NEVER = ("dbus.service", "dbus-broker.service", "display-manager.service", "systemd-logind.service", "init.scope")
NEVER_PREFIXES = (
    "extensions-",
    "extension@",
    "run-extension-",
    "user@",
    "user-runtime-dir@",
    "getty@",
    "serial-getty@",
)
"""A restart of those ends sessions, cuts off everything on the bus, or is this program itself."""


def never(unit: str) -> bool:
    return unit in NEVER or unit.startswith(NEVER_PREFIXES)


OURS = ("extensions-", "extension@", "run-extension-", "extensions.target")


def unit_of(cgroup: str) -> str:
    """The unit of a path in the cgroup tree, as cg_path_get_unit() of systemd's cgroup-util.c; "" for none."""
    for part in cgroup.split("/"):
        name = part.removeprefix("_")
        if name.endswith(UNIT_SUFFIXES) and not name.endswith(".slice"):
            return name
    return ""
