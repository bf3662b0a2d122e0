#  SPDX-License-Identifier: MIT
"""Merge, refresh, unmerge and rollback: what is there, what it should be, the steps in between, and the new state.

The steps are made one after the other while they are run, since what an image is shows only when it is attached; a
dry run walks the same steps without running them, and takes every image for good.
"""

from __future__ import annotations

import os
import time

from extension_manifests import load
from extension_manifests.errors import ExtensionError

from extension_runtime import files, paths
from extension_runtime.image import attach
from extension_runtime.kernel import mountinfo
from extension_runtime.merge import attach as attachments
from extension_runtime.merge import fit, ledger, select, state
from extension_runtime.merge.choose import NEW, NONE, Choice, without_unmet_needs
from extension_runtime.merge.recover import dismantle, recover, remove_layers
from extension_runtime.merge.result import Result, TransactionError
from extension_runtime.merge.stage import Stage
from extension_runtime.merge.steps import Base, Commit, Mark, Pin, Workshop
from extension_runtime.merge.swap import Swap
from extension_runtime.merge.wanted import Wanted, hierarchies, unmerged
from extension_runtime.overlay import upper
from extension_runtime.overlay.hierarchy import Hierarchy, find
from extension_runtime.paths import Paths
from extension_runtime.steps import Step, execute

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from extension_manifests.load import Plan

    from extension_runtime.react.prepare import Reaction


LOCK_TIMEOUT = 600.0  # seconds


class Transaction:
    """One verb on one root, from the lock being taken to the state being written."""

    def __init__(
        self,
        verb: str,
        places: Paths,
        *,
        dry_run: bool = False,
        always: bool = False,
        boot: bool = False,
        log: Callable[[str], None] = lambda _text: None,
        before: Callable[[Step], None] = lambda _step: None,
    ) -> None:
        self.verb = verb
        self.places = places
        self.dry_run = dry_run
        self.always = always
        self.boot = boot
        self.before = before
        self.messages: list[str] = []
        self._log = log
        self.state: dict[str, Any]
        self.plan: Plan
        self.found: dict[str, Hierarchy]
        self.choices: list[Choice] = []
        self.changed = False
        self.reaction: Reaction | None = None
        self._attached: list[attachments.Attach] = []
        self._stages: list[Stage] = []
        self._swaps: list[Swap] = []
        # Devices of what the swap takes off or covers, to the path of the hierarchy.
        self._gone: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def _read(self) -> None:
        self.state = state.read(self.places)
        self.plan = load.load(self.places.root)
        self.found = find(self.places)

    @property
    def generation(self) -> int:
        """The number of the merge that this makes, if it makes one: never one that is or was to be seen."""
        visible = [place.generation for place in self.found.values()]
        return int(max(self.state["generation"], *visible, 0)) + 1

    def _pinned(self) -> set[str]:
        """The layers that are there; after a reboot the state may tell of some that are not."""
        return {mount.path for mount in mountinfo.read().below(self.places.layers)}

    def nothing_to_merge(self) -> bool:
        """Whether this root has neither manifests nor modes, and never had: then nothing is touched at all."""
        settings = self.plan.settings
        modes = {getattr(settings, name).mode for name in paths.HIERARCHIES}
        imports = any(getattr(settings, name).import_ for name in paths.HIERARCHIES)
        idle = not self.plan.extensions and not self.plan.broken and modes == {"auto"} and not imports
        return (idle or not settings.enabled) and not self.state["generation"]

    def run(self) -> Result:
        """Do the verb.  Raises ExtensionError when it failed; what was merged before still is."""
        if self.dry_run or not os.path.isdir(self.places.run):
            self._read()
            if self._idle():
                return Result(0, ["no extensions"], [])
        if self.dry_run:
            for place in self.found.values():
                place.look()
            texts = [step.text for step in self._steps()]
            return Result(self._exit_code(), [*self.messages, *([] if self.changed else ["nothing to do"])], texts)
        _allow_open_files()
        files.folder(self.places.run)
        with state.Lock(self.places, LOCK_TIMEOUT):
            # Only now: who waited for the lock must not go by what there was before those it waited for.
            self._read()
            if self._idle():
                return Result(0, ["no extensions"], [])
            last = self.state["last"] or {}
            if (self.verb, self.verb, "done") == ("rollback", last.get("verb"), last.get("result")):
                return Result(0, ["this is the previous merge already; there is nothing to go back to"], [])
            try:
                Workshop(self.places).do()
                self._recover()
            except (ExtensionError, OSError) as error:
                self._tidy_unmerged()
                reason = error.strerror if isinstance(error, OSError) else error
                raise TransactionError(f"{self.verb}: {reason}; nothing was changed") from None
            return self._execute()

    def _idle(self) -> bool:
        return self.verb in ("merge", "refresh", "unmerge") and self.nothing_to_merge()

    def _recover(self) -> None:
        generations = {name: item["generation"] for name, item in self.state["hierarchies"].items()}
        recover(self.places, self.found, generations, ledger.used_layers(self.state))

    def _execute(self) -> Result:
        texts: list[str] = []

        def recorded() -> Iterator[Step]:
            for step in self._steps():
                texts.append(step.text)
                yield step

        try:
            execute(recorded(), self.before, self._log)
        except ExtensionError as error:
            self._failed(str(error), getattr(error, "outcome", "failed"))
            raise
        except OSError as error:
            self._failed(str(error), "failed")
            raise TransactionError(f"{self.verb}: {error.strerror or error}; nothing was changed") from None
        except Exception as error:
            # A mistake in this program: what it had done is taken back all the same, and the trace is for its authors.
            import traceback

            self._log(traceback.format_exc())
            self._failed(f"{type(error).__name__}: {error}", "failed")
            raise TransactionError(f"{self.verb}: {type(error).__name__}: {error}; nothing was changed") from None
        finally:
            self._close()
        self._finish()
        return Result(self._exit_code(), [self._summary(), *self.messages], texts)

    def _summary(self) -> str:
        if not self.changed:
            return "nothing has changed"
        merged = sorted(name for name, item in self.state["extensions"].items() if item["layer"])
        return f"{self.verb} done: {', '.join(merged) or 'no extension'} merged (generation {self.state['generation']})"

    def _failed(self, reason: str, outcome: str) -> None:
        """Note a failure in the state, next to what is still merged."""
        self.state = ledger.noted(self.state, self.verb, outcome, reason, int(time.time()))
        if outcome == "rolled-back":
            from extension_runtime.merge import tell

            tell.tell_rolled_back(self.verb, self.state, reason)
        for put_right in (self._write_state, self._recover):
            try:
                put_right()
            except (ExtensionError, OSError) as error:
                # The reason of the failure is what counts; the next verb puts the rest right.
                self._log(str(error))
        self._tidy_unmerged()

    def _write_state(self) -> None:
        state.write(self.places, self.state)

    def _tidy_unmerged(self) -> None:
        """Leave no mount behind after a first merge that failed, on a root whose PID 1 is not spoken to."""
        if self.places.live or self.state["generation"]:
            return
        try:
            dismantle(self.places, self.found)
        except (ExtensionError, OSError) as error:
            self._log(str(error))

    def _exit_code(self) -> int:
        return 3 if any(choice.left_out for choice in self.choices) else 0

    def _steps(self) -> Iterator[Step]:
        settings = self.plan.settings
        if self.verb == "unmerge" or not settings.enabled:
            self.choices = select.none(self.plan)
            wanted = unmerged(settings, self.found)
        elif self.verb == "rollback":
            before = self.state["previous"]
            if not before or any(e["layer"] not in self._pinned() for e in ledger.merged_entries(before).values()):
                raise TransactionError("rollback: there is no earlier merge to go back to")
            self.choices = select.earlier(before)
            wanted = hierarchies(self.choices, settings, self.found)
        else:
            yield from self._choice_steps()
            wanted = hierarchies(self.choices, settings, self.found)
        yield from self._hierarchy_steps(wanted)

    def _choice_steps(self) -> Iterator[Step]:
        """Attach and pin what is new, and choose what is stacked of it."""
        pinned = self._pinned()
        previous = {n: item for n, item in ledger.merged_entries(self.state).items() if item["layer"] in pinned}
        # At boot PID 1 has just attached them; started by hand later, the same unit may find an old attachment.
        if not self.boot or self.state["generation"]:
            self._attached = attachments.steps(self.places, self.plan.extensions, self.always)
            yield from self._attached
        choose = select.predicted if self.dry_run else select.current
        self.choices = choose(self.places, self.plan, previous, boot=self.boot, always=self.always)
        yield from self._pin_steps()
        yield from self._base_steps(hierarchies(self.choices, self.plan.settings, self.found))
        if not self.dry_run:
            fit.leave_out_unstackable(self.places, self.found, self.choices, previous)
            self.choices = without_unmet_needs(self.plan.extensions, self.choices)

    def _pin_steps(self) -> Iterator[Step]:
        for choice in self.choices:
            if choice.source == NEW:
                layer = f"{self.places.layers}/{self.generation}/{choice.name}"
                choice.entry["layer"] = layer
                yield Pin(choice.name, f"{self.places.extension}/{choice.name}", layer)

    def _base_steps(self, wanted: list[Wanted]) -> Iterator[Step]:
        """Bind the bases that are not bound yet: of what is merged and, on the running machine, of all.

        A service that starts before its hierarchy has an anchor cannot be brought up to date later.
        """
        merged = [item.name for item in wanted if item.merged]
        for item in wanted:
            place = self.found[item.name]
            if merged and (item.merged or self.places.live) and not place.has_base:
                yield Base(place)

    def _hierarchy_steps(self, wanted: list[Wanted]) -> Iterator[Step]:
        todo = [item for item in wanted if self._differs(item)]
        self.changed = bool(todo) or self._extensions_differ()
        targets = {name: place.target for name, place in self.found.items()}
        new = ledger.after(
            self.state,
            self.verb,
            int(time.time()),
            self.choices,
            self.plan.masked,
            wanted,
            targets,
            {item.name for item in todo},
            self.generation,
            self._pinned(),
        )
        if not todo:
            yield Mark(self.places, self._merged_names())
            yield Commit(self.places, self.state, new)
            return
        if not self.dry_run:
            kept = {item.name: item.upper for item in wanted if item.merged and item.mode == "persistent"}
            upper.refuse_shared(self.places, kept)
        stages = []
        # A mutable upper is in two overlays from its staging to its swap: that is kept short by staging it last.
        for item in sorted(todo, key=lambda item: item.writable):
            stage = Stage(self.places, self.found[item.name], item, self.generation)
            stages.append(stage)
            yield stage
        yield from self._swap_steps(stages, new)

    def _swap_steps(self, stages: list[Stage], new: dict[str, Any]) -> Iterator[Step]:
        self._stages = stages
        if self.places.live:
            # Imported now, before the swap, also for the step behind it.
            from extension_runtime.namespaces.steps import SpreadBack, SpreadOut

            yield SpreadBack(self.found, self.places.staging)
        yield from self._before_swap(new)
        self._swaps = [Swap(stage, self._log) for stage in stages]
        yield from self._swaps
        if self.places.live:
            yield SpreadOut(self.found, self.places.staging, self.messages.append)
        yield Mark(self.places, self._merged_names())
        yield from self._after_swap()
        yield Commit(self.places, self.state, new)

    def _before_swap(self, new: dict[str, Any]) -> Iterator[Step]:
        if self.places.live and self.dry_run:
            # Which ones shows when the new images are attached, which a dry run does not do.
            yield Step("stop", "stop the units that go")
        elif self.places.live:
            from extension_runtime.merge import live
            from extension_runtime.merge.change import prepare
            from extension_runtime.pid1 import journal
            from extension_runtime.react.steps import Stop

            journal.load()
            self._gone = live.replaced(stage.place for stage in self._stages)
            bases = {name: place.base for name, place in self.found.items()}
            self.reaction = prepare(self.verb, self.boot, self.plan, self.state, new, bases, self._log)
            yield Stop(self.reaction)

    def _after_swap(self) -> Iterator[Step]:
        if self.places.live and self.dry_run:
            yield Step("services", "bring services up to date")
        if self.reaction is not None:
            from extension_runtime.react.steps import Bring, settle_sec

            settings = self.plan.settings
            settle = settle_sec(self.plan, self.reaction)
            yield Bring(self.reaction, settings.timeout_sec, settle, settings.refresh_rollback)
            self.messages += [*self.reaction.notes, *self.reaction.outcome.problems]

    def _close(self) -> None:
        for attached in self._attached:
            attached.close()
        for stage in self._stages:
            stage.close()
        for swap in self._swaps:
            swap.close()

    def _differs(self, item: Wanted) -> bool:
        """Whether what is mounted is something else than what is wanted."""
        place = self.found[item.name]
        recorded = self.state["hierarchies"].get(item.name, {})
        if not item.merged and not recorded.get("merged") and not place.generation:
            return place.found is None and place.has_base
        if self.always or place.generation != recorded.get("generation", 0):
            return True
        return bool(item.spec() != recorded.get("spec"))

    def _extensions_differ(self) -> bool:
        return {c.name: c.entry for c in self.choices} != {
            name: item for name, item in self.state["extensions"].items() if item["state"] != "masked"
        }

    def _merged_names(self) -> set[str]:
        return {choice.name for choice in self.choices if choice.source != NONE}

    def _finish(self) -> None:
        """What can only be done, or fail, without consequence for what is merged now."""
        self.state = state.read(self.places)
        for tidy in (self._remove_unused, self._remove_old_work, self._detach_stale, self._tell):
            try:
                tidy()
            except (ExtensionError, OSError) as error:
                self._log(f"done, but not tidied up: {error}")
        if self.verb == "unmerge" and not self.places.live:
            try:
                self._dismantle()
            except (ExtensionError, OSError) as error:
                self.messages.append(
                    f"unmerged, but not every mount could be taken off: {error}; unmerge again to try once more"
                )

    def _remove_unused(self) -> None:
        files.remove_empty(self.places.staging)
        remove_layers(self.places, ledger.used_layers(self.state))

    def _remove_old_work(self) -> None:
        for name, item in self.state["hierarchies"].items():
            configured = getattr(self.plan.settings, name).upper
            for mode, path in (("ephemeral", ""), ("persistent", configured)):
                current = item["generation"] if item["writable"] and item["mode"] == mode else 0
                upper.remove_old_work(self.places, name, path, current)

    def _detach_stale(self) -> None:
        known = [manifest.name for manifest in self.plan.extensions] + list(self.plan.broken)
        attachments.detach(self.places, attachments.stale_names(self.places, known))

    def _tell(self) -> None:
        """On the running machine: look for stale views, and tell the journal."""
        if not self.places.live:
            return
        from extension_runtime.merge import live, tell

        if self.reaction is not None and not self.boot:
            run, plan = self.places.run, self.plan
            stale = live.look_for_stale_views(run, plan, self.reaction, self._gone, self._log)
            if stale != self.state["stale"]:
                self.state = dict(self.state, stale=stale)
                state.write(self.places, self.state)
        done = self._summary() if self.changed else ""
        tell.tell_done(done, self.verb, self.state, self.choices, self.reaction)

    def _dismantle(self) -> None:
        """Leave no mount behind on a root whose PID 1 is not spoken to."""
        state.write(self.places, dict(self.state, previous=None))
        dismantle(self.places, self.found)
        attachments.detach(self.places, sorted(attach.records(self.places)))


def _allow_open_files() -> None:
    """Raise this process's limit of open files: a merge has each layer open, and in a refresh what was attached."""
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(
    verb: str,
    root: str,
    *,
    dry_run: bool = False,
    always: bool = False,
    boot: bool = False,
    log: Callable[[str], None] = lambda _text: None,
    before: Callable[[Step], None] = lambda _step: None,
) -> Result:
    """Do `verb` (merge, refresh, unmerge or rollback) on `root` ("" is the running machine).

    `boot`: PID 1 has attached the images already.  `before` is called with each step.  Raises ExtensionError when it
    failed, with what was merged before still in place.
    """
    places = Paths(root)
    if os.geteuid() != 0 and not dry_run:
        raise TransactionError(f"{verb}: needs root")
    transaction = Transaction(verb, places, dry_run=dry_run, always=always, boot=boot, log=log, before=before)
    return transaction.run()
