#  SPDX-License-Identifier: MIT
"""Brings the attached images up to date: by PID 1 on the running machine, right here on another root.

On the running machine each image is a mount unit, so that PID 1 decides on conditions, order and needs; a unit is
only restarted when its image is another one than the one attached.
"""

from __future__ import annotations

import os

from extension_manifests.escape import mount_unit

from extension_runtime.files import replace
from extension_runtime.image import attach
from extension_runtime.image.current import is_current
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge.choose import Candidate
from extension_runtime.merge.mountunits import Units, call_units
from extension_runtime.paths import Paths
from extension_runtime.steps import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from extension_manifests.manifest import Manifest


class Attach(Step):
    """Shared by both ways of attaching: what was attached before is kept until the end, to be put back."""

    def __init__(self, name: str, text: str, places: Paths) -> None:
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

    def __init__(self, places: Paths, manifest: Manifest) -> None:
        super().__init__(f"attach:{manifest.name}", f"attach {manifest.name}: {manifest.image}", places)
        self._manifest = manifest

    def do(self) -> None:
        self.remember([self._manifest.name])
        try:
            attach.attach(_request(self._places, self._manifest))
        except BaseException:
            self.undo()
            raise


def _request(places: Paths, manifest: Manifest) -> attach.Request:
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

    def __init__(self, places: Paths, manifests: Sequence[Manifest]) -> None:
        names = ", ".join(manifest.name for manifest in manifests)
        super().__init__("attach:renew", f"attach what is new of {names}", places)
        self._manifests = manifests

    def do(self) -> None:
        self.remember([manifest.name for manifest in self._manifests])
        try:
            rest = [m.name for m in self._manifests if not attach.renew(_request(self._places, m))]
            if rest:
                call_units("restart", rest)
        except BaseException:
            self.undo()
            raise


class AttachUnits(Attach):
    """Starts mount units in one call; what becomes of each is asked afterwards."""

    waits = True

    def __init__(self, places: Paths, verb: str, names: Sequence[str]) -> None:
        super().__init__(f"attach:{verb}", f"{verb} the mounts of {', '.join(names)}", places)
        self._verb = verb
        self._names = names

    def do(self) -> None:
        self.remember(self._names)
        try:
            call_units(self._verb, self._names)
        except BaseException:
            self.undo()
            raise


def stale_names(places: Paths, known: Iterable[str]) -> list[str]:
    """The extensions that are attached, but have no manifest any more or are masked."""
    try:
        names = os.listdir(places.attached)
    except FileNotFoundError:
        return []
    recorded = {name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")}
    return sorted(recorded - set(known))


def detach(places: Paths, names: Sequence[str]) -> None:
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


def candidates(places: Paths, manifests: Sequence[Manifest], booting: bool) -> list[Candidate]:
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


def steps(places: Paths, manifests: Sequence[Manifest], always: bool) -> list[Attach]:
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
