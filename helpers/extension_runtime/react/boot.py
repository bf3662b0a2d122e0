#  SPDX-License-Identifier: MIT
"""What else must be started with the units that images bring at boot.

Their jobs are queued with ignore-requirements, since anything else runs finished oneshots again; so what they need is
found here and queued with them.
"""

from __future__ import annotations

from extension_manifests.names import is_unit

from extension_runtime.react.wish import START, Machine, Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from extension_runtime.pid1.systemctl import Systemd
    from extension_runtime.react.unitfiles import UnitFiles

TRIED = ("InactiveExitTimestampMonotonic", "ConditionTimestampMonotonic")
NOT_AT_BOOT = ("shutdown.target", "umount.target", "final.target", "reboot.target", "poweroff.target", "rescue.target")


def with_needs(wishes: Sequence[Wish], new: UnitFiles, machine: Machine, systemd: Systemd) -> list[Wish]:
    """`wishes`, and starts of what those to be started pull in and this boot has neither run, tried nor queued."""
    found = {wish.unit: wish for wish in wishes if wish.verb == START}
    others = [wish for wish in wishes if wish.verb != START]
    layer = list(found)
    while layer:
        pulled: dict[str, Wish] = {}
        for unit in layer:
            for name in new.pulled_by(unit):
                child = new.canonical(name)
                if child in found or child in NOT_AT_BOOT or not is_unit(child) or not new.exists(child):
                    continue
                if not machine.running(child) and child not in machine.jobs:
                    pulled.setdefault(child, Wish(START, child, f"{unit} needs it", found[unit].extension))
        known = sorted(child for child in pulled if child in machine.units)
        for child, times in systemd.show(known, TRIED).items():
            if any(times.get(key, "0") not in ("", "0") for key in TRIED):
                del pulled[child]
        found.update(pulled)
        layer = list(pulled)
    return [*others, *found.values()]
