#  SPDX-License-Identifier: MIT
"""What images are matched against: the operating system in a root and the machine, gathered once into one record."""

from __future__ import annotations

import errno
import os

from extension_manifests import errors
from extension_manifests.classes import CLASSES

from extension_runtime.image import osrelease
from extension_runtime.inputs import Inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from extension_manifests.origin import Origin

_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")

# uname's machine -> the name in release files and image names (systemd, src/basic/architecture.c)
_ARCHITECTURES = {
    "x86_64": "x86-64",
    "i386": "x86",
    "i486": "x86",
    "i586": "x86",
    "i686": "x86",
    "aarch64": "arm64",
    "aarch64_be": "arm64-be",
    "ppc64le": "ppc64-le",
    "ppcle": "ppc-le",
    "armv4l": "arm",
    "armv5tel": "arm",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "armv4b": "arm-be",
    "armv7b": "arm-be",
    "armv8b": "arm-be",
}


class Host:
    """An operating system and its machine, as far as images depend on them; texts are "" where os-release has none."""

    __slots__ = ("architecture", "confext_level", "id", "id_like", "scope", "sysext_level", "version_id")

    def __init__(
        self,
        id: str,
        id_like: tuple[str, ...] = (),
        version_id: str = "",
        sysext_level: str = "",
        confext_level: str = "",
        architecture: str = "x86-64",
        scope: str = "system",
    ) -> None:
        self.id = id
        self.id_like = id_like
        self.version_id = version_id
        self.sysext_level = sysext_level
        self.confext_level = confext_level
        self.architecture = architecture  # in systemd's words, such as x86-64
        self.scope = scope  # "system", or "initrd" in an initial RAM disk

    def level(self, class_: str) -> str:
        """The level that counts for images of `class_`."""
        found: str = getattr(self, f"{class_}_level")
        return found


def architecture(machine: str | None = None) -> str:
    """systemd's word for the architecture that uname(2) calls `machine` (default: this one)."""
    machine = os.uname().machine if machine is None else machine
    return _ARCHITECTURES.get(machine, machine)


def read(root: str | Origin) -> Host:
    """The host that lives in the directory `root`, without what is merged there.

    Raises ImageError for an os-release that cannot be read.
    """
    with Inputs(root) as inputs:
        fields: dict[str, str] = {}
        for path in _OS_RELEASE:
            try:
                fields = osrelease.parse(inputs.read_text(path, "/" + path, osrelease.SIZE_MAX), "/" + path)
                break
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise errors.ImageError(f"/{path}: {os.strerror(error.errno or 0)}") from None
        # As systemd tells an initrd (in_initrd()), but of this root and not of the running system.
        initrd = inputs.entry("etc/initrd-release") is not None
    return of(fields, "initrd" if initrd else "system")


def of(fields: Mapping[str, str], scope: str) -> Host:
    """The host that has this os-release(5) data, on this machine's processor."""
    levels = {f"{name}_level": fields.get(class_.level, "") for name, class_ in CLASSES.items()}
    like = tuple(fields.get("ID_LIKE", "").split())
    version = fields.get("VERSION_ID", "")
    return Host(fields.get("ID", ""), like, version, architecture=architecture(), scope=scope, **levels)
