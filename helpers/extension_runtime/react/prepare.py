#  SPDX-License-Identifier: MIT
"""Brings services to what is merged: prepared before the swap, done around it, taken back when the change is.

reaction = prepare(change, manifests, systemd, root, actions)
reaction.before()      # stops what goes, while its files are still there
... swap, and write down what is merged ...
reaction.after()       # reload of PID 1, actions, starts, restarts
reaction.healthy(...)  # what did not come up; if that takes the change back:
reaction.withdraw()    # stops what only came with the change, while its files are still there
... swap back ...
reaction.revert()
"""

from __future__ import annotations

from extension_manifests.escape import service_unit
from extension_manifests.globs import fixed_part

from extension_runtime import boundary
from extension_runtime.layers import compare, listing
from extension_runtime.layers.tree import View
from extension_runtime.pid1.properties import COMMANDS
from extension_runtime.react import affected, requested
from extension_runtime.react import trigger as triggers
from extension_runtime.react.boot import with_needs
from extension_runtime.react.reaction import Reaction
from extension_runtime.react.unitfiles import UnitFiles
from extension_runtime.react.wish import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.layers.compare import Changed
    from extension_runtime.layers.lookup import Source
    from extension_runtime.pid1.systemctl import Systemd
    from extension_runtime.react.actionfile import Action
    from extension_runtime.react.wish import Change


FROM_FILES = (".service", ".socket", ".timer", ".path")
PROPERTIES = ("Id", "FragmentPath", "Environment", "PropagatesReloadTo", "Triggers", *COMMANDS)


def prepare(
    change: Change, manifests: Mapping[str, Manifest], systemd: Systemd, root: str, actions: Sequence[Action]
) -> Reaction:
    """What `change` asks of services; called when the new layers are readable and not yet swapped in.

    With a root nobody is asked and nothing is done, there only `changes` is filled.
    """
    stacks = {
        name: listing.sources(change.old.get(name, ()), change.new.get(name, ()), change.bases.get(name))
        for name in sorted({*change.old, *change.new})
    }
    within = _boot_places(actions) if change.boot else None
    found = sorted(
        (item for name, (old, new) in stacks.items() for item in compare.compare(old, new, name, within)),
        key=lambda item: item.path,
    )
    if root:
        return Reaction(change, found, systemd, Machine({}, {}, {}), manifests)
    notes = _unreadable(stacks)
    if not (found or change.added or change.changed or change.removed):
        reaction = Reaction(change, found, systemd, Machine({}, {}, {}), manifests)
        reaction.notes += notes
        return reaction
    machine = gather(systemd, [service_unit(name) for name in change.changed], change.boot)
    reaction = Reaction(change, found, systemd, machine, manifests)
    reaction.notes += notes
    old_files = UnitFiles(View({name: old for name, (old, _new) in stacks.items()}))
    new_files = UnitFiles(View({name: new for name, (_old, new) in stacks.items()}))
    minding = _minding(found, manifests, "actions")
    reaction.actions = triggers.triggered(actions, minding, change.verb, change.boot, reaction.notes.append)
    reaction.reload = affected.needs_reload(found) or requested.reload_manager(change)
    reaction.reload |= any(item.action.daemon_reload for item in reaction.actions)
    minding = _minding(found, manifests, "units")
    wishes = [*requested.wishes(change, manifests, machine), *requested.by_actions(reaction.actions)]
    if change.boot:
        wishes += affected.wanted(minding, affected.added(minding, old_files, new_files), new_files, machine)
        wishes = with_needs(wishes, new_files, machine, systemd)
    else:
        verdict = affected.decide(minding, old_files, new_files, machine)
        wishes += verdict.wishes
        reaction.notes += verdict.notes
    reaction.wishes = requested.settle(wishes, machine)
    return reaction


def _unreadable(stacks: Mapping[str, tuple[Sequence[Source], Sequence[Source]]]) -> list[str]:
    """A line about each layer that could not be compared whole."""
    found = {}
    for old, new in stacks.values():
        for source in (*old, *new):
            problem = source.listing.problem
            if problem is not None:
                whose = source.extension or "the base"
                reason = boundary.reason(problem, whose)
                found[whose] = f"{reason}; not all of {whose} could be compared, restart what uses it"
    return list(found.values())


def gather(systemd: Systemd, others: Sequence[str], boot: bool) -> Machine:
    """What PID 1 knows; the properties of running units that have files, and of `others`, at boot of none."""
    units, jobs = systemd.units(), systemd.jobs()
    if boot:
        return Machine(units, jobs, {})
    names = sorted(u for u, unit in units.items() if unit.running and u.endswith(FROM_FILES))
    return Machine(units, jobs, systemd.show([*names, *others], PROPERTIES))


def _minding(found: Sequence[Changed], manifests: Mapping[str, Manifest], key: str) -> list[Changed]:
    """The changes but for those of extensions that say KEY=none."""
    deaf = {name for name, manifest in manifests.items() if getattr(manifest, key) == "none"}
    return [change for change in found if change.extension not in deaf]


def _boot_places(actions: Sequence[Action]) -> tuple[str, ...]:
    """Where a change matters at boot: a walk of whole images would only delay it."""
    globs = [glob for action in actions if action.boot for glob in action.paths]
    return (*affected.RELOADING, *sorted({fixed_part(glob) for glob in globs}))
