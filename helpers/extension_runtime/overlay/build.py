#  SPDX-License-Identifier: MIT
"""Builds overlays, detached.  Rules measured on kernels 6.1 to 6.18."""

from __future__ import annotations

import errno
import os

from extension_runtime.kernel import syscalls
from extension_runtime.kernel.syscalls import MNT_DETACH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


MAX_LOWERS = 497  # of 500 that overlayfs takes: the base, the skeleton, and an upper that is imported


def build(
    lowers: Sequence[str | int], *, upper: str = "", work: str = "", name: str, attributes: int, scratch: str
) -> int:
    """Return a detached overlay of the folders `lowers`, highest first; without an `upper` it is read-only.

    A lower that is a number is a descriptor of a detached mount, which stays the caller's.
    `scratch` is a folder on a private mount, used by kernels that cannot do this detached.

    Raises OSError as the kernel words it: EINVAL for too deep a stacking, ELOOP for a folder that is there twice.
    """
    fds: list[int] = []
    try:
        for lower in lowers:
            if isinstance(lower, int):
                fds.append(os.dup(lower))
                continue
            # By descriptor: what was checked is what is stacked, even when a path changes in between.
            fds.append(syscalls.openat2(lower, os.O_PATH | os.O_DIRECTORY, syscalls.RESOLVE_NO_SYMLINKS))
        options = [("xino", "off"), ("index", "off"), ("metacopy", "off")]
        if upper:
            for path in (upper, work):
                fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
            options += [("upperdir", f"/proc/self/fd/{fds[-2]}"), ("workdir", f"/proc/self/fd/{fds[-1]}")]
            options += [("redirect_dir", "on")]
        paths = [f"/proc/self/fd/{fd}" for fd in fds[: len(lowers)]]
        try:
            return _build_by_key(paths, options, name, attributes)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS) or _knows_lowerdir_key():
                raise
            return _build_by_string(paths, options, name, attributes, scratch)
    finally:
        for fd in fds:
            os.close(fd)


def _build_by_key(lowers: Sequence[str], options: Sequence[tuple[str, str]], name: str, attributes: int) -> int:
    context = syscalls.fsopen("overlay")
    try:
        syscalls.fsconfig_string(context, "source", name)
        for lower in lowers:
            syscalls.fsconfig_string(context, "lowerdir+", lower)
        for key, value in options:
            syscalls.fsconfig_string(context, key, value)
        syscalls.fsconfig_create(context)
        return syscalls.fsmount(context, attributes)
    finally:
        os.close(context)


def _knows_lowerdir_key() -> bool:
    """Whether overlayfs takes its lower folders one by one (kernel 6.8)."""
    try:
        context = syscalls.fsopen("overlay")
    except OSError:
        return False
    try:
        syscalls.fsconfig_string(context, "lowerdir+", "/")
    except OSError:
        return False
    finally:
        os.close(context)
    return True


def _build_by_string(
    lowers: Sequence[str], options: Sequence[tuple[str, str]], name: str, attributes: int, scratch: str
) -> int:
    """As _build_by_key, with mount(2) and its one page of options, at a place that is freed again."""
    text = ",".join(f"{key}={value}" for key, value in [("lowerdir", ":".join(lowers)), *options])
    if len(text) >= os.sysconf("SC_PAGESIZE"):
        raise OSError(errno.E2BIG, f"{len(lowers)} layers do not fit the options that this kernel takes; use fewer")
    place = f"{scratch}/build"
    os.mkdir(place, 0o700)
    try:
        syscalls.mount(name, place, "overlay", 0, text)
        try:
            detached = syscalls.open_tree(place)
        finally:
            syscalls.umount(place, MNT_DETACH)
    finally:
        os.rmdir(place)
    syscalls.mount_setattr(detached, attr_set=attributes)
    return detached
