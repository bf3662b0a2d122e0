#  SPDX-License-Identifier: MIT
"""Looks at an image without attaching it: is it sound, and does it match a system?

All of a directory can be seen; of a raw image only that it is a file system, unless it is mounted for a moment.
"""

from __future__ import annotations

import os

from extension_manifests import classes
from extension_manifests.errors import ExtensionError, printable

from extension_runtime.image import content, formats, host, osrelease, release
from extension_runtime.kernel import chase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from extension_runtime.image.find import Picked


class Probe:
    """What was seen of an image: its `format`, `version` and `hierarchies`; `mismatch`: why it is not for a system.

    `remarks`: what a person should know of it.
    """

    __slots__ = ("format", "hierarchies", "mismatch", "remarks", "version")

    def __init__(self, format_: str) -> None:
        self.format = format_
        self.hierarchies: tuple[str, ...] = ()
        self.mismatch = ""
        self.remarks: list[str] = []
        self.version = ""


def probe(picked: Picked, names: Collection[str], system: host.Host) -> Probe:
    """What is seen of an image of the classes `names`, and whether it is for `system`.

    Raises ExtensionError for an image that cannot be used.
    """
    if picked.kind == "raw":
        return Probe(_raw_format(picked))
    return judge(picked.fd, "directory", picked, names, system)


def probe_all(picked: Picked, system: host.Host) -> Probe:
    """As `probe`, for the classes that the image's release files make it; root sees into raw images, too.

    A raw image is mounted for that, but nowhere in the file system, and not for longer than this takes.
    """
    format_, tree = top_of(picked)
    if tree < 0:
        return Probe(format_)
    try:
        return judge(tree, format_, picked, classes_of(tree, picked), system)
    finally:
        os.close(tree)


def top_of(picked: Picked) -> tuple[str, int]:
    """The format of an image and a descriptor of its top directory, which the caller closes.

    That is -1 for a raw image and who is not root: only root can mount one.  Raises ExtensionError.
    """
    if picked.kind == "directory":
        return "directory", os.dup(picked.fd)
    if os.geteuid() != 0:
        return _raw_format(picked), -1
    from extension_runtime.image import mount
    from extension_runtime.kernel import syscalls

    attributes = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV
    return mount.mount_raw(picked.fd, attributes, picked.path)


def judge(tree: int, format_: str, picked: Picked, names: Collection[str], system: host.Host) -> Probe:
    """What is seen of the image `picked`, of which `tree` is a descriptor of its top directory."""
    picked.refuse_split()
    verdict = content.judge(tree, names, picked.name, picked.path, system)
    if verdict.problem is not None and not verdict.mismatch:
        raise verdict.problem
    found = Probe(format_)
    found.hierarchies, found.version, found.mismatch = verdict.hierarchies, verdict.version, verdict.mismatch
    found.remarks = verdict.remarks
    return found


def classes_of(tree: int, picked: Picked) -> tuple[str, ...]:
    """Which classes its release files make an image.  Raises ExtensionError when it has none."""
    found = tuple(n for n, class_ in classes.CLASSES.items() if chase.entry(tree, class_.releases) is not None)
    if not found:
        folders = [class_.releases for class_ in classes.CLASSES.values()]
        where = " or ".join(f"/{path}/{release.PREFIX}{picked.name}" for path in folders)
        raise ExtensionError(printable(f"{picked.path}: has no release file; an image needs {where}"))
    return found


def _raw_format(picked: Picked) -> str:
    try:
        fd = chase.reopen(picked.fd)
        with os.fdopen(fd, "rb", buffering=0) as file:
            head = file.read(formats.HEAD)
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise ExtensionError(printable(f"{picked.path}: {error.strerror}")) from None
    try:
        return formats.detect(head, size)
    except ExtensionError as error:
        raise ExtensionError(f"{picked.path}: {error}") from None


def system_of(path: str) -> host.Host:
    """The system that the os-release(5) file `path` tells of, on this machine's processor.  Raises ExtensionError."""
    root = chase.open_root("/")
    try:
        text = chase.read_text(root, os.path.abspath(path), path, osrelease.SIZE_MAX)
    except OSError as error:
        raise ExtensionError(printable(f"{path}: {error.strerror}")) from None
    finally:
        os.close(root)
    fields = osrelease.parse(text, path)
    return host.of(fields, "system")
