#  SPDX-License-Identifier: MIT
"""Every extension that is known, with its state and the reason for it: manifests, the last merge, attached images and
PID 1 brought together.
"""

from __future__ import annotations

import os

from extension_manifests import load
from extension_manifests.errors import ExtensionError, printable
from extension_manifests.escape import mount_unit, service_unit
from extension_manifests.names import SUFFIX, name_problem
from extension_manifests.origin import Origin, origin_of

from extension_runtime import boundary
from extension_runtime.cli.options import may_read, note
from extension_runtime.image import find, host, inspect, request
from extension_runtime.image.records import attached
from extension_runtime.merge import modes, statefile
from extension_runtime.merge.mountunits import unloaded, unmet
from extension_runtime.merge.state import Stale, State
from extension_runtime.paths import Paths
from extension_runtime.pid1 import queries
from extension_runtime.stale import swaps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.load import Plan
    from extension_manifests.manifest import Manifest

    from extension_runtime.image.record import Record
    from extension_runtime.merge.state import Standing

ROOT_ONLY = "what is merged is recorded for root only, so this is what the units say; use sudo for all of it"


class Extension:
    """A row of `extensionctl list`.  `state` is merged, ready, skipped, failed or masked; `reason` is why.

    `overrides`: how many files of which extension ("" for the base) it replaces.  `remarks`: what else is to be known.
    `forced`: it is merged because somebody insisted.
    """

    __slots__ = (
        "classes", "forced", "hierarchies", "image", "manifest", "name", "overrides", "reason", "remarks", "state",
        "version",
    )  # fmt: skip

    def __init__(self, name: str, manifest: str, classes: tuple[str, ...] = ()) -> None:
        self.name = name
        self.manifest = manifest
        self.classes = classes
        self.state = "ready"
        self.reason = ""
        self.image = ""
        self.version = ""
        self.hierarchies: tuple[str, ...] = ()
        self.overrides: dict[str, int] = {}
        self.remarks: tuple[str, ...] = ()
        self.forced = False

    def is_(self, state: str, reason: str) -> Extension:
        """Set the state and why."""
        self.state = state
        self.reason = reason
        return self

    def data(self) -> dict[str, object]:
        """For JSON."""
        return {
            "name": self.name,
            "class": " ".join(self.classes),
            "state": self.state,
            "reason": self.reason,
            "image": self.image,
            "version": self.version,
            "hierarchies": list(self.hierarchies),
            "manifest": self.manifest,
            "overrides": {
                "base": self.overrides.get("", 0),
                "extensions": {name: number for name, number in sorted(self.overrides.items()) if name},
            },
            "remarks": list(self.remarks),
            "forced": self.forced,
        }


class Facts:
    """All facts that the reading verbs need, gathered once.

    `readable` is false where the record of the merge is for other users' eyes only; `state`, what state.json says, and
    `records`, the attached images, are empty then.
    """

    __slots__ = ("host", "origin", "plan", "readable", "records", "root", "state", "units")

    def __init__(
        self,
        root: str | Origin,
        system: host.Host,
        plan: Plan,
        readable: bool,
        state: State,
        records: dict[str, Record],
        units: dict[str, dict[str, str]],
    ) -> None:
        self.origin = origin_of(root)
        self.root = self.origin.root
        self.host = system
        self.plan = plan
        self.readable = readable
        self.state = state
        self.records = records
        self.units = units

    def extensions(self) -> list[Extension]:
        """Every known extension, by name."""
        merged = {name for name, item in self.state.now.extensions.items() if item.state == "merged"}
        found = [self._extension(name) for name in merged.union(self.plan.names())]
        # A file whose name cannot be an extension's is known by nothing but the complaint about it.
        for problem in self.plan.diagnostics:
            name = os.path.basename(problem.path).removesuffix(SUFFIX)
            if problem.path.endswith(SUFFIX) and name_problem(name):
                found.append(Extension(printable(name), printable(problem.path)).is_("failed", str(problem)))
        return sorted(found, key=lambda extension: extension.name)

    def _extension(self, name: str) -> Extension:
        try:
            return self.extension(name)
        except Exception as error:
            return Extension(name, "").is_("failed", boundary.reason(error, name))

    def extension(self, name: str) -> Extension:
        """The extension `name`, which must be known."""
        merged = self.state.now.extensions.get(name)
        if merged is not None and merged.state == "merged":
            return self._merged(name, merged)
        if name in self.plan.masked:
            return Extension(name, self.plan.masked[name]).is_("masked", f"masked by {self.plan.masked[name]}")
        if name in self.plan.broken:
            first = self.plan.broken[name][0]
            return Extension(name, first.path).is_("failed", str(first))
        return self._waiting(self.manifest(name), merged)

    def layers(self, hierarchy: str) -> list[str]:
        """Names of the extensions on `hierarchy`, topmost first."""
        return [name for name, _ in reversed(self.state.now.hierarchies[hierarchy].layers)]

    def manifest(self, name: str) -> Manifest:
        """The manifest of a known extension that has a right one."""
        return next(m for m in self.plan.extensions if m.name == name)

    def _merged(self, name: str, merged: Standing) -> Extension:
        found = Extension(name, merged.manifest, tuple(merged.classes))
        found.image = merged.image
        found.version = merged.version
        found.hierarchies = tuple(merged.hierarchies)
        found.overrides, found.remarks, found.forced = merged.overrides, tuple(merged.remarks), merged.forced
        reason = merged.reason
        if name in self.plan.masked:
            reason = f"masked by {self.plan.masked[name]}; the next refresh takes it off"
        elif name in self.plan.broken:
            reason = reason or str(self.plan.broken[name][0])
        elif all(m.name != name for m in self.plan.extensions):
            reason = "its manifest is gone; the next refresh takes it off"
        return found.is_("merged", reason)

    def _waiting(self, manifest: Manifest, merged: Standing | None) -> Extension:
        """An extension with a right manifest that is not merged."""
        found = Extension(manifest.name, manifest.path, tuple(manifest.classes))
        if not self.plan.settings.enabled:
            return found.is_("skipped", "extensions=0 on the kernel command line")
        unit = mount_unit(manifest.name)
        properties = self.units.get(unit, {})
        if properties.get("LoadState") == "not-found":
            return found.is_("ready", unloaded(manifest.name))
        held_back = unmet(manifest, properties, _failed(unit, properties))
        if held_back:
            return found.is_("skipped", held_back)
        record = self.records.get(manifest.name)
        if record is not None:
            return self._recorded(found, record, merged)
        if self.units.get(service_unit(manifest.name), {}).get("ActiveState") == "active" and not self.readable:
            return found.is_("merged", "")
        if properties.get("ActiveState") == "active" and not self.readable:
            return found.is_("ready", "attached, and not merged as far as units tell")
        if properties.get("ActiveState") == "failed":
            return found.is_("failed", f"{unit} failed ({properties.get('Result', '')}); see journalctl --unit={unit}")
        if merged is not None and merged.state == "failed":
            # It left no record, so the merge is all that can tell.
            found.image, found.version = merged.image, merged.version
            return found.is_("failed", merged.reason)
        return self._look(found, manifest)

    def _recorded(self, found: Extension, record: Record, merged: Standing | None) -> Extension:
        found.image = record.image
        found.version = record.version
        found.hierarchies = tuple(record.hierarchies)
        found.remarks = tuple(record.remarks)
        if record.state != "attached":
            return found.is_(record.state, record.reason)
        if merged is not None and merged.reason:
            return found.is_(merged.state, merged.reason)
        return found.is_("ready", "attached, but not merged; extensionctl refresh merges it")

    def _look(self, found: Extension, manifest: Manifest) -> Extension:
        """Nothing happened to the extension yet: is there an image at all?"""
        refused = request.of_manifest(self.root, manifest).refused
        if refused:
            return found.is_("failed", refused)
        try:
            with find.find(self.origin, manifest.image, manifest.classes) as picked:
                found.image = picked.path
                found.version = picked.version
                verdict = inspect.probe(picked, manifest.classes, self.host)
        except find.MaskedError as error:
            return found.is_("skipped", str(error))
        except ExtensionError as error:
            return found.is_("failed", str(error))
        found.hierarchies = verdict.hierarchies
        found.version = found.version or verdict.version
        if verdict.mismatch:
            return found.is_("skipped" if manifest.mismatch == "skip" else "failed", verdict.mismatch)
        if picked.kind == "raw":
            return found.is_("ready", "extensionctl refresh attaches it and merges it if it matches this system")
        return found.is_("ready", "extensionctl refresh merges it")


def _failed(unit: str, properties: dict[str, str]) -> list[str]:
    """The conditions of `unit` that PID 1 says were not met."""
    if properties.get("ConditionResult") != "no":
        return []
    return [text for text, result in queries.conditions(unit) if result == "not met"]


def gather(root: str) -> Facts:
    """All facts about `root`.  Raises ExtensionError when they cannot be read, below a root also for lack of rights."""
    origin = Origin(root)
    plan = load.load(origin)
    paths = Paths(root)
    readable = may_read(paths.run)
    if not readable and root:
        raise ExtensionError(f"{paths.run}: readable by its owner only; use sudo")
    state, problem = statefile.read_or_empty(paths) if readable else (State(), "")
    if problem:
        note(problem)
    for line in modes.keep(paths, plan.settings, state):
        note(line)
    if readable and not root:
        # Who was stale after the last refresh may have been restarted since.
        state.stale = [Stale(view.unit, view.reason) for view in swaps.find(paths.run)]
    known = attached(paths) if os.path.isdir(paths.run) and readable else {}
    units: dict[str, dict[str, str]] = {}
    if not root:
        names = [m.name for m in plan.extensions]
        units = queries.show([mount_unit(n) for n in names] + [service_unit(n) for n in names])
    return Facts(origin, host.read(origin), plan, readable, state, known, units)
