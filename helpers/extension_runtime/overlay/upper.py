#  SPDX-License-Identifier: MIT
"""The upper and work folders of a mutable hierarchy: found, made, and checked for what an overlay would refuse."""

from __future__ import annotations

import errno
import os
import stat

from extension_runtime.files import folder
from extension_runtime.kernel import chase, mountinfo, syscalls
from extension_runtime.overlay.skeleton import take_after
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PARENT = "/var/lib/extensions.mutable"


def ephemeral(paths: Paths, hierarchy: str, base: str, made: list[str]) -> str:
    """The upper of an ephemeral hierarchy, below /run, made with mode, owner and attributes of the folder `base`.

    The folders that were missing are added to `made`.
    """
    parent = f"{paths.upper}/{hierarchy}"
    upper = f"{parent}/upper"
    made += [path for path in (paths.upper, parent, upper) if not os.path.isdir(path)]
    folder(paths.upper)
    folder(parent)
    try:
        if not os.path.isdir(upper):
            _make_like(upper, base)
        _check_file_system(upper, hierarchy)
    except OSError as error:
        raise _unusable(upper, hierarchy, error) from None
    return upper


def _unusable(upper: str, hierarchy: str, error: OSError) -> OverlayError:
    where = f"{error.filename}: " if error.filename and error.filename != upper else ""
    return OverlayError(
        f"{upper}: the upper of /{hierarchy} cannot be used: {where}{error.strerror}; "
        f"mend it, or choose another Mode= or Upper= in extensions.conf"
    )


def persistent(paths: Paths, hierarchy: str, configured: str, base: str, made: list[str]) -> str:
    """The upper that the settings name, as a real path below the root; the default one is made when it is missing.

    The folders that were missing are added to `made`.  Raises OverlayError, with what to do, if no overlay can use it.
    """
    if configured == f"{DEFAULT_PARENT}/{hierarchy}":
        _make_default(paths, hierarchy, base, made)
    upper = resolve(paths, configured, hierarchy)
    try:
        _check_rights(upper, hierarchy, base)
        _check_file_system(upper, hierarchy)
    except OSError as error:
        raise _unusable(upper, hierarchy, error) from None
    return upper


def _check_rights(upper: str, hierarchy: str, base: str) -> None:
    found, wanted = os.stat(upper), os.stat(base)
    if (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) != (
        stat.S_IMODE(wanted.st_mode),
        wanted.st_uid,
        wanted.st_gid,
    ):
        raise OverlayError(
            f"{upper}: mode {stat.S_IMODE(found.st_mode):o} and owner {found.st_uid}:{found.st_gid} would become those "
            f"of /{hierarchy}; give it mode {stat.S_IMODE(wanted.st_mode):o} and owner {wanted.st_uid}:{wanted.st_gid}"
        )


def refuse_shared(paths: Paths, uppers: Mapping[str, str]) -> None:
    """Raise OverlayError when two hierarchies, given with their configured uppers, would write to one folder."""
    found: list[tuple[str, str]] = []
    for hierarchy, configured in uppers.items():
        try:
            path = resolve(paths, configured, hierarchy)
        except OverlayError:
            continue  # said when it is staged, or made then
        for other, taken in found:
            if f"{path}/".startswith(f"{taken}/") or f"{taken}/".startswith(f"{path}/"):
                raise OverlayError(
                    f"{path}: the uppers of /{other} and /{hierarchy} are one folder, or one lies in the other; "
                    f"give each a folder of its own with Upper="
                )
        found.append((hierarchy, path))


def resolve(paths: Paths, configured: str, hierarchy: str) -> str:
    """The real path of the folder `configured`, links resolved inside the root.  Raises OverlayError."""
    root = chase.open_root(paths.root or "/")
    try:
        return chase.real_folder(root, configured)
    except OSError as error:
        raise OverlayError(
            f"{paths.root}{configured}: the upper folder of /{hierarchy} cannot be used: "
            f"{os.strerror(error.errno or 0)}; make it, or name another with Upper= in extensions.conf"
        ) from None
    finally:
        os.close(root)


def _make_default(paths: Paths, hierarchy: str, base: str, made: list[str]) -> None:
    parent = chase.real_path(paths.root, DEFAULT_PARENT) if paths.root else DEFAULT_PARENT
    path = f"{parent}/{hierarchy}"
    try:
        if not os.path.lexists(path):
            made += [folder for folder in (parent, path) if not os.path.lexists(folder)]
            os.makedirs(parent, 0o755, exist_ok=True)
            _make_like(path, base)
    except OSError as error:
        raise OverlayError(f"{path}: cannot be made: {error.strerror}") from None


def _make_like(path: str, base: str) -> None:
    os.mkdir(path, 0o700)
    take_after(path, base)


def _check_file_system(upper: str, hierarchy: str) -> None:
    if os.statvfs(upper).f_flag & os.ST_RDONLY:
        raise OverlayError(f"{upper}: is on a read-only file system; the upper of /{hierarchy} must be writable")
    mount = mountinfo.visible(upper)
    found = mountinfo.read().mounts[mount]
    if found.fstype == "overlay":
        raise OverlayError(f"{upper}: is on an overlay, which cannot hold an upper; name another with Upper=")
    if "unbindable" in found.propagation:
        raise OverlayError(
            f"{upper}: is on an unbindable mount, which cannot hold an upper; mount --make-private {found.path}, "
            f"or name another with Upper="
        )
    # Not st_dev: a bind mount is another mount of one file system, and an overlay takes none of that either.
    if mountinfo.visible(os.path.dirname(upper)) != mount:
        raise OverlayError(
            f"{upper}: is a mount point, so that its work folder beside it would be on another file system; "
            f"use a folder inside it as Upper="
        )


def work(upper: str, hierarchy: str, generation: int) -> str:
    """Make and return the work folder of a generation, beside the upper.

    One for each generation, because making an overlay clears its work folder, while the old one still writes there.
    """
    path = f"{os.path.dirname(upper)}/{_prefix(upper)}{generation}"
    try:
        remove_tree(path)
        os.mkdir(path, 0o700)
        probe = f"{path}/probe"
        with open(probe, "wb", buffering=0) as file:
            file.write(bytes(4096))
        os.unlink(probe)
    except OSError as error:
        remove_tree(path)
        raise OverlayError(f"{path}: the work folder of /{hierarchy} cannot be used: {error.strerror}") from None
    return path


def _prefix(upper: str) -> str:
    return f".{os.path.basename(upper)}-work-"


def remove_old_work(paths: Paths, hierarchy: str, configured: str, generation: int) -> None:
    """Remove the work folders of other generations, of the upper `configured` or, if that is "", the ephemeral one."""
    upper = f"{paths.upper}/{hierarchy}/upper"
    if configured:
        try:
            upper = resolve(paths, configured, hierarchy)
        except OverlayError:
            return  # there is none, or it cannot be used
    parent, prefix = os.path.dirname(upper), _prefix(upper)
    try:
        names = os.listdir(parent)
    except OSError:
        return
    for name in names:
        if name.startswith(prefix) and name[len(prefix) :].isdecimal() and int(name[len(prefix) :]) != generation:
            remove_tree(f"{parent}/{name}")


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it, as far as that works; a missing one is fine.

    Never what is mounted in it, be it a bind within one file system, which a comparison of devices does not tell.
    However deep it is, one folder is open at a time.
    """
    try:
        here = _open(os.path.dirname(path))
    except OSError:
        return
    todo = [os.path.basename(path)]
    trail: list[tuple[str, list[str], tuple[int, int]]] = []  # of each folder above: our way on, its rest, itself
    try:
        while todo or trail:
            if todo:
                name = todo.pop()
                folder = _enter(here, name)
                if folder >= 0:
                    info = os.fstat(here)
                    trail.append((name, todo, (info.st_dev, info.st_ino)))
                    os.close(here)
                    here, todo = folder, _names(folder)
                continue
            name, todo, known = trail.pop()
            above = _open("..", here)
            os.close(here)
            here = above
            info = os.fstat(here)
            if (info.st_dev, info.st_ino) != known:
                return  # somebody has moved it meanwhile: not one name more
            try:
                os.rmdir(name, dir_fd=here)
            except OSError:
                continue
    except OSError:
        return
    finally:
        os.close(here)


def _open(path: str, dir_fd: int | None = None) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)


def _names(fd: int) -> list[str]:
    try:
        return os.listdir(fd)
    except OSError:
        return []


def _enter(parent: int, name: str) -> int:
    """A descriptor of the folder `name`, if nothing is mounted there; -1 else, and what is no folder is removed."""
    same_mount = syscalls.RESOLVE_NO_XDEV | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH
    try:
        return syscalls.openat2(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, same_mount, parent)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            try:
                os.unlink(name, dir_fd=parent)
            except OSError:
                pass
        return -1
