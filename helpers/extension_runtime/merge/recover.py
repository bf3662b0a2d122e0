#  SPDX-License-Identifier: MIT
"""Puts right what a merge that was killed has left, and takes everything off."""

from __future__ import annotations

import errno
import os

from extension_runtime import boundary
from extension_runtime.files import remove_empty
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.overlay import base, exchange, ground, submounts
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def recover(
    paths: Paths,
    found: Mapping[str, Hierarchy],
    generations: Mapping[str, int],
    used_layers: set[str],
    log: Callable[[str], None],
) -> None:
    """Put right what a merge or refresh that was killed has left: staged trees, double tops, unused layers.

    `generations` are those that the state tells of each hierarchy, 0 without one.  An unused layer that stays is in
    nobody's way: that goes to `log`.
    """
    clear_staging(paths)
    for hierarchy in found.values():
        ground.settle(hierarchy)
    table = mountinfo.read()
    for hierarchy in found.values():
        hierarchy.look(table)
        if hierarchy.found and len(hierarchy.found) > 1:
            exchange.collapse(hierarchy.found, hierarchy.target, generations.get(hierarchy.name, 0))
            hierarchy.look()
    try:
        remove_layers(paths, used_layers)
    except Exception as error:
        log(f"an unused layer stays: {boundary.reason(error)}")


def clear_staging(paths: Paths) -> None:
    """Take off every tree that is staged."""
    try:
        names = os.listdir(paths.staging)
    except FileNotFoundError:
        return
    for name in names:
        take_off(f"{paths.staging}/{name}")
    remove_empty(paths.staging)


def take_off(path: str) -> None:
    """Take off all that is mounted at `path`, each with what is mounted on it."""
    while mountinfo.is_mount_point(path):
        # Not one by one: what is mounted on a copy of a submount would be taken from the submount itself, too.
        exchange.unmount_top(path)


def remove_layers(paths: Paths, used: set[str]) -> None:
    """Let go of every pinned layer that is not in `used` (paths).

    Raises what was raised over the first that stays, when all others are gone.
    """
    try:
        generations = os.listdir(paths.layers)
    except FileNotFoundError:
        return
    problem: Exception | None = None
    for generation in generations:
        parent = f"{paths.layers}/{generation}"
        for name in os.listdir(parent):
            try:
                if f"{parent}/{name}" not in used:
                    unpin(f"{parent}/{name}")
            except Exception as error:
                problem = problem or error
        try:
            os.rmdir(parent)
        except OSError:
            continue  # some of it is still used
    if problem is not None:
        raise problem


def unpin(path: str) -> None:
    """Let go of one pinned layer."""
    try:
        syscalls.umount(path, syscalls.MNT_DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    os.rmdir(path)


def dismantle(paths: Paths, found: Mapping[str, Hierarchy]) -> None:
    """Take everything off that merges have put on a root: tops, anchors, bases, layers and the private mount."""
    for hierarchy in found.values():
        hierarchy.look()
        if hierarchy.found is not None:
            added = submounts.added_submounts(hierarchy.target, len(hierarchy.found))
            try:
                for _mount in hierarchy.found:
                    exchange.unmount_top(hierarchy.target)
                ground.detach(hierarchy)
                for path, tree in added:
                    if not mountinfo.is_mount_point(path):  # from a peer it has come by itself
                        syscalls.move_mount(tree, path)
            finally:
                for _path, tree in added:
                    os.close(tree)
    table = mountinfo.read()
    for mount in table.below(paths.run):
        if mount.path == paths.run and mount.dev != table.mounts[mount.parent].dev:
            continue  # a file system of somebody else; ours is a bind of the folder that is there
        try:
            syscalls.umount(mount.path, syscalls.MNT_DETACH)
        except OSError as error:
            if error.errno != errno.EINVAL:  # gone, with what it was mounted on
                raise
    remove_empty(paths.base)
    for hierarchy in found.values():
        base.forget_base(hierarchy.base)
    remove_layers(paths, set())
    remove_empty(paths.run)
