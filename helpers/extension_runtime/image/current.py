#  SPDX-License-Identifier: MIT
"""Whether what is attached is what would be attached now."""

from __future__ import annotations

from extension_manifests import classes

from extension_runtime import boundary
from extension_runtime.image import content, find, identity, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.manifest import Manifest
    from extension_manifests.origin import Origin

    from extension_runtime.image.record import Record


def current_identity(root: str | Origin, manifest: Manifest) -> str:
    """The identity of the image that would be attached now, or "" when there is none."""
    try:
        with find.find(root, manifest.image, manifest.classes) as picked:
            return identity.identity(picked.fd)
    except Exception as error:
        boundary.reason(error, manifest.image)  # said when it is attached
        return ""


def current_hierarchies(root: str | Origin, manifest: Manifest) -> list[str]:
    """Which hierarchies the image that would be attached has; for a raw one, all that it may have."""
    try:
        with find.find(root, manifest.image, manifest.classes) as picked:
            if picked.kind == "directory":
                return content.hierarchies(picked.fd, manifest.classes, picked.path)
    except Exception as error:
        boundary.reason(error, manifest.image)
        return []
    return [name for class_ in classes.of(manifest.classes) for name in class_.hierarchies]


def is_current(root: str | Origin, manifest: Manifest, known: Record | None, insisted: bool = False) -> bool:
    """Whether what is attached is what would be attached now, and in the way it would be.

    `insisted`: it would be attached also if it were made for another host.
    """
    return (
        known is not None
        and known.state != "failed"
        and known.identity == current_identity(root, manifest)
        and known.options == _options(manifest)
        # Once more, when somebody insists on what was skipped, or nobody any more on what was forced.
        and not (known.state == "skipped" if insisted else known.excused)
    )


def _options(manifest: Manifest) -> str:
    try:
        return request.of_manifest("", manifest).options
    except Exception as error:
        boundary.reason(error, manifest.name)  # said when it is attached
        return ""
