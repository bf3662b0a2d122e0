#  SPDX-License-Identifier: MIT
"""What there is when a verb begins: read once, under the lock, and passed on."""

from __future__ import annotations

from extension_manifests import load
from extension_manifests.classes import HIERARCHIES

from extension_runtime.kernel import mountinfo
from extension_runtime.merge import modes
from extension_runtime.overlay.hierarchy import find

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
    by name, `pinned` the layers that are there: after a reboot the state may tell of some that are not.  `mistakes` are
    lines about those of the settings, which ask for the modes of the last merge then.
    """

    __slots__ = ("hierarchies", "mistakes", "paths", "pinned", "plan", "state")

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
    pinned = {mount.path for mount in mountinfo.read().below(paths.layers)}
    plan = load.load(paths.root)
    said = modes.keep(paths, plan.settings, state)
    return Outlook(paths, state, plan, find(paths), pinned, said)
