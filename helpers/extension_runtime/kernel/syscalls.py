#  SPDX-License-Identifier: MIT
"""The one module that makes system calls which Python itself does not offer.

Every function raises OSError whose text names the call and, for file-system contexts, what the kernel logged.
The numbers of the calls 424 to 442 are the same on every architecture that Python 3.11 runs on
(include/uapi/asm-generic/unistd.h).  Imports: ctypes, os, errno, struct only.
"""

from __future__ import annotations

import ctypes
import errno
import os
from struct import pack

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_NO_AUTOMOUNT = 0x800
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100

OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOVE_MOUNT_SET_GROUP = 0x100
MOVE_MOUNT_BENEATH = 0x200

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_NODIRATIME = 0x80

MS_RDONLY = 0x01
MS_NOSUID = 0x02
MS_NODEV = 0x04
MS_NOEXEC = 0x08
MS_BIND = 0x1000
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20

MNT_DETACH = 2

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 428, 429, 430, 431, 432
_SYS_OPENAT2, _SYS_MOUNT_SETATTR = 437, 442
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_NS_MNT_GET_NEXT = 0x8010B70B  # _IOR(NSIO, 11, struct mnt_ns_info), linux/nsfs.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _failed(call: str, number: int | None = None, detail: str = "") -> OSError:
    number = ctypes.get_errno() if number is None else number
    return OSError(number, f"{call}: {os.strerror(number)}{': ' + detail if detail else ''}")


def _call(name: str, number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise _failed(name)
    return result


def _long(value: int) -> ctypes.c_long:
    return ctypes.c_long(value)


def open_tree(path: str, flags: int = OPEN_TREE_CLONE, dir_fd: int = AT_FDCWD) -> int:
    """Return a descriptor of the mount at `path` (a detached copy with OPEN_TREE_CLONE); open_tree(2)."""
    if not path:
        flags |= AT_EMPTY_PATH
    return _call(f"open_tree {path}", _SYS_OPEN_TREE, _long(dir_fd), os.fsencode(path), _long(flags | os.O_CLOEXEC))


def move_mount(tree_fd: int, target: str, flags: int = 0, target_fd: int = AT_FDCWD) -> None:
    """Attach the detached mount `tree_fd` at `target`; MOVE_MOUNT_BENEATH puts it below the mount that is there."""
    flags |= MOVE_MOUNT_F_EMPTY_PATH
    if not target:
        flags |= MOVE_MOUNT_T_EMPTY_PATH
    _call(
        f"move_mount {target}",
        _SYS_MOVE_MOUNT,
        _long(tree_fd),
        b"",
        _long(target_fd),
        os.fsencode(target),
        _long(flags),
    )


def set_group(source_fd: int, mount_fd: int) -> None:
    """Have the private mount `mount_fd` propagate as `source_fd` does, of whose tree it has a part (kernel 5.15)."""
    flags = MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    _call("move_mount into a group", _SYS_MOVE_MOUNT, _long(source_fd), b"", _long(mount_fd), b"", _long(flags))


def mount_setattr(
    fd_or_path: int | str, *, attr_set: int = 0, attr_clear: int = 0, propagation: int = 0, recursive: bool = False
) -> None:
    """Change flags (MOUNT_ATTR_*) and propagation (MS_*) of a mount; mount_setattr(2)."""
    attributes = pack("=4Q", attr_set, attr_clear, propagation, 0)  # struct mount_attr, linux/mount.h
    fd, path = (fd_or_path, "") if isinstance(fd_or_path, int) else (AT_FDCWD, fd_or_path)
    flags = (AT_RECURSIVE if recursive else 0) | (AT_EMPTY_PATH if not path else 0)
    _call(
        f"mount_setattr {path}",
        _SYS_MOUNT_SETATTR,
        _long(fd),
        os.fsencode(path),
        _long(flags),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )


def fsopen(filesystem: str) -> int:
    """Return a new file-system context; fsopen(2)."""
    return _call(f"fsopen {filesystem}", _SYS_FSOPEN, filesystem.encode(), _long(1))


def _context_log(context: int) -> str:
    """What the kernel logged into a file-system context: its messages, joined."""
    lines: list[str] = []
    while len(lines) < 8:
        try:
            lines.append(os.read(context, 4096).decode(errors="replace").strip())
        except OSError:
            break
    return "; ".join(line[2:] if line[1:2] == " " else line for line in lines)


def fsconfig_string(context: int, key: str, value: str) -> None:
    """Set `key=value` on a file-system context; a value of more than 255 bytes is refused by the kernel (EINVAL)."""
    result = _libc.syscall(
        ctypes.c_long(_SYS_FSCONFIG),
        _long(context),
        _long(_FSCONFIG_SET_STRING),
        key.encode(),
        os.fsencode(value),
        _long(0),
    )
    if result < 0:
        number = ctypes.get_errno()
        raise _failed(f"fsconfig {key}={value}", number, _context_log(context))


def fsconfig_flag(context: int, key: str) -> None:
    """Set the flag `key` on a file-system context."""
    result = _libc.syscall(
        ctypes.c_long(_SYS_FSCONFIG), _long(context), _long(_FSCONFIG_SET_FLAG), key.encode(), None, _long(0)
    )
    if result < 0:
        number = ctypes.get_errno()
        raise _failed(f"fsconfig {key}", number, _context_log(context))


def fsconfig_create(context: int) -> None:
    """Make the superblock that the context describes."""
    result = _libc.syscall(
        ctypes.c_long(_SYS_FSCONFIG), _long(context), _long(_FSCONFIG_CMD_CREATE), None, None, _long(0)
    )
    if result < 0:
        number = ctypes.get_errno()
        raise _failed("fsconfig create", number, _context_log(context))


def fsmount(context: int, attributes: int = 0) -> int:
    """Return a detached mount of the context's superblock with the flags MOUNT_ATTR_*; fsmount(2)."""
    return _call("fsmount", _SYS_FSMOUNT, _long(context), _long(1), _long(attributes))


def mount(source: str, target: str, filesystem: str | None, flags: int, options: str | None) -> None:
    """mount(2), for kernels that cannot do the above."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        None if filesystem is None else filesystem.encode(),
        ctypes.c_ulong(flags),
        None if options is None else os.fsencode(options),
    )
    if result < 0:
        raise _failed(f"mount {filesystem or ''} on {target}")


def umount(target: str, flags: int = 0) -> None:
    """umount2(2), never following a link at the end of `target`."""
    umount_nofollow = 8
    if _libc.umount2(os.fsencode(target), ctypes.c_int(flags | umount_nofollow)) < 0:
        raise _failed(f"umount {target}")


def setns(fd: int, kind: int = CLONE_NEWNS) -> None:
    """Move this (single-threaded) process into the namespace of `fd`; its root and cwd become the namespace's root."""
    if _libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)) < 0:
        raise _failed("setns")


def unshare(kind: int = CLONE_NEWNS) -> None:
    """Give this process namespaces of its own; unshare(2)."""
    if _libc.unshare(ctypes.c_int(kind)) < 0:
        raise _failed("unshare")


def next_mount_namespace(fd: int) -> int | None:
    """Return a descriptor of the mount namespace made after that of `fd`, or None at the end (kernel 6.12, nsfs.h).

    The descriptors come from this process's view: EPERM outside the first PID namespace, ENOTTY on older kernels.
    """
    information = (ctypes.c_uint32 * 4)(16, 0, 0, 0)
    result: int = _libc.ioctl(ctypes.c_int(fd), ctypes.c_ulong(_NS_MNT_GET_NEXT), ctypes.byref(information))
    if result >= 0:
        return result
    if ctypes.get_errno() == errno.ENOENT:
        return None
    raise _failed("ioctl NS_MNT_GET_NEXT")


def openat2(path: str, flags: int, resolve: int, dir_fd: int = AT_FDCWD, mode: int = 0) -> int:
    """Open `path` below `dir_fd` under the rules RESOLVE_*; openat2(2)."""
    how = pack("=3Q", flags | os.O_CLOEXEC, mode, resolve)  # struct open_how, linux/openat2.h
    return _call(
        f"openat2 {path}",
        _SYS_OPENAT2,
        _long(dir_fd),
        os.fsencode(path),
        how,
        ctypes.c_size_t(len(how)),
    )
