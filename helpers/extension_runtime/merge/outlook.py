#  SPDX-License-Identifier: MIT
"""What there is when a verb begins: read once, under the lock, and passed on."""

from __future__ import annotations

import os

from extension_manifests import load
from extension_manifests.classes import HIERARCHIES

from extension_runtime.kernel import mountinfo
from extension_runtime.merge import modes
from extension_runtime.overlay import hierarchy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from extension_manifests.load import Plan

    from extension_runtime.merge.state import Standing, State
    from extension_runtime.overlay.hierarchy import Hierarchy
    from extension_runtime.paths import Paths


class Outlook:
    """A root as a verb finds it.

    `plan` is what manifests and settings ask for, `state` what was merged last, `hierarchies` those that the root has,
    by name, `pinned` the layers that are there: after a reboot the state may tell of some that are not.  `missing` are
    hierarchies that can be made, and `nowhere` says of each other one why what extensions have for it is not seen.
    `mistakes` are lines about those of the settings, which ask for the modes of the last merge then.
    """

    __slots__ = ("hierarchies", "missing", "mistakes", "nowhere", "paths", "pinned", "plan", "state")

    def __init__(
        self,
        paths: Paths,
        state: State,
        plan: Plan,
        hierarchies: dict[str, Hierarchy],
        pinned: set[str],
        mistakes: Sequence[str] = (),
    ) -> None:
        self.mistakes = mistakes
        self.missing: dict[str, Hierarchy] = {}
        self.nowhere: dict[str, str] = {}
        self.paths = paths
        self.state = state
        self.plan = plan
        self.hierarchies = hierarchies
        self.pinned = pinned

    @property
    def generation(self) -> int:
        """The number of the merge that a verb makes, if it makes one: never one that is or was to be seen."""
        visible = [hierarchy.generation for hierarchy in self.hierarchies.values()]
        return max(self.state.now.generation, *visible, 0) + 1

    @property
    def idle(self) -> bool:
        """Whether this root has neither manifests nor modes, and never had: then nothing is touched at all."""
        settings = self.plan.settings
        chosen = [settings.hierarchy(name) for name in HIERARCHIES]
        modes = any(one.mode != "auto" or one.import_ for one in chosen)
        asked = settings.enabled and (self.plan.extensions or self.plan.broken or modes)
        return not asked and self.generation == 1

    def good(self) -> dict[str, Standing]:
        """The extensions whose layers of the last merge are there, by name."""
        return {n: item for n, item in self.state.now.layered().items() if item.layer in self.pinned}


def look(paths: Paths, state: State) -> Outlook:
    """The outlook on a root whose state is `state`.  Raises ExtensionError."""
    table = mountinfo.read()
    pinned = {mount.path for mount in table.below(paths.layers)}
    there = hierarchy.find(paths)
    plan = load.load(paths.root)
    said = modes.keep(paths, plan.settings, state)
    view = Outlook(paths, state, plan, there.found, pinned, said)
    view.missing, view.nowhere = there.missing, there.unusable
    _keep_merged(view, table)
    return view


def _keep_merged(view: Outlook, table: mountinfo.Table) -> None:
    """Have a hierarchy that leads elsewhere since it was merged stay where it was: what lies there is to be found."""
    for name in HIERARCHIES:
        known = view.state.now.hierarchies.get(name)
        current = view.hierarchies.get(name) or view.missing.get(name)
        if known is None or (current is not None and current.target == known.target):
            continue
        before = hierarchy.Hierarchy(name, known.target, view.paths)
        if not os.path.isdir(known.target) or not before.has_base:
            continue
        before.look(table)
        if before.found is not None:
            view.hierarchies[name] = before
            view.missing.pop(name, None)
            view.nowhere[name] = f"/{name}: was {known.target} when it was merged; unmerge, and merge again"
