#  SPDX-License-Identifier: MIT
"""Decides what changed paths mean for units: which are stopped, started, restarted or reloaded, and why.

Reads unit files through views and what PID 1 said from a record; asks and changes nothing.
"""

from __future__ import annotations

from extension_manifests.names import is_unit

from extension_runtime.layers.compare import Changed
from extension_runtime.pid1.properties import argument_paths, library_folders, program_paths
from extension_runtime.pid1.units import never
from extension_runtime.react.unitfiles import LINKS, MERGED, USER, dropin_folders, instance_of
from extension_runtime.react.wish import RELOAD, RESTART, START, STOP, Machine, Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_runtime.react.unitfiles import UnitFiles


ON_CHANGE = "X-Extensions-OnChange"  # restart, reload or none, in a unit's [Unit] section
WATCH = "X-Extensions-Watch"  # paths; what changes at or below them restarts the unit
RELOADING = (
    *MERGED,
    "/etc/systemd/system-generators",
    "/usr/lib/systemd/system-generators",
    "/usr/local/lib/systemd/system-generators",
)
"""What PID 1 only sees after a reload."""


class Effect:
    """`wishes` in the order they came up, `notes` for people, and whether PID 1 must `reload`."""

    __slots__ = ("notes", "reload", "wishes")

    def __init__(self) -> None:
        self.wishes: list[Wish] = []
        self.notes: list[str] = []
        self.reload = False


def decide(changes: Sequence[Changed], old: UnitFiles, new: UnitFiles, machine: Machine) -> Effect:
    """What `changes` mean, with the unit files of before and after, on a machine that is running."""
    return _Decision(changes, old, new, machine).verdict()


def needs_reload(changes: Sequence[Changed]) -> bool:
    """Whether PID 1 must read its units again to know what changed."""
    return any(change.path.startswith(tuple(f"{d}/" for d in RELOADING)) for change in changes)


def added(changes: Sequence[Changed], old: UnitFiles, new: UnitFiles) -> dict[str, str]:
    """Units that can be loaded now and could not before, to the extension that brought them."""
    found: dict[str, str] = {}
    for change in changes:
        folder, _, name = change.path.rpartition("/")
        if folder in MERGED and is_unit(name) and new.exists(name) and not old.exists(name):
            found.setdefault(name, change.extension)
    return found


def wanted(changes: Sequence[Changed], fresh: Mapping[str, str], new: UnitFiles, machine: Machine) -> list[Wish]:
    """Starts of what is now pulled in by something active or queued: by a new link, or a link to a fresh unit."""
    links = {change.path: change.extension for change in changes if change.kind != "removed"}
    found: dict[str, Wish] = {}
    for link in new.links():
        from_template = next((t for t in fresh if instance_of(link.child, t)), "")
        extension = links.get(link.path, fresh.get(link.child, fresh.get(from_template, "")))
        if link.path not in links and link.child not in fresh and not from_template:
            continue
        child, parent = new.canonical(link.child), new.canonical(link.parent)
        if is_unit(child) and machine.due(parent) and not machine.running(child) and new.exists(child):
            found.setdefault(child, Wish(START, child, f"wanted by {parent}", extension))
    return [found[unit] for unit in sorted(found)]


class _Decision:
    __slots__ = ("changes", "machine", "new", "old", "out", "paths", "seen")

    def __init__(self, changes: Sequence[Changed], old: UnitFiles, new: UnitFiles, machine: Machine) -> None:
        self.changes = changes
        self.old = old
        self.new = new
        self.machine = machine
        self.paths = {change.path: change for change in changes}
        self.out = Effect()
        self.seen: set[str] = set()

    def verdict(self) -> Effect:
        self.out.reload = needs_reload(self.changes)
        for change in self.changes:
            folder, _, name = change.path.rpartition("/")
            parent, _, inner = folder.rpartition("/")
            if folder in MERGED and is_unit(name):
                self.fragment(name, change)
            elif parent in MERGED and inner.endswith(".d") and name.endswith(".conf"):
                self.dropin(inner.removesuffix(".d"), change)
            elif folder in USER or (parent in USER and not inner.endswith(LINKS)):
                self.note(
                    f"{change.path} {change.kind}: a unit of users; they see it after systemctl --user daemon-reload"
                )
        if any(not change.path.startswith(tuple(f"{d}/" for d in MERGED)) for change in self.changes):
            self.programs()
        self.lost()
        fresh = added(self.changes, self.old, self.new)
        for wish in wanted(self.changes, fresh, self.new, self.machine):
            self.start(wish)
        return self.out

    def note(self, text: str) -> None:
        if text not in self.out.notes:
            self.out.notes.append(text)

    def fragment(self, name: str, change: Changed) -> None:
        """A unit file came, went or changed, if it is the one that counts."""
        before, after = self.old.exists(name), self.new.exists(name)
        if before and not after:
            if self.old.canonical(name) != name:
                return
            why = "is masked now" if self.new.masked(name) else "is gone"
            for unit in self.machine.instances(name):
                if self.machine.running(unit) and not self.new.exists(unit):
                    self.wish(STOP, unit, f"its unit file {why}", change)
        elif after and self.new.canonical(name) == name:
            # Not before, and running: the old image was a directory that somebody has removed already.
            path = self.new.fragment(name)
            if path in self.paths or path != self.old.fragment(name):
                for unit in self.machine.instances(name):
                    self.altered(unit, "its unit file changed", change)

    def lost(self) -> None:
        """What runs from a file that neither view has: its image was a directory that somebody has removed already."""
        for unit, properties in sorted(self.machine.properties.items()):
            folder, _, name = properties.get("FragmentPath", "").rpartition("/")
            folder = self.new.view.resolve(folder) or folder  # /lib/systemd/system on systemd 252 of Debian
            path = f"{folder}/{name}"
            ours = folder in MERGED and self.new.view.node(path) is not None
            if ours and self.machine.running(unit) and not self.old.fragment(unit) and not self.new.fragment(unit):
                self.wish(STOP, unit, "its unit file is gone", Changed(path, "removed", ""))

    def dropin(self, name: str, change: Changed) -> None:
        """A drop-in came, went or changed; `name` is a unit, a template, a prefix as "foo-.service", or a type."""
        if name in ("service", "socket", "timer", "path", "mount", "target", "slice", "scope", "automount", "swap"):
            self.note(f"{change.path} {change.kind}: counts for each {name} from its next start")
            return
        folder = f"{name}.d"
        units = self.machine.instances(name)
        if name.rpartition(".")[0].endswith("-"):
            units = sorted(unit for unit in self.machine.units if folder in dropin_folders(unit))
        for unit in units:
            before, after = self.old.dropins(unit), self.new.dropins(unit)
            # Another file of its name, with precedence, would make it count for nothing.
            if before != after or change.path in after:
                self.altered(unit, f"its drop-in {change.path.rpartition('/')[2]} {_did(change.kind)}", change)

    def altered(self, unit: str, why: str, change: Changed) -> None:
        """`unit` is not what runs any more."""
        state = self.machine.units.get(unit)
        if not self.new.exists(unit) or self.new.canonical(unit) != unit or state is None:
            return
        if state.active == "failed":
            self.wish(START, unit, f"it has failed, and {why}", change)
        if not state.running:
            return
        choice = (self.new.words(unit, ON_CHANGE) or [""])[-1]
        kind = unit.rpartition(".")[2]
        if choice == "none":
            self.note(f"{unit} runs on as it is: {why}, but {ON_CHANGE}=none")
        elif choice == "reload" or (not choice and kind == "mount"):
            self.wish(RELOAD, unit, why, change)
        elif self.new.says(unit, "RefuseManualStop"):
            self.note(f"{unit} takes it up at the next boot: {why}, but it refuses to be stopped")
        elif kind not in ("service", "socket", "timer", "path") or (not choice and never(unit)):
            self.note(f"{unit} is left running: {why}, but its restart would do harm; the next start takes it up")
        elif choice not in ("", "restart"):
            self.note(f"{unit}: {ON_CHANGE}={choice} is none of restart, reload, none; taken for restart")
            self.wish(RESTART, unit, why, change)
        else:
            self.wish(RESTART, unit, why, change)

    def programs(self) -> None:
        """Services that run, or watch, what changed."""
        for unit, properties in sorted(self.machine.properties.items()):
            if not self.machine.running(unit) or not unit.endswith(".service"):
                continue
            program = next((path for path in program_paths(properties) if self.vanished(path)), "")
            found = self.used(properties) or self.watched(unit)
            if program:
                self.wish(STOP, unit, f"its program {program} is gone", self.paths[program])
            elif found is not None:
                path, change = found
                self.altered(unit, f"{path} {_did(change.kind)}", change)

    def used(self, properties: Mapping[str, str]) -> tuple[str, Changed] | None:
        """The first changed path among the unit's commands, their arguments and its library directories."""
        for path in (*program_paths(properties), *argument_paths(properties)):
            if self.vanished(path):
                continue  # a restart without it cannot be any better
            for name in (path, self.old.view.resolve(path) or path, self.new.view.resolve(path) or path):
                if name in self.paths and self.paths[name].kind != "added":
                    return path, self.paths[name]
                if name in self.paths and name != path:
                    return path, self.paths[name]
        for folder in library_folders(properties.get("Environment", "")):
            for path, change in self.paths.items():
                if path.startswith(folder + "/"):
                    return path, change
        return None

    def vanished(self, path: str) -> bool:
        return path in self.paths and self.new.view.resolve(path) is None

    def watched(self, unit: str) -> tuple[str, Changed] | None:
        for folder in self.new.words(unit, WATCH):
            base = folder.rstrip("/")
            for path, change in self.paths.items():
                if path == base or path.startswith(base + "/"):
                    return path, change
        return None

    def start(self, wish: Wish) -> None:
        if self.new.says(wish.unit, "RefuseManualStart"):
            self.note(f"{wish.unit} is not started: it refuses that; the next boot does")
        elif wish.unit not in self.seen:
            self.seen.add(wish.unit)
            self.out.wishes.append(wish)

    def wish(self, verb: str, unit: str, why: str, change: Changed) -> None:
        if unit not in self.seen:
            self.seen.add(unit)
            self.out.wishes.append(Wish(verb, unit, why, change.extension))


def _did(kind: str) -> str:
    return {"added": "was added", "removed": "is gone", "modified": "changed"}[kind]
