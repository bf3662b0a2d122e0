#  SPDX-License-Identifier: MIT
"""What a transaction does on the running machine: PID 1 attaches, services' namespaces follow, services are restarted.

See side.py.  All that this needs is imported with it: from the first swap on nothing may be.
"""

from __future__ import annotations

from extension_manifests.errors import ExtensionError
from extension_manifests.origin import Origin

from extension_runtime import boundary
from extension_runtime.image import forced, records
from extension_runtime.image.current import is_current
from extension_runtime.image.record import Record
from extension_runtime.merge import change, tell, tidy, trial
from extension_runtime.merge.attach import AttachUnits, Renew
from extension_runtime.merge.choose import Candidate
from extension_runtime.merge.mountunits import MountUnits, stop
from extension_runtime.merge.state import Stale
from extension_runtime.namespaces.steps import SpreadBack, SpreadOut
from extension_runtime.overlay import top
from extension_runtime.pid1 import commands, journal
from extension_runtime.pid1.systemctl import Systemd
from extension_runtime.react.steps import Bring, Stop, settle_sec
from extension_runtime.stale import swaps
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.goal import Goal, Order
    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.stage import Stage
    from extension_runtime.merge.state import Standing, State
    from extension_runtime.merge.wanted import Wanted
    from extension_runtime.overlay.hierarchy import Hierarchy
    from extension_runtime.paths import Paths
    from extension_runtime.react.reaction import Reaction


class Live:
    """The side of the running machine.  `said` takes what a person is to read of a verb."""

    def __init__(self, paths: Paths, said: list[str], log: Callable[[str], None]) -> None:
        self._paths = paths
        self._said = said
        self._log = log
        self._systemd = Systemd()
        self._reaction: Reaction | None = None
        # Devices of what the swap takes off or covers, to the path of the hierarchy.
        self._gone: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def candidates(self, manifests: Sequence[Manifest], booting: bool) -> list[Candidate]:
        """Each extension as it is attached now."""
        known = records.attached(self._paths)
        units = MountUnits(self._systemd, [manifest.name for manifest in manifests])
        result = []
        for manifest in manifests:
            try:
                held_back, record = units.held_back(manifest, booting), known.get(manifest.name)
            except Exception as error:
                held_back, record = "", Record(manifest.name, "failed", boundary.reason(error, manifest.name))
            result.append(Candidate(manifest, None if held_back else record, held_back))
        return result

    def attach_steps(self, manifests: Sequence[Manifest], always: bool) -> Iterator[Step]:
        """What has to be done so that the images which are attached are those that are there now."""
        known, insisted, origin = records.attached(self._paths), forced.names(self._paths), Origin()
        fresh = {m.name: not always and is_current(origin, m, known.get(m.name), m.name in insisted) for m in manifests}
        units = MountUnits(self._systemd, list(fresh))
        renew = [m for m in manifests if units.active(m.name) and not fresh[m.name]]
        start = [name for name in fresh if not units.active(name) and units.loaded(name) and units.wanted(name)]
        if renew:
            yield Renew(self._paths, renew, self._systemd)
        if start:
            yield AttachUnits(self._paths, "start", start, self._systemd)

    def needs_base(self, _wanted: Wanted) -> bool:
        """Whether the base of what is wanted is to be bound, now that anything is merged: always.

        A service that starts before its hierarchy has an anchor cannot be brought up to date later.
        """
        return True

    def leave_out_breaking(
        self, outlook: Outlook, order: Order, choices: Sequence[Choice], good: Mapping[str, Standing], risky: bool
    ) -> None:
        """Take back the choice of layers with which programs would not start; `risky`: some could do that."""
        if not (risky or order.boot):
            return
        try:
            trial.leave_out_breaking(outlook, choices, good)
        except Exception as error:
            self._said.append(f"programs could not be tried on what is to be merged: {boundary.reason(error)}")

    def before_swap(self, outlook: Outlook, order: Order, goal: Goal, stages: Sequence[Stage]) -> Iterator[Step]:
        """The steps when all is staged."""
        yield SpreadBack(outlook.hierarchies, self._paths.staging)
        if order.dry_run:
            # Which ones shows when the new images are attached, which a dry run does not do.
            yield Step("stop", "stop the units that go")
            return
        journal.load()
        commands.load()
        self._gone = _replaced(stage.hierarchy for stage in stages)
        bases = {name: hierarchy.base for name, hierarchy in outlook.hierarchies.items()}
        try:
            self._reaction = change.prepare(order, outlook.plan, outlook.state.now, goal.new.now, bases, self._log)
        except ExtensionError:
            raise
        except Exception as error:
            # Above all at boot, where nothing runs yet that would have to be restarted.
            self._said.append(f"services are not brought up to date: {boundary.reason(error)}; restart what changed")
            return
        yield Stop(self._reaction)

    def after_swap(self, outlook: Outlook) -> Iterator[Step]:
        """The steps when all is swapped, and not yet written down."""
        yield SpreadOut(outlook.hierarchies, self._paths.staging, self._said.append)

    def settle(self, outlook: Outlook) -> Iterator[Step]:
        """The steps between what is merged being marked and being committed."""
        if self._reaction is None:
            yield Step("services", "bring services up to date")
            return
        settings = outlook.plan.settings
        settle = settle_sec(outlook.plan, self._reaction)
        yield Bring(self._reaction, settings.timeout_sec, settle, settings.refresh_rollback)
        self._said += [*self._reaction.notes, *self._reaction.outcome.problems]

    def detach(self, names: Sequence[str]) -> None:
        """Take off the images of `names`; what is merged keeps its own hold of them until the next merge."""
        if not names:
            return
        stop(self._systemd, names)
        tidy.detach(self._paths, names)

    def stale_units(self, outlook: Outlook, order: Order, known: list[Stale]) -> list[Stale]:
        """Who uses old content when all is done; `known` are those of before.

        Units of extensions with Stale=restart are restarted, as far as that harms nobody, and not returned.
        """
        reaction = self._reaction
        if reaction is None or order.boot:
            return known
        run = self._paths.run
        swaps.record(run, self._gone[0], [changed.path for changed in reaction.changes], self._gone[1])
        found = swaps.find(run)
        touched = {*reaction.change.added, *reaction.change.changed, *reaction.change.removed}
        if found and any(m.stale == "restart" for m in outlook.plan.extensions if m.name in touched):
            try:
                found = swaps.restart(found, self._systemd)
            except Exception as error:
                self._log(f"units that use old content could not be restarted: {boundary.reason(error)}")
        return [Stale(view.unit, view.reason) for view in found]

    def tell(self, order: Order, goal: Goal, state: State, done: str) -> None:
        """Tell the journal what was `done`, if anything was, and what a person must look at."""
        tell.done(done, order.verb, state, goal.choices, self._reaction)

    def tell_failed(self, order: Order, state: State, reason: str, outcome: str) -> None:
        """Tell the journal when a change was taken back."""
        if outcome == "rolled-back":
            tell.rolled_back(order.verb, state, reason)

    def leave(self, _outlook: Outlook, _state: State) -> None:
        """After an unmerge the base lies on the anchors: services keep their namespaces for the next merge."""

    def abandon(self, _outlook: Outlook) -> None:
        """After a first merge that failed: as above."""


def _replaced(hierarchies: Iterable[Hierarchy]) -> tuple[dict[str, str], dict[str, str]]:
    """Before the swap: the devices of the overlays that go, and of the file systems that get covered."""
    swapped, covered = {}, {}
    for hierarchy in hierarchies:
        if hierarchy.found and top.generation_of(hierarchy.found[-1]) is not None:
            swapped[hierarchy.found[-1].dev] = hierarchy.target
        else:
            covered[swaps.device(hierarchy.target)] = ""
    return swapped, covered
