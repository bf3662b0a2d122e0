#  SPDX-License-Identifier: MIT
"""What is mounted below a hierarchy, carried over to a new tree."""

from __future__ import annotations

import errno
import os
import stat

from extension_runtime.files import folder
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.kernel.copies import copy_tree
from extension_runtime.overlay.exchange import unmount_top
from extension_runtime.overlay.top import OverlayError

_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS


class Carried:
    """What was carried to a new tree: `paths` to their places in it, `kept` to another one each.

    `made` are the places that were missing in the tree, relative to it.
    """

    __slots__ = ("_tree", "kept", "made", "paths")

    def __init__(self, place: str) -> None:
        self.paths: list[str] = []
        self.kept: list[tuple[str, str]] = []
        self.made: list[str] = []
        self._tree = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def carry(self, tree: int, relative: str, is_folder: bool, make: bool) -> None:
        """Mount `tree` at `relative`, which no link leads out of the new tree; with `make` it is made if missing."""
        try:
            onto = syscalls.openat2(relative, os.O_PATH, _INSIDE, self._tree)
        except OSError as error:
            if error.errno != errno.ENOENT or not make:
                raise
            self._make(relative, is_folder)
            onto = syscalls.openat2(relative, os.O_PATH, _INSIDE, self._tree)
        try:
            syscalls.move_mount(tree, "", target_fd=onto)
        finally:
            os.close(onto)

    def _make(self, relative: str, is_folder: bool) -> None:
        parts = relative.split("/")
        for number in range(1, len(parts) + 1):
            parent = syscalls.openat2("/".join(parts[: number - 1]) or ".", os.O_PATH, _INSIDE, self._tree)
            try:
                if number == len(parts) and not is_folder:
                    os.close(os.open(parts[-1], os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent))
                else:
                    os.mkdir(parts[number - 1], 0o755, dir_fd=parent)
            except FileExistsError:
                continue
            finally:
                os.close(parent)
            self.made.append("/".join(parts[:number]))

    def take_back(self) -> None:
        """Remove what was made and take off what was kept elsewhere, once the tree is not mounted any more."""
        for _path, place in reversed(self.kept):
            unmount_top(place)
            _remove(place, None)
        self.kept.clear()
        while self.made:
            _remove(self.made.pop(), self._tree)

    def close(self) -> None:
        """Let go of the tree."""
        if self._tree >= 0:
            os.close(self._tree)
            self._tree = -1


def _remove(path: str, tree: int | None) -> None:
    try:
        if stat.S_ISDIR(os.lstat(path, dir_fd=tree).st_mode):
            os.rmdir(path, dir_fd=tree)
        else:
            os.unlink(path, dir_fd=tree)
    except OSError:
        return  # somebody uses it by now


def carry_submounts(target: str, place: str, spare: str = "") -> Carried:
    """Bind what is mounted below the visible mount at `target` to the same paths below `place`.

    With the folder `spare`, as for an unmerge, nothing may be left behind: a path that the new tree does not have is
    made in it, and what cannot get its path is put below `spare`.  Raises OverlayError without one, which names all
    that has no path in the new tree; everything else is carried by then.
    """
    table = mountinfo.read()
    top = table.mounts[mountinfo.visible(target)]
    carried = Carried(place)
    homeless: list[str] = []
    why = ""
    try:
        for path in _carriable(table, top, target):
            relative = path[len(target.rstrip("/")) + 1 :]
            try:
                _carry(carried, table, path, relative, spare and f"{spare}/{os.path.basename(target)}/{relative}")
            except OSError as error:
                homeless.append(path)
                why = os.strerror(error.errno or 0)
        if homeless:
            raise OverlayError(
                f"{', '.join(homeless)}: mounted below {target}, but has no place in the new tree ({why}); "
                f"unmount it, or leave out the extension that hides it"
            )
    except BaseException:
        carried.take_back()
        carried.close()
        raise
    return carried


def _carriable(table: mountinfo.Table, top: mountinfo.Mount, target: str) -> list[str]:
    """The paths of the trees of mounts on `top` and below `target`."""
    if not _within(top.path, target):
        return []
    found: list[str] = []
    above: tuple[str, ...] = ()
    for mount in table.submounts(top):
        # One that is higher up, and came later, hides what is below it.
        if mount.path.startswith(target.rstrip("/") + "/") and not mount.path.startswith(above):
            above = (*above, f"{mount.path}/")
            if mount.path not in found:
                found.append(mount.path)
    return found


def _carry(carried: Carried, table: mountinfo.Table, path: str, relative: str, spare: str) -> None:
    tree = copy_tree(path, table)
    try:
        is_folder = os.path.isdir(path)
        try:
            carried.carry(tree, relative, is_folder, bool(spare))
        except OSError:
            if not spare:
                raise
            _make_spare(spare, is_folder)
            syscalls.move_mount(tree, spare)
            carried.kept.append((path, spare))
            return
    finally:
        os.close(tree)
    carried.paths.append(path)


def _make_spare(path: str, is_folder: bool) -> None:
    folder(os.path.dirname(path), 0o755)
    if is_folder:
        folder(path, 0o755)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def added_submounts(target: str, tops: int) -> list[tuple[str, int]]:
    """Copies of what was mounted below `target` since it is merged: paths and descriptors, which the caller closes.

    `tops` is how many mounts lie over the anchor there.
    """
    table = mountinfo.read()
    stack = table.stack(mountinfo.visible(target))
    anchor = stack[-1 - tops]
    before = {mount.path for mount in table.submounts(table.mounts[anchor.parent])}
    return [(path, copy_tree(path, table)) for path in _carriable(table, stack[-1], target) if path not in before]


def _within(path: str, target: str) -> bool:
    return path in (target, "/") or target.startswith(path.rstrip("/") + "/")
