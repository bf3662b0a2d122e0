#  SPDX-License-Identifier: MIT
"""The base of a hierarchy: bound privately, before anything is merged, where merges find it."""

from __future__ import annotations

import os

from extension_manifests.origin import upper_link

from extension_runtime.kernel import copies, mountinfo, syscalls


def clone_base(target: str, place: str) -> None:
    """Bind the hierarchy at `target`, as it is now and without what is mounted below it, at `place`, privately.

    It is read-only there: services see it, too, and some must not write to the hierarchy.  See copy_base.
    """
    forget_base(place)
    if "ro" not in mountinfo.read().mounts[mountinfo.visible(target)].flags:
        os.close(os.open(_writable(place), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    os.close(os.open(_signed(place), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    tree = copies.copy_mount(target)
    try:
        # A peer of its source would get every overlay that is put over the hierarchy on itself.
        syscalls.mount_setattr(tree, attr_set=syscalls.MOUNT_ATTR_RDONLY, propagation=syscalls.MS_PRIVATE)
        syscalls.move_mount(tree, place)
    finally:
        os.close(tree)


def copy_base(place: str) -> int:
    """A detached copy of the base at `place`, as writable as the hierarchy was."""
    tree = syscalls.open_tree(place)
    if os.path.exists(_writable(place)):
        syscalls.mount_setattr(tree, attr_clear=syscalls.MOUNT_ATTR_RDONLY)
    return tree


def forget_base(place: str) -> None:
    """Forget how the base at `place`, which is not bound any more, was mounted, and its uppers."""
    forget_uppers(place)
    for note in (_writable(place), _signed(place)):
        try:
            os.unlink(note)
        except FileNotFoundError:
            continue


def signs_anchors(place: str) -> bool:
    """Whether the anchors of the base at `place` have a sign, which an earlier version did not give them."""
    return os.path.exists(_signed(place))


def note_upper(place: str, generation: int, upper: str) -> None:
    """Write down that what `generation` puts over the base at `place` writes to `upper`, a path inside the root.

    So what people write there is told from layers by whoever looks for inputs (extension_manifests.origin).
    """
    forget_upper(place, generation)  # of a merge of that number that was killed
    os.symlink(upper, upper_link(place, generation))


def forget_upper(place: str, generation: int) -> None:
    """Forget the upper of one generation."""
    try:
        os.unlink(upper_link(place, generation))
    except FileNotFoundError:
        return


def forget_uppers(place: str, current: int = 0) -> None:
    """Forget the uppers of the base at `place`, but for that of the generation `current`."""
    parent, kept = os.path.dirname(place), upper_link(place, current)
    prefix = upper_link(place, 0).removesuffix("0")
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{parent}/{name}"
        if path.startswith(prefix) and path != kept:
            os.unlink(path)


def _writable(place: str) -> str:
    """The file that is there when the hierarchy, whose base is at `place`, was writable."""
    return f"{place}.writable"


def _signed(place: str) -> str:
    return f"{place}.signed"
