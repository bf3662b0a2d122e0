#  SPDX-License-Identifier: MIT
"""Whether what is attached is what would be attached now."""

from __future__ import annotations

from extension_manifests import classes
from extension_manifests.errors import ExtensionError

from extension_runtime.image import content, find, identity, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.manifest import Manifest

    from extension_runtime.image.record import Record


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
    return [name for class_ in classes.of(manifest.classes) for name in class_.hierarchies]


def is_current(root: str, manifest: Manifest, known: Record | None) -> bool:
    """Whether what is attached is what would be attached now, and in the way it would be."""
    return (
        known is not None
        and known.state != "failed"
        and known.identity == current_identity(root, manifest)
        and known.options == request.of_manifest(root, manifest).options
    )
