#  SPDX-License-Identifier: MIT
"""The topmost layer of each overlay: empty folders with mode, owner and attributes of the base's.

An overlay shows those of the topmost folder of a name, so what images have there counts for nothing.  It is a file
system of its own that no namespace sees, and lives for as long as the overlay that is built on it.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_runtime.kernel import syscalls
from extension_runtime.layers.outline import traits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A label that tmpfs does not take, or that only the kernel may write, is none that could count.
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.ENOSPC)


def build(base: str, folders: Iterable[str], layers: Sequence[str] = (), imported: str = "") -> int:
    """A detached mount whose root is as the folder `base`, and in which `folders` (relative) are as those in `base`.

    What people wrote counts more: a folder is as that in `imported`, where an upper is, that has it.  One that the base
    has not, or not as a folder, is left out; and one that the `layers` below, highest first, do not show as a folder,
    for in the skeleton it would hide what they have, or come back.  Raises OSError.
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
        take_after(f"{root}/.", base)
        above = [imported] if imported else []
        shown: dict[str, Sequence[str]] = {"": [*above, *layers, base]}
        made = {""}
        for folder in _with_parents(folders):
            parent, _, name = folder.rpartition("/")
            shown[folder] = _merged(shown[parent], name)
            inside = f"{base}/{folder}"
            if shown[folder] and parent in made and os.path.isdir(inside) and not os.path.islink(inside):
                os.mkdir(f"{root}/{folder}", 0o700)
                made.add(folder)
                own = f"{imported}/{folder}"
                take_after(f"{root}/{folder}", own if own in shown[folder] else inside)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _merged(parents: Sequence[str], name: str) -> list[str]:
    """The folders, highest first, that an overlay shows as one at `name` in the folder that it makes of `parents`."""
    found: list[str] = []
    for parent in parents:
        path = f"{parent}/{name}"
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                break
            found.append(path)
            if traits(path).bent:
                break
        except FileNotFoundError:
            continue
    return found


def _with_parents(folders: Iterable[str]) -> list[str]:
    """`folders` and all they are in, parents first."""
    found: set[str] = set()
    for folder in folders:
        parts = folder.strip("/").split("/")
        found.update("/".join(parts[:end]) for end in range(1, len(parts) + 1))
    return sorted(found - {""})


def take_after(path: str, model: str) -> None:
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
