#  SPDX-License-Identifier: MIT
"""Decides what manifests, release files and actions ask of units by name, and settles all wishes about one unit."""

from __future__ import annotations

from extension_manifests.escape import service_unit
from extension_manifests.names import is_unit
from extension_manifests.values import says

from extension_runtime.react.wish import RELOAD, RESTART, START, STOP, Machine, Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.react.trigger import Triggered
    from extension_runtime.react.wish import Change


RELOAD_FIELD = "EXTENSION_RELOAD_MANAGER"
RESTART_FIELD = "EXTENSION_RESTART_UNITS"
RELOAD_OR_RESTART_FIELD = "EXTENSION_RELOAD_OR_RESTART_UNITS"
WEIGHT = {STOP: 3, RESTART: 2, RELOAD: 1, START: 0}


def reload_manager(change: Change) -> bool:
    """Whether a release file asks for a daemon-reload (os-release(5), EXTENSION_RELOAD_MANAGER=1)."""
    return any(says(change.release.get(name, {}).get(RELOAD_FIELD, ""), False) for name in _touched(change))


def _touched(change: Change) -> tuple[str, ...]:
    return (*change.added, *change.changed, *change.removed)


def wishes(change: Change, manifests: Mapping[str, Manifest], machine: Machine) -> list[Wish]:
    """[Reload] of the manifests and the fields of the release files of what comes, changes or goes."""
    found = []
    for name in _touched(change):
        gone = name in change.removed
        manifest = manifests.get(name)
        if manifest is not None:
            found += of_manifest(manifest, gone)
        fields = change.release.get(name, {})
        for field, verb in ((RESTART_FIELD, RESTART), (RELOAD_OR_RESTART_FIELD, RELOAD)):
            for unit in filter(is_unit, fields.get(field, "").split()):
                found.append(Wish(verb, unit, f"{field}= of {name}", name))
        for unit in machine.properties.get(service_unit(name), {}).get("PropagatesReloadTo", "").split():
            if not gone:
                found.append(Wish(RELOAD, unit, f"{service_unit(name)} propagates reloads to it", name))
    return found


def of_manifest(manifest: Manifest, gone: bool) -> list[Wish]:
    """[Reload] of one manifest: Stop= only when the extension goes, Start= only when it does not."""
    keys = [("Restart", RESTART, manifest.restart), ("ReloadOrRestart", RELOAD, manifest.reload_or_restart)]
    keys.insert(0, ("Stop", STOP, manifest.stop) if gone else ("Start", START, manifest.start))
    return [
        Wish(verb, unit, f"{key}= of {manifest.name}", manifest.name) for key, verb, units in keys for unit in units
    ]


def by_actions(triggered: Sequence[Triggered]) -> list[Wish]:
    """The units that actions name."""
    found = []
    for item in triggered:
        action = item.action
        for verb, units in ((START, action.start), (RESTART, action.restart), (RELOAD, action.reload)):
            found += [Wish(verb, unit, f"action {action.name}") for unit in units]
    return found


def settle(wishes: Sequence[Wish], machine: Machine) -> list[Wish]:
    """One wish for each unit: a stop outweighs a restart, that a reload, and any of them a start.

    What does not run is neither stopped, restarted nor reloaded; what has failed is started, as the change may cure it.
    """
    best: dict[str, Wish] = {}
    for given in wishes:
        wish = _effective(given, machine)
        if wish is not None and (wish.unit not in best or WEIGHT[wish.verb] > WEIGHT[best[wish.unit].verb]):
            best[wish.unit] = wish
    return list(best.values())


def _effective(wish: Wish, machine: Machine) -> Wish | None:
    """What `wish` comes to in the unit's state, None for nothing."""
    state = machine.units.get(wish.unit)
    if state is not None and state.active == "failed":
        if wish.verb in (START, STOP):
            return wish if wish.verb == START else None
        return Wish(START, wish.unit, f"it has failed; {wish.why}", wish.extension)
    return wish if machine.running(wish.unit) != (wish.verb == START) else None
