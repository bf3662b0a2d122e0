#  SPDX-License-Identifier: MIT
"""What is attached now, and whether it is what would be attached."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError

from extension_runtime.image import content, find, identity, record
from extension_runtime.kernel import mountinfo

TYPE_CHECKING = False

if TYPE_CHECKING:
    from extension_manifests.manifest import Manifest

    from extension_runtime.image.record import Record
    from extension_runtime.paths import Paths


def current_identity(root: str, manifest: Manifest) -> str:
    """The identity of the image that would be attached now, or "" when there is none."""
    try:
        with find.find(root or "/", manifest.image, manifest.classes) as picked:
            return identity.identity(picked.fd)
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


def is_current(root: str, manifest: Manifest, known: Record | None) -> bool:
    """Whether what is attached is what would be attached now."""
    return (
        known is not None
        and known.state != "failed"
        and known.identity == current_identity(root, manifest)
        and sorted(known.classes) == sorted(manifest.classes)
    )


def records(paths: Paths) -> dict[str, Record]:
    """What became of each image, by extension; what was attached and is no longer mounted is left out."""
    found = record.read_all(paths.attached)
    # Not os.path.ismount(): that does not know a bind within one file system.
    mounted = {mount.path for mount in mountinfo.read().mounts.values()}
    return {
        name: became
        for name, became in found.items()
        if became.state == "failed" or f"{paths.extension}/{name}" in mounted
    }
