#  SPDX-License-Identifier: MIT
"""Mounts one image, detached: it is in no namespace until somebody attaches it, and gone when it is closed.

Imports: os, errno and this project only (this is in a process for each image at boot).
"""

from __future__ import annotations

import errno
import os

from extension_manifests.errors import ImageError, printable

from extension_runtime.image import formats
from extension_runtime.kernel import chase, copies, loop, syscalls

# Besides read-only.  No journal is replayed: an image is never written to, and a broken one must not hang.
_FLAGS = {
    "squashfs": (),
    "erofs": (),
    # What the superblock asks for on errors could be a panic of the machine.
    "ext4": (("noload", ""), ("errors", "remount-ro")),
    "btrfs": (("rescue", "nologreplay"),),
}


def mount_directory(directory: int, attributes: int) -> int:
    """A detached mount of a directory, of itself only; private, so that nothing that is mounted later gets into it."""
    tree = copies.copy_mount("", directory)
    try:
        syscalls.mount_setattr(tree, attr_set=attributes, propagation=syscalls.MS_PRIVATE)
    except OSError:
        os.close(tree)
        raise
    return tree


def mount_raw(image_fd: int, attributes: int, shown: str) -> tuple[str, int]:
    """The name of the file system in the raw image `image_fd` (O_PATH) and a detached mount of it."""
    readable = chase.reopen(image_fd)
    try:
        size = os.lseek(readable, 0, os.SEEK_END)
        head = os.pread(readable, formats.HEAD, 0)
        try:
            format = formats.detect(head, size)
        except ImageError as error:
            raise ImageError(f"{shown}: {error}") from None
        device, path = loop.attach(readable, shown)
    finally:
        os.close(readable)
    # The device lives as long as this descriptor or the mount.
    try:
        context = syscalls.fsopen(format)
        try:
            syscalls.fsconfig_string(context, "source", path)
            syscalls.fsconfig_flag(context, "ro")
            for key, value in _FLAGS[format]:
                if value:
                    syscalls.fsconfig_string(context, key, value)
                else:
                    syscalls.fsconfig_flag(context, key)
            syscalls.fsconfig_create(context)
            return format, syscalls.fsmount(context, attributes)
        finally:
            os.close(context)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise ImageError(f"{shown}: this kernel has no {format}; load its module") from None
        raise ImageError(printable(f"{shown}: no sound {format} file system: {reason_of(error)}")) from None
    finally:
        os.close(device)


def mount_nothing() -> int:
    """A detached mount of an empty directory."""
    context = syscalls.fsopen("tmpfs")
    try:
        for key, value in (("source", "skipped"), ("mode", "0555"), ("nr_inodes", "1"), ("size", "4k")):
            syscalls.fsconfig_string(context, key, value)
        syscalls.fsconfig_flag(context, "ro")
        syscalls.fsconfig_create(context)
        everything = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV
        return syscalls.fsmount(context, everything | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC)
    finally:
        os.close(context)


def reason_of(error: OSError) -> str:
    # The text of syscalls is in strerror, those of Python have the reason only.
    return error.strerror or str(error)
