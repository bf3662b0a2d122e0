#  SPDX-License-Identifier: MIT
"""The steps that services ask for around one swap, as data, and what does them and takes them back."""

from __future__ import annotations

from extension_manifests.escape import service_unit

from extension_runtime import boundary
from extension_runtime.react import health
from extension_runtime.react import trigger as triggers
from extension_runtime.react.wish import RELOAD, RESTART, START, STOP, Change, Machine, Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.layers.compare import Changed
    from extension_runtime.pid1.systemctl import Systemd
    from extension_runtime.react.health import Failed
    from extension_runtime.react.trigger import Triggered


REVERT_TIMEOUT = 30.0  # seconds for units to come back
VERBS = {START: "start", RESTART: "try-restart", RELOAD: "try-reload-or-restart"}


class Outcome:
    """What was done: `done` and `problems`, a line each; `failed_actions` are names."""

    __slots__ = ("done", "failed_actions", "problems")

    def __init__(self) -> None:
        self.done: list[str] = []
        self.problems: list[str] = []
        self.failed_actions: list[str] = []


class Reaction:
    """The steps around one swap.  `changes` is the difference, `notes` what a person should know besides."""

    __slots__ = (
        "_acted", "_machine", "_manifests", "_started", "_stopped", "_systemd", "actions", "change", "changes",
        "notes", "outcome", "reload", "wishes",
    )  # fmt: skip

    def __init__(
        self,
        change: Change,
        found: Sequence[Changed],
        systemd: Systemd,
        machine: Machine,
        manifests: Mapping[str, Manifest],
    ) -> None:
        self.change = change
        self.changes = list(found)
        self.notes: list[str] = []
        self.reload = False
        self.actions: list[Triggered] = []
        self.wishes: list[Wish] = []
        self.outcome = Outcome()
        self._systemd = systemd
        self._machine = machine
        self._manifests = manifests
        self._stopped: list[str] = []
        self._started: dict[str, bool] = {}
        self._acted = False

    def of(self, verb: str) -> list[Wish]:
        """The wishes of one kind."""
        return [wish for wish in self.wishes if wish.verb == verb]

    def describe(self) -> list[str]:
        """One line for each step, in order."""
        lines = [f"stop {wish.unit}: {wish.why}" for wish in self.of(STOP)]
        lines += ["have PID 1 read its units again"] if self.reload else []
        lines += [item.describe() for item in self.actions]
        for verb in (START, RESTART, RELOAD):
            lines += [f"{verb} {wish.unit}: {wish.why}" for wish in self.of(verb)]
        return lines

    def before(self) -> None:
        """Stop what goes, while its files are still there.  A unit that does not stop is a problem of the outcome."""
        units = [wish.unit for wish in self.of(STOP)]
        self._stopped = [unit for unit in units if self._machine.running(unit)]
        self._try(lambda: self._systemd.stop(units), f"stopped {', '.join(units)}" if units else "")

    def after(self) -> Outcome:
        """Bring PID 1 and the services to what is merged now; what fails is in the outcome, nothing raises."""
        self._acted = True
        if self.reload:
            self._try(self._systemd.daemon_reload, "PID 1 has read its units again")
        for item in self.actions:
            self._act(item)
        self._sockets()
        for verb in (START, RESTART, RELOAD):
            self._queue(verb, [wish.unit for wish in self.of(verb)])
        if not self.change.boot:
            self._queue_own("stop", self.change.removed)
            self._queue_own("start", self.change.added)
        return self.outcome

    def healthy(self, timeout_sec: float, settle_sec: float) -> list[Failed]:
        """The units that did not come up within `timeout_sec`, or did not stay up for `settle_sec`.

        Only those count whose extension's manifest has Rollback=yes; others become problems of the outcome, and so does
        what an unmerge makes fail: nobody is forced to stay merged.  At boot nothing is waited for: that would be the
        boot waiting for itself.
        """
        if self.change.boot:
            return []
        failed = health.watch(self._systemd, self._started, timeout_sec, settle_sec)
        counting = []
        for item in failed:
            owners = {wish.extension for wish in self.wishes if wish.unit == item.unit}
            if self.change.verb == "unmerge":
                self.outcome.problems.append(str(item))
            elif any(name not in self._manifests or self._manifests[name].rollback for name in owners):
                counting.append(item)
            else:
                self.outcome.problems.append(f"{item} (Rollback=no)")
        return counting

    def withdraw(self) -> None:
        """Before the swap back: stop what did not run before, while its files are still there."""
        units = [unit for unit in self._started if not self._machine.running(unit)]
        self._try(lambda: self._systemd.stop(units), "")

    def revert(self) -> None:
        """After the swap back: bring units to how they were; without after() only what before() stopped needs it."""
        again: list[str] = []
        if self._acted:
            if self.reload:
                self._try(self._systemd.daemon_reload, "")
            for item in self.actions:
                self._act(item)
            again = [unit for unit in self._started if self._machine.running(unit)]
            self._systemd.reset_failed([unit for unit in sorted(self._started) if unit in again or self._is_new(unit)])
        # Who was only reloaded serves on meanwhile, also when that failed.
        reloaded = [unit for unit in again if unit in {wish.unit for wish in self.of(RELOAD)}]
        self._try(lambda: self._systemd.queue("restart", [unit for unit in again if unit not in reloaded]), "")
        self._try(lambda: self._systemd.queue("reload-or-restart", reloaded), "")
        self._try(lambda: self._systemd.queue("start", self._stopped), "")
        bad = health.watch(self._systemd, dict.fromkeys([*again, *self._stopped], False), REVERT_TIMEOUT, 0.0)
        stubborn = [item.unit for item in bad if item.unit in reloaded]
        if stubborn:
            self._try(lambda: self._systemd.queue("restart", stubborn), "")
            health.watch(self._systemd, dict.fromkeys(stubborn, False), REVERT_TIMEOUT, 0.0)
        if self._acted:
            self._queue_own("stop", self.change.added)
            self._queue_own("start", self.change.removed)

    def _is_new(self, unit: str) -> bool:
        return unit not in self._machine.units

    def _act(self, item: Triggered) -> None:
        action = item.action
        try:
            said = triggers.execute(item)
            if said:
                self.outcome.problems.append(said)
            else:
                self.outcome.done.append(f"ran the action {action.name}")
        except Exception as error:
            self.outcome.failed_actions.append(action.name)
            self.outcome.problems.append(f"{action.name}: {boundary.reason(error)}")

    def _sockets(self) -> None:
        """A socket cannot be restarted under its service: stop that, restart the socket, and start what ran."""
        for socket in [wish for wish in self.of(RESTART) if wish.unit.endswith(".socket")]:
            services = self._machine.properties.get(socket.unit, {}).get("Triggers", "").split()
            running = [unit for unit in services if self._machine.running(unit)]
            self.wishes = [wish for wish in self.wishes if wish.unit not in (socket.unit, *running)]
            self.wishes.append(Wish(START, socket.unit, socket.why, socket.extension))
            self.wishes += [Wish(START, unit, f"{socket.unit} was restarted", socket.extension) for unit in running]
            self._try(lambda units=(*running, socket.unit): self._systemd.stop(units), "")  # type: ignore[misc]

    def _queue(self, verb: str, units: list[str]) -> None:
        if verb != START:
            units = [unit for unit in units if self._machine.running(unit)]
        units.sort(key=lambda unit: (not unit.endswith(".socket"), unit))
        if units:
            mode = "ignore-requirements" if self.change.boot and verb == START else ""
            self._started.update({unit: verb == START and not self._machine.running(unit) for unit in units})
            self._try(lambda: self._systemd.queue(VERBS[verb], units, mode), f"{verb}: {', '.join(units)}")

    def _queue_own(self, verb: str, names: Sequence[str]) -> None:
        """The units that stand for extensions come after the merge, so nobody here may wait for them."""
        units = [service_unit(name) for name in names]
        if units:
            self._try(lambda: self._systemd.queue(verb, units), "")

    def _try(self, step: Callable[[], None], done: str) -> None:
        try:
            step()
            if done:
                self.outcome.done.append(done)
        except Exception as error:
            self.outcome.problems.append(boundary.reason(error))
