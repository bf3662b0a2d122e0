#  SPDX-License-Identifier: MIT
"""Brings the attached images up to date: by PID 1 on the running machine, right here on another root.

On the running machine each image is a mount unit, so that PID 1 decides on conditions, order and needs; a unit is
only restarted when its image is another one than the one attached.
"""

from __future__ import annotations

import os

from extension_manifests.errors import ExtensionError
from extension_manifests.escape import mount_unit

from extension_runtime.image import attach, content, find
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge.choose import Candidate
from extension_runtime.merge.state import replace
from extension_runtime.paths import Places
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.image.record import Record

_PROPERTIES = "Id,LoadState,ActiveState,ConditionResult,ConditionTimestampMonotonic,Result,WantedBy,RequiredBy"


def current_identity(root: str, manifest: Manifest) -> str:
    """The identity of the image that would be attached now, or "" when there is none."""
    try:
        with find.find(root or "/", manifest.image, manifest.classes) as picked:
            return find.identity(picked.fd)
    except ExtensionError:
        return ""


def current_hierarchies(root: str, manifest: Manifest) -> list[str]:
    """Which hierarchies the image that would be attached has; for a raw one, all that it may have."""
    try:
        with find.find(root or "/", manifest.image, manifest.classes) as picked:
            if picked.kind == "directory":
                return content.hierarchies(picked.fd, manifest.classes, picked.path)
    except ExtensionError:
        return []
    return [name for class_, names in content.HIERARCHIES.items() if class_ in manifest.classes for name in names]


def is_current(root: str, manifest: Manifest, record: Record | None) -> bool:
    """Whether what is attached is what would be attached now."""
    return (
        record is not None
        and record.state != "failed"
        and record.identity == current_identity(root, manifest)
        and sorted(record.classes) == sorted(manifest.classes)
    )


class Attach(Step):
    """Shared by both ways of attaching: what was attached before is kept until the end, to be put back."""

    def __init__(self, name: str, text: str, places: Places) -> None:
        super().__init__(name, text)
        self._places = places
        self._records: dict[str, str | None] = {}
        self._trees: dict[str, int] = {}

    def remember(self, names: Iterable[str]) -> None:
        """Keep what is attached for `names`, and the records of it, as they are."""
        for name in names:
            try:
                with open(f"{self._places.attached}/{name}.json", encoding="ascii") as file:
                    self._records[name] = file.read()
            except FileNotFoundError:
                self._records[name] = None
            # Not the layer of the last merge: what is attached may be newer than that.
            target = f"{self._places.extension}/{name}"
            if mountinfo.is_mount_point(target):
                self._trees[name] = syscalls.open_tree(target)

    def undo(self) -> None:
        for name, text in self._records.items():
            attach.detach(self._places, name)
            if name in self._trees:
                target = f"{self._places.extension}/{name}"
                os.makedirs(target, 0o755, exist_ok=True)
                syscalls.move_mount(self._trees[name], target)
            if text is not None:
                replace(f"{self._places.attached}/{name}.json", text)
        self.close()

    def close(self) -> None:
        """Let go of what was attached before."""
        for tree in self._trees.values():
            os.close(tree)
        self._trees.clear()


class AttachHere(Attach):
    """Attaches the image of one extension on a root whose PID 1 is not spoken to."""

    def __init__(self, places: Places, manifest: Manifest) -> None:
        super().__init__(f"attach:{manifest.name}", f"attach {manifest.name}: {manifest.image}", places)
        self._manifest = manifest

    def do(self) -> None:
        self.remember([self._manifest.name])
        try:
            attach.attach(_request(self._places, self._manifest))
        except BaseException:
            self.undo()
            raise


def _request(places: Places, manifest: Manifest) -> attach.Request:
    return attach.Request(
        places.root,
        manifest.name,
        manifest.image,
        manifest.classes,
        manifest.mismatch,
        manifest.noexec,
        manifest.nosuid,
    )


class Renew(Attach):
    """Puts new images in the place of those that are attached, while their units stay active.

    PID 1 sees only so many changes of the mount table a second, so that restarting a mount may take it one.  Units
    whose image cannot be attached are restarted all the same, to fail and say why.
    """

    waits = True

    def __init__(self, places: Places, manifests: Sequence[Manifest]) -> None:
        names = ", ".join(manifest.name for manifest in manifests)
        super().__init__("attach:renew", f"attach what is new of {names}", places)
        self._manifests = manifests

    def do(self) -> None:
        self.remember([manifest.name for manifest in self._manifests])
        try:
            rest = [m.name for m in self._manifests if not attach.renew(_request(self._places, m))]
            if rest:
                _call_units("restart", rest)
        except BaseException:
            self.undo()
            raise


def _call_units(verb: str, names: Sequence[str]) -> None:
    from extension_runtime.pid1 import commands

    units = [mount_unit(name) for name in names]
    commands.run(["systemctl", "reset-failed", "--", *units], check=False)
    commands.run(["systemctl", verb, "--", *units], check=False, timeout=None)


class AttachUnits(Attach):
    """Starts mount units in one call; what becomes of each is asked afterwards."""

    waits = True

    def __init__(self, places: Places, verb: str, names: Sequence[str]) -> None:
        super().__init__(f"attach:{verb}", f"{verb} the mounts of {', '.join(names)}", places)
        self._verb = verb
        self._names = names

    def do(self) -> None:
        self.remember(self._names)
        try:
            _call_units(self._verb, self._names)
        except BaseException:
            self.undo()
            raise


class Units:
    """How PID 1 sees the mount units of some extensions."""

    def __init__(self, names: Sequence[str]) -> None:
        from extension_runtime.pid1 import commands

        self._by_name: dict[str, dict[str, str]] = {}
        if names:
            units = [mount_unit(name) for name in names]
            shown = commands.run(["systemctl", "show", f"--property={_PROPERTIES}", "--", *units]).stdout
            for name, block in zip(names, shown.strip("\n").split("\n\n"), strict=True):
                pairs = (line.partition("=") for line in block.splitlines())
                self._by_name[name] = {key: value for key, _equals, value in pairs}
        targets = sorted({word for name in names for word in self._wanting(name)})
        self._active: set[str] = set()
        if targets:
            shown = commands.run(["systemctl", "show", "--property=ActiveState", "--value", "--", *targets]).stdout
            states = shown.split("\n\n")
            self._active = {t for t, s in zip(targets, states, strict=True) if s.strip() in ("active", "activating")}

    def _wanting(self, name: str) -> list[str]:
        found = self._by_name[name]
        return f"{found.get('WantedBy', '')} {found.get('RequiredBy', '')}".split()

    def active(self, name: str) -> bool:
        """Whether the image is attached by its unit."""
        return self._by_name[name].get("ActiveState") in ("active", "reloading")

    def loaded(self, name: str) -> bool:
        """Whether PID 1 knows the unit."""
        return self._by_name[name].get("LoadState") in ("loaded", "bad-setting", "error")

    def wanted(self, name: str) -> bool:
        """Whether something that is active, or about to be, asks for it."""
        return any(word in self._active for word in self._wanting(name))

    def held_back(self, manifest: Manifest, booting: bool) -> str:
        """Why PID 1 has not even tried to attach it, or "" when it has."""
        found = self._by_name[manifest.name]
        if not self.loaded(manifest.name):
            return "its unit is not loaded; run 'systemctl daemon-reload'"
        if self.active(manifest.name) or found.get("ActiveState") == "failed":
            return ""
        if found.get("ConditionTimestampMonotonic", "0") != "0" and found.get("ConditionResult") == "no":
            return f"a condition is not met: {', '.join(_conditions(manifest)) or 'see systemctl status of its mount'}"
        if found.get("Result") not in ("success", ""):
            return ""
        if not booting and not self.wanted(manifest.name):
            wanting = " ".join(manifest.wanted_by + manifest.required_by) or "nothing"
            return f"not wanted by an active unit ([Install] names {wanting})"
        return "PID 1 did not attach it: a unit that it needs failed, conflicts with it, or it was stopped"


def _conditions(manifest: Manifest) -> list[str]:
    return [f"{key}={value}" for key, value in manifest.unit if key.startswith("Condition")]


def stale_names(places: Places, known: Iterable[str]) -> list[str]:
    """The extensions that are attached, but have no manifest any more or are masked."""
    try:
        names = os.listdir(places.attached)
    except FileNotFoundError:
        return []
    recorded = {name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")}
    return sorted(recorded - set(known))


def detach(places: Places, names: Sequence[str]) -> None:
    """Take off the images of `names`; what is merged keeps its own hold of them until the next merge."""
    if not names:
        return
    if places.live:
        from extension_runtime.pid1 import commands

        units = [mount_unit(name) for name in names]
        commands.run(["systemctl", "stop", "--", *units], check=False)
        commands.run(["systemctl", "reset-failed", "--", *units], check=False)
    for name in names:
        attach.detach(places, name)


def candidates(places: Places, manifests: Sequence[Manifest], booting: bool) -> list[Candidate]:
    """Each extension as it is attached now."""
    records = attach.records(places)
    if not places.live:
        return [Candidate(manifest, records.get(manifest.name)) for manifest in manifests]
    units = Units([manifest.name for manifest in manifests])
    result = []
    for manifest in manifests:
        held_back = units.held_back(manifest, booting)
        result.append(Candidate(manifest, None if held_back else records.get(manifest.name), held_back))
    return result


def steps(places: Places, manifests: Sequence[Manifest], always: bool) -> list[Attach]:
    """What has to be done so that the images which are attached are those that are there now."""
    records = attach.records(places)
    fresh = {
        manifest.name: not always and is_current(places.root, manifest, records.get(manifest.name))
        for manifest in manifests
    }
    if not places.live:
        return [AttachHere(places, manifest) for manifest in manifests if not fresh[manifest.name]]
    units = Units([manifest.name for manifest in manifests])
    renew = [m for m in manifests if units.active(m.name) and not fresh[m.name]]
    start = [name for name in fresh if not units.active(name) and units.loaded(name) and units.wanted(name)]
    found: list[Attach] = []
    if renew:
        found.append(Renew(places, renew))
    if start:
        found.append(AttachUnits(places, "start", start))
    return found
