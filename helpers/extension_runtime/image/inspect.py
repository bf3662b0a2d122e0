#  SPDX-License-Identifier: MIT
"""Looks at an image without attaching it: is it sound, and does it match a system?

All of a directory can be seen; of a raw image only that it is a file system, unless it is mounted for a moment.
"""

from __future__ import annotations

import os

from extension_manifests.errors import ExtensionError, printable

from extension_runtime.image import content, formats, host, osrelease, release
from extension_runtime.kernel import chase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from extension_runtime.image.find import Picked


class Verdict:
    """What an image is: `format`, `version`, `hierarchies` as far as they can be seen; `mismatch`: a reason or ""."""

    __slots__ = ("format", "hierarchies", "mismatch", "version")

    def __init__(self, format_: str) -> None:
        self.format = format_
        self.hierarchies: tuple[str, ...] = ()
        self.mismatch = ""
        self.version = ""


def probe(picked: Picked, classes: Iterable[str], system: host.Host) -> Verdict:
    """The verdict on an image of `classes` for `system`.  Raises ExtensionError for an image that cannot be used."""
    if picked.kind == "raw":
        return Verdict(_raw_format(picked))
    return _judge(picked.fd, "directory", picked, classes, system)


def probe_all(picked: Picked, system: host.Host) -> Verdict:
    """As `probe`, for the classes that the image's release files make it; root sees into raw images, too.

    A raw image is mounted for that, but nowhere in the file system, and not for longer than this takes.
    """
    if picked.kind == "directory":
        return _judge(picked.fd, "directory", picked, classes_of(picked.fd, picked), system)
    if os.geteuid() != 0:
        return Verdict(_raw_format(picked))
    from extension_runtime.image import mount
    from extension_runtime.kernel import syscalls

    attributes = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV
    format_, tree = mount.mount_raw(picked.fd, attributes, picked.path)
    try:
        return _judge(tree, format_, picked, classes_of(tree, picked), system)
    finally:
        os.close(tree)


def _judge(tree: int, format_: str, picked: Picked, classes: Iterable[str], system: host.Host) -> Verdict:
    """The verdict on the image `picked`, of which `tree` is a descriptor of its top directory."""
    wanted = list(classes)
    verdict = Verdict(format_)
    verdict.hierarchies = tuple(content.hierarchies(tree, wanted, picked.path))
    content.refuse_forbidden(tree, wanted, picked.path)
    for class_ in wanted:
        data = content.read_release(tree, class_, picked.name, picked.path)
        verdict.version = verdict.version or printable(data.get("IMAGE_VERSION", ""))
        try:
            content.require_match(data, system, class_, picked.path)
        except content.MismatchError as error:
            verdict.mismatch = str(error)
            break
    return verdict


def classes_of(tree: int, picked: Picked) -> tuple[str, ...]:
    """Which classes its release files make an image.  Raises ExtensionError when it has none."""
    found = tuple(class_ for class_, path in release.DIRECTORIES.items() if chase.entry(tree, path) is not None)
    if not found:
        where = " or ".join(f"/{path}/{release.PREFIX}{picked.name}" for path in release.DIRECTORIES.values())
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
    return host.Host(
        fields.get("ID", ""),
        tuple(fields.get("ID_LIKE", "").split()),
        fields.get("VERSION_ID", ""),
        fields.get("SYSEXT_LEVEL", ""),
        fields.get("CONFEXT_LEVEL", ""),
        host.architecture(),
        "system",
    )
