#  SPDX-License-Identifier: MIT
"""The words in which a change is settled: what changed, what the machine runs, what is wished for a unit."""

from __future__ import annotations

from extension_runtime.react.unitfiles import instance_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_runtime.layers.lookup import Layer
    from extension_runtime.pid1.systemctl import Unit

STOP, START, RESTART, RELOAD = "stop", "start", "restart", "reload"


class Wish:
    """That `verb` be done to `unit`, because `why`; `extension` is whose change it is."""

    __slots__ = ("extension", "unit", "verb", "why")

    def __init__(self, verb: str, unit: str, why: str, extension: str = "") -> None:
        self.verb = verb
        self.unit = unit
        self.why = why
        self.extension = extension

    def __repr__(self) -> str:
        return f"Wish({self.verb} {self.unit}: {self.why})"


class Machine:
    """What PID 1 knew before: `units` that are loaded, `jobs` that are queued, `properties` of running units."""

    __slots__ = ("jobs", "properties", "units")

    def __init__(
        self,
        units: Mapping[str, Unit],
        jobs: Mapping[str, tuple[str, str]],
        properties: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.units = units
        self.jobs = jobs
        self.properties = properties

    def running(self, unit: str) -> bool:
        """Whether `unit` is active or on its way."""
        return unit in self.units and self.units[unit].running

    def due(self, unit: str) -> bool:
        """Whether what `unit` wants should run: it is active or has a job to become so."""
        return self.running(unit) or self.jobs.get(unit, ("", ""))[0] in ("start", "restart", "verify-active")

    def instances(self, name: str) -> list[str]:
        """The units that a file called `name` is for: its running instances if it is a template, else itself."""
        if "@." not in name:
            return [name]
        return sorted(u for u, unit in self.units.items() if instance_of(u, name) and unit.running)


class Change:
    """What a transaction is about to do.

    `verb` is merge, refresh, unmerge or rollback; `boot`: it merges before sysinit.  `old` and `new` are the layers of
    each hierarchy (lowest first), `bases` their bases.  `added`, `changed`, `removed` are names of extensions;
    `release` has the fields of the release files of those images, of the new one where there is one.
    """

    __slots__ = ("added", "bases", "boot", "changed", "new", "old", "release", "removed", "verb")

    def __init__(
        self,
        verb: str,
        *,
        boot: bool = False,
        old: Mapping[str, Sequence[Layer]] | None = None,
        new: Mapping[str, Sequence[Layer]] | None = None,
        bases: Mapping[str, str] | None = None,
        added: Sequence[str] = (),
        changed: Sequence[str] = (),
        removed: Sequence[str] = (),
        release: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.verb = verb
        self.boot = boot
        self.old = old or {}
        self.new = new or {}
        self.bases = bases or {}
        self.added = tuple(added)
        self.changed = tuple(changed)
        self.removed = tuple(removed)
        self.release = release or {}
