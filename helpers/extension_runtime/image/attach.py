#  SPDX-License-Identifier: MIT
"""Attaches one image at /run/extension/NAME: finds, mounts, checks, and only then shows it.

Until the last call the mount is in no namespace: whatever goes wrong, closing a descriptor undoes it all, the loop
device with it.  It imports little: this is a process for each image at boot.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests.errors import ImageError, printable
from extension_manifests.names import name_problem
from extension_manifests.origin import Origin

from extension_runtime import boundary
from extension_runtime.image import content, find, forced, host, identity, programs, record
from extension_runtime.image.mount import mount_directory, mount_nothing, mount_raw, reason_of
from extension_runtime.image.record import Record
from extension_runtime.kernel import syscalls
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.image.request import Request

# Nobody is to run anything here, whatever may be run where it is merged: an overlay goes by its own flags.
ATTRIBUTES = (
    syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC
)


def attach(request: Request) -> Record:
    """Attach an image; whatever was attached for this extension before is detached.

    Returns what became of it, which is also written down for `records`.  An image that is not made for this host
    leaves an empty directory attached with Mismatch=skip (PID 1 wants to see a mount), nothing with Mismatch=fail.
    Raises ImageError only when even that cannot be done: a bad name, no place for the record, or what was attached
    before does not come off.
    """
    paths = Paths(request.root)
    became = _record(request)
    _refuse_name(request.name)
    try:
        target = _place(paths, request.name)
    except ImageError as error:
        became.state, became.reason = "failed", str(error)
        record.write(paths.attached, became)
        return became
    tree = -1
    try:
        tree = _prepare(request, became)
    except ImageError as error:
        became.state = "skipped" if _skips(error, request) else "failed"
        became.reason = str(error)
    except Exception as error:  # such as an unreadable directory on a damaged disk
        became.state, became.reason = "failed", boundary.reason(error, became.image)
        # Which image it is was not found out, which is no reason to take off what is merged.
        became.identity = became.identity or record.UNKNOWN
    try:
        _detach(target)
        if became.state == "skipped":
            tree = mount_nothing()
        if tree >= 0:
            syscalls.move_mount(tree, target)
        record.write(paths.attached, became)
    except Exception as error:
        _detach(target)
        became.state, became.reason = "failed", boundary.reason(error, target)
        record.write(paths.attached, became)
    finally:
        if tree >= 0:
            os.close(tree)
    return became


def renew(request: Request) -> bool:
    """Put another image in the place of the one that is attached, which is gone in no instant.

    False, with nothing changed, when the image cannot be attached or the kernel cannot do this (before 6.5).
    """
    paths = Paths(request.root)
    became = _record(request)
    _refuse_name(request.name)
    try:
        target = _place(paths, request.name)
        tree = _prepare(request, became)
    except Exception as error:
        # Whoever attaches it in the ordinary way finds the same, and says so.
        boundary.reason(error, became.image)
        return False
    try:
        syscalls.move_mount(tree, target, syscalls.MOVE_MOUNT_BENEATH)
        syscalls.umount(target, syscalls.MNT_DETACH)
    except Exception as error:
        boundary.reason(error, target)
        return False
    finally:
        os.close(tree)
    record.write(paths.attached, became)
    return True


def fail(paths: Paths, name: str, reason: str) -> Record:
    """Write down that extension `name` failed before its image was looked for; nothing of it stays attached."""
    _refuse_name(name)
    try:
        _detach(_place(paths, name))
    except ImageError as error:
        reason = f"{reason}; {error}"
    became = Record(name, "failed", printable(reason))
    record.write(paths.attached, became)
    return became


def detach(paths: Paths, name: str) -> None:
    """Take off what is attached for extension `name` and forget it; a merge that uses it keeps its own copy."""
    _refuse_name(name)
    target = f"{paths.extension}/{name}"
    _detach(target)
    record.remove(paths.attached, name)
    try:
        os.rmdir(target)
    except OSError:
        pass


def _skips(error: ImageError, request: Request) -> bool:
    # A mask is what somebody asked for, whatever the manifest says about a mismatch.
    mismatch = isinstance(error, content.MismatchError) and request.mismatch == "skip"
    return mismatch or isinstance(error, find.MaskedError)


def _record(request: Request) -> Record:
    """What becomes of an image for which all goes well."""
    shown = printable(request.image)
    return Record(request.name, "attached", image=shown, classes=list(request.classes), options=request.options)


def _prepare(request: Request, became: Record) -> int:
    """Return a detached mount of the image, checked; fills in `became` as far as it gets.  Raises ImageError."""
    # Before anything else: with an image in the record, its last good version could be kept.
    if request.refused:
        raise ImageError(request.refused)
    origin = Origin(request.root)
    with find.find(origin, request.image, request.classes) as picked:
        shown = printable(picked.path)
        became.image, became.version = shown, printable(picked.version)
        became.identity = identity.identity(picked.fd)
        picked.refuse_split()
        try:
            if picked.kind == "directory":
                became.format = "directory"
                tree = mount_directory(picked.fd, ATTRIBUTES)
            else:
                became.format, tree = mount_raw(picked.fd, ATTRIBUTES, shown)
        except OSError as error:
            raise ImageError(printable(f"{shown}: cannot be mounted: {reason_of(error)}")) from None
        try:
            verdict = content.judge(
                tree,
                request.classes,
                picked.name,
                shown,
                host.read(origin),
                any_host=request.name in forced.names(Paths(request.root)),
            )
            became.hierarchies = list(verdict.hierarchies)
            became.remarks, became.excused = verdict.remarks, printable(verdict.excused)
            became.version = became.version or verdict.version
            if verdict.problem is not None:
                raise verdict.problem
            programs.refuse(tree, verdict.hierarchies, request, shown)
        except BaseException:
            os.close(tree)
            raise
    return tree


def _refuse_name(name: str) -> None:
    """Raise ImageError for a name that could be a path."""
    problem = name_problem(name)
    if problem:
        raise ImageError(printable(f"{name}: {problem}"))


def _place(paths: Paths, name: str) -> str:
    """Where extension `name` is attached; made, where it is missing.  Raises ImageError."""
    target = f"{paths.extension}/{name}"
    for made in (os.path.dirname(paths.extension), paths.extension, target):
        try:
            os.mkdir(made, 0o755)
        except FileExistsError:
            pass
        except OSError as error:
            raise ImageError(printable(f"{made}: {reason_of(error)}")) from None
        # Neither a link: what it leads to would be hidden, and taken off with everything that is mounted there.
        if not stat.S_ISDIR(os.lstat(made).st_mode):
            raise ImageError(f"{made}: is no directory; remove it")
    return target


def _detach(target: str) -> None:
    """Unmount all that is mounted at `target`."""
    for _ in range(64):
        try:
            syscalls.umount(target, syscalls.MNT_DETACH)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                return
            raise ImageError(printable(f"{target}: {reason_of(error)}")) from None
