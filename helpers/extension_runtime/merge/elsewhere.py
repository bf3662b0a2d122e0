#  SPDX-License-Identifier: MIT
"""The side of another root: nobody is asked, nobody told, and an unmerge leaves nothing.  See side.py."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError
from extension_manifests.origin import Origin

from extension_runtime.image import forced, records
from extension_runtime.image.current import is_current
from extension_runtime.merge import statefile, tidy
from extension_runtime.merge.attach import AttachHere
from extension_runtime.merge.choose import Candidate
from extension_runtime.merge.recover import dismantle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.image.record import Record
    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.goal import Goal, Order
    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.stage import Stage
    from extension_runtime.merge.state import Stale, Standing, State
    from extension_runtime.merge.wanted import Wanted
    from extension_runtime.paths import Paths
    from extension_runtime.steps import Step


class Elsewhere:
    """The side of a root that is not the running machine's: nothing is said but by the steps themselves."""

    def __init__(self, paths: Paths, log: Callable[[str], None]) -> None:
        self._paths = paths
        self._log = log
        self._failed: dict[str, Record] = {}

    def candidates(self, manifests: Sequence[Manifest], _booting: bool) -> list[Candidate]:
        """Each extension as it is attached now."""
        known = records.attached(self._paths)
        known.update(self._failed)
        return [Candidate(manifest, known.get(manifest.name)) for manifest in manifests]

    def attach_steps(self, manifests: Sequence[Manifest], always: bool) -> Iterator[Step]:
        """What has to be done so that the images which are attached are those that are there now."""
        known, insisted, origin = records.attached(self._paths), forced.names(self._paths), Origin(self._paths.root)
        for manifest in manifests:
            name = manifest.name
            if always or not is_current(origin, manifest, known.get(name), name in insisted):
                yield AttachHere(self._paths, manifest, self._failed)

    def needs_base(self, wanted: Wanted) -> bool:
        """Whether the base of what is `wanted` is to be bound, now that anything is merged."""
        return wanted.merged

    def leave_out_breaking(
        self,
        _outlook: Outlook,
        _order: Order,
        _choices: Sequence[Choice],
        _good: Mapping[str, Standing],
        _risky: bool,
    ) -> None:
        """Take back the choice of layers with which programs would not start: those of another root are not run."""

    def before_swap(self, _outlook: Outlook, _order: Order, _goal: Goal, _stages: Sequence[Stage]) -> Iterator[Step]:
        """The steps when all is staged."""
        return iter(())

    def after_swap(self, _outlook: Outlook) -> Iterator[Step]:
        """The steps when all is swapped, and not yet written down."""
        return iter(())

    def settle(self, _outlook: Outlook) -> Iterator[Step]:
        """The steps between what is merged being marked and being committed."""
        return iter(())

    def detach(self, names: Sequence[str]) -> None:
        """Take off the images of `names`; what is merged keeps its own hold of them until the next merge."""
        tidy.detach(self._paths, names)

    def stale_units(self, _outlook: Outlook, _order: Order, known: list[Stale]) -> list[Stale]:
        """Who uses old content when all is done; `known` are those of before."""
        return known

    def tell(self, _order: Order, _goal: Goal, _state: State, _done: str) -> None:
        """Say what was `done`."""

    def tell_failed(self, _order: Order, _state: State, _reason: str, _outcome: str) -> None:
        """Say that a verb failed."""

    def leave(self, outlook: Outlook, state: State) -> None:
        """Leave no mount behind when nothing is merged any more.  Raises ExtensionError, OSError."""
        state.previous = None
        statefile.write(self._paths, state)
        dismantle(self._paths, outlook.hierarchies)
        self.detach(sorted(records.attached(self._paths)))

    def abandon(self, outlook: Outlook) -> None:
        """Leave no mount behind after a merge that failed, where nothing was merged before it."""
        now = outlook.state.now
        if now.layered() or any(item.merged for item in now.hierarchies.values()):
            return
        if any(hierarchy.generation for hierarchy in outlook.hierarchies.values()):
            return  # the state does not tell of it, but there it is
        try:
            dismantle(self._paths, outlook.hierarchies)
        except (ExtensionError, OSError) as error:
            self._log(str(error))
