#  SPDX-License-Identifier: MIT
"""The topmost layer of each overlay: empty folders with mode, owner and attributes of the base's.

An overlay shows those of the topmost folder of a name, so what images have there counts for nothing.  It is a file
system of its own that no namespace sees, and lives for as long as the overlay that is built on it.
"""

from __future__ import annotations

import errno
import os

from extension_runtime.kernel import syscalls
from extension_runtime.layers.outline import traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# A label that tmpfs does not take, or that only the kernel may write, is none that could count.
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.ENOSPC)


def build(base: str, folders: Iterable[str]) -> int:
    """A detached mount whose root is as the folder `base`, and in which `folders` (relative) are as those in `base`.

    A folder that the base has not, or not as a folder, is left out.  Raises OSError.
    """
    context = syscalls.fsopen("tmpfs")
    try:
        syscalls.fsconfig_string(context, "source", "extensions-skeleton")
        syscalls.fsconfig_string(context, "mode", "0700")
        syscalls.fsconfig_create(context)
        tree = syscalls.fsmount(context, syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID)
    finally:
        os.close(context)
    try:
        root = f"/proc/self/fd/{tree}"
        _take_after(f"{root}/.", base)
        for folder in _with_parents(folders):
            inside = f"{base}/{folder}"
            if os.path.isdir(inside) and not os.path.islink(inside):
                os.mkdir(f"{root}/{folder}", 0o700)
                _take_after(f"{root}/{folder}", inside)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _with_parents(folders: Iterable[str]) -> list[str]:
    """`folders` and all they are in, parents first."""
    found: set[str] = set()
    for folder in folders:
        parts = folder.strip("/").split("/")
        found.update("/".join(parts[:end]) for end in range(1, len(parts) + 1))
    return sorted(found - {""})


def _take_after(path: str, model: str) -> None:
    """Give the folder `path` owner, attributes and mode of the folder `model`."""
    wanted = traits(model)
    os.chown(path, wanted.uid, wanted.gid)
    for name, value in wanted.labels.items():
        try:
            os.setxattr(path, name, value)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
    # Last: chown drops bits of it, and an attribute with an access list changes it.
    os.chmod(path, wanted.mode)
