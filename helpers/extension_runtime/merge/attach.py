#  SPDX-License-Identifier: MIT
"""The steps that bring the attached images up to date: by PID 1 on the running machine, right here on another root.

On the running machine each image is a mount unit, so that PID 1 decides on conditions, order and needs; a unit is
only restarted when its image is another one than the one attached.
"""

from __future__ import annotations

import os

from extension_runtime import boundary
from extension_runtime.files import StateError, read, replace
from extension_runtime.image import attach, request
from extension_runtime.image.record import UNKNOWN, Record
from extension_runtime.image.records import SIZE_MAX
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge.mountunits import bring
from extension_runtime.paths import Paths
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.pid1.systemctl import Systemd


class Attach(Step):
    """Shared by both ways of attaching: what was attached before is kept until the end, to be put back."""

    def __init__(self, name: str, text: str, paths: Paths) -> None:
        super().__init__(name, text)
        self._paths = paths
        self._records: dict[str, str | None] = {}
        self._trees: dict[str, int] = {}

    def remember(self, names: Iterable[str]) -> None:
        """Keep what is attached for `names`, and the records of it, as they are."""
        for name in names:
            try:
                self._records[name] = read(f"{self._paths.attached}/{name}.json", SIZE_MAX)
            except (FileNotFoundError, StateError):
                self._records[name] = None  # one that cannot be read says nothing that is worth keeping
            # Not the layer of the last merge: what is attached may be newer than that.
            target = f"{self._paths.extension}/{name}"
            if mountinfo.is_mount_point(target):
                self._trees[name] = syscalls.open_tree(target)

    def undo(self) -> None:
        for name, text in self._records.items():
            attach.detach(self._paths, name)
            if name in self._trees:
                target = f"{self._paths.extension}/{name}"
                os.makedirs(target, 0o755, exist_ok=True)
                syscalls.move_mount(self._trees[name], target)
            if text is not None:
                replace(f"{self._paths.attached}/{name}.json", text)
        self.close()

    def close(self) -> None:
        """Let go of what was attached before."""
        for tree in self._trees.values():
            os.close(tree)
        self._trees.clear()


class AttachHere(Attach):
    """Attaches the image of one extension on a root whose PID 1 is not spoken to.

    What fails, be it a mistake of this program, fails for this extension alone: what became of it is in its record or,
    where none could be written, in `failed`, by name.
    """

    def __init__(self, paths: Paths, manifest: Manifest, failed: dict[str, Record]) -> None:
        super().__init__(f"attach:{manifest.name}", f"attach {manifest.name}: {manifest.image}", paths)
        self._manifest = manifest
        self._failed = failed

    def do(self) -> None:
        name = self._manifest.name
        try:
            self.remember([name])
            attach.attach(request.of_manifest(self._paths.root, self._manifest))
        except Exception as error:
            self.undo()
            self._failed[name] = Record(name, "failed", boundary.reason(error, name), identity=UNKNOWN)
        except BaseException:
            self.undo()
            raise


class Renew(Attach):
    """Puts new images in the place of those that are attached, while their units stay active.

    PID 1 sees only so many changes of the mount table a second, so that restarting a mount may take it one.  Units
    whose image cannot be attached are restarted all the same, to fail and say why.
    """

    waits = True

    def __init__(self, paths: Paths, manifests: Sequence[Manifest], systemd: Systemd) -> None:
        names = ", ".join(manifest.name for manifest in manifests)
        super().__init__("attach:renew", f"attach what is new of {names}", paths)
        self._manifests = manifests
        self._systemd = systemd

    def do(self) -> None:
        self.remember([manifest.name for manifest in self._manifests])
        try:
            rest = [manifest.name for manifest in self._manifests if not self._renew(manifest)]
            if rest:
                bring(self._systemd, "restart", rest)
        except BaseException:
            self.undo()
            raise

    def _renew(self, manifest: Manifest) -> bool:
        try:
            return attach.renew(request.of_manifest(self._paths.root, manifest))
        except Exception as error:
            boundary.reason(error, manifest.name)
            return False


class AttachUnits(Attach):
    """Starts mount units in one call; what becomes of each is asked afterwards."""

    waits = True

    def __init__(self, paths: Paths, verb: str, names: Sequence[str], systemd: Systemd) -> None:
        super().__init__(f"attach:{verb}", f"{verb} the mounts of {', '.join(names)}", paths)
        self._verb = verb
        self._names = names
        self._systemd = systemd

    def do(self) -> None:
        self.remember(self._names)
        try:
            bring(self._systemd, self._verb, self._names)
        except BaseException:
            self.undo()
            raise
