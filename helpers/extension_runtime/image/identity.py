#  SPDX-License-Identifier: MIT
"""Tells whether an image is still the one that it was."""

from __future__ import annotations

import os
import stat

from extension_manifests.classes import CLASSES

from extension_runtime.kernel import chase

_TELLING = tuple(
    "/".join(parts[:end])
    for class_ in CLASSES.values()
    for name in class_.hierarchies
    for parts in [(class_.releases if class_.releases.startswith(f"{name}/") else name).split("/")]
    for end in range(1, len(parts) + 1)
)
"""Every folder down to the release files: "usr", "usr/lib", ..., "opt", "etc", ...  In this order, which is kept."""


def identity(fd: int) -> str:
    """A text that differs when the image that `fd` is a descriptor of is another or was written to.

    Device, inode, size and time of change; for a directory those of its top and of its release files, too: what
    changes deeper inside is not seen.  Raises OSError.
    """
    info = os.fstat(fd)
    parts = [f"{info.st_dev:x}:{info.st_ino:x}:{info.st_size:x}:{info.st_ctime_ns:x}"]
    if not stat.S_ISDIR(info.st_mode):
        return parts[0]
    for path in _TELLING:
        found = chase.entry(fd, path)
        parts.append(f"{found.st_ino:x}:{found.st_ctime_ns:x}" if found else "-")
        if found and path.endswith(".d") and stat.S_ISDIR(found.st_mode):
            for name in chase.listing(fd, path):
                release = chase.entry(fd, f"{path}/{name}")
                parts.append(f"{release.st_ino:x}:{release.st_ctime_ns:x}" if release else "-")
    return ",".join(parts)
