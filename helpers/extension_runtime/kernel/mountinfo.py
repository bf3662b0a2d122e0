#  SPDX-License-Identifier: MIT
"""The mount table as the kernel tells it: /proc/PID/mountinfo, proc_pid_mountinfo(5)."""

from __future__ import annotations

import os

from extension_manifests.origin import unescape

FLAGS = ("ro", "nosuid", "nodev", "noexec")


class Mount:
    """One line of mountinfo; `options` are the mount's own (not the superblock's), `path` is unescaped.

    Raises ValueError for what is no such line.
    """

    __slots__ = ("dev", "fstype", "id", "options", "parent", "path", "propagation", "root", "source", "super_options")

    def __init__(self, line: str) -> None:
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 6:
            raise ValueError(f"no line of a mount table: {line!a:.200}")
        self.id = int(fields[0])
        self.parent = int(fields[1])
        self.dev = fields[2]
        self.root = unescape(fields[3])
        self.path = unescape(fields[4])
        self.options = tuple(fields[5].split(","))
        self.propagation = tuple(fields[6:])
        kind, source, options = (right.split(" ") + ["", ""])[:3]
        self.fstype = kind
        self.source = unescape(source)
        self.super_options = options

    @property
    def flags(self) -> tuple[str, ...]:
        """Which of ro, nosuid, nodev and noexec the mount itself has."""
        return tuple(flag for flag in FLAGS if flag in self.options)

    @property
    def shared(self) -> bool:
        """Whether mounts below it propagate to others."""
        return any(field.startswith("shared:") for field in self.propagation)


class Table:
    """A mount table at one moment.  Raises ValueError for a text that is none."""

    __slots__ = ("_children", "mounts")

    def __init__(self, text: str) -> None:
        # Not splitlines(): a path may hold what Unicode takes for the end of a line.
        self.mounts = {mount.id: mount for mount in map(Mount, text.split("\n")[:-1])}
        self._children: dict[int, list[Mount]] = {}
        for mount in self.mounts.values():
            self._children.setdefault(mount.parent, []).append(mount)

    def stack(self, top: int) -> list[Mount]:
        """The mounts that lie on one another at the place of mount `top`, lowest first."""
        mount = self.mounts[top]
        found = {mount.id: mount}
        while (below := self.mounts.get(mount.parent)) is not None and below.path == mount.path:
            # The root is its own parent; and while a table is read, the number of a mount that goes is given again.
            if below.id in found:
                break
            found[below.id] = mount = below
        return list(found.values())[::-1]

    def covering(self, mount: Mount) -> Mount:
        """The mount that is seen at the place of `mount`: itself, or the uppermost on its root."""
        seen = {mount.id}
        while True:
            on = next((m for m in self._children.get(mount.id, ()) if m.path == mount.path and m.id not in seen), None)
            if on is None:
                return mount
            seen.add(on.id)
            mount = on

    def submounts(self, mount: Mount) -> list[Mount]:
        """The mounts directly on `mount` but below its root, in path order; what lies on those is not listed."""
        return sorted(
            (child for child in self._children.get(mount.id, ()) if child.path != mount.path),
            key=lambda child: child.path,
        )

    def below(self, path: str) -> list[Mount]:
        """Every mount at or below `path`, those last mounted first."""
        prefix = path.rstrip("/") + "/"
        return [m for m in reversed(self.mounts.values()) if m.path == path or m.path.startswith(prefix)]


def read(proc_fd: int | None = None) -> Table:
    """The table of this process's mount namespace, through the /proc open as `proc_fd` when given."""
    fd = os.open("self/mountinfo" if proc_fd is not None else "/proc/self/mountinfo", os.O_RDONLY, dir_fd=proc_fd)
    # A carriage return in a path is no end of a line either.
    with open(fd, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return Table(file.read())


def mount_id(fd: int, proc_fd: int | None = None) -> int:
    """The id of the mount that the descriptor `fd` is on."""
    name = f"self/fdinfo/{fd}" if proc_fd is not None else f"/proc/self/fdinfo/{fd}"
    with open(os.open(name, os.O_RDONLY, dir_fd=proc_fd), encoding="utf-8") as file:
        for line in file:
            if line.startswith("mnt_id:"):
                return int(line[7:])
    raise OSError(f"{name}: no mnt_id")


def is_mount_point(path: str) -> bool:
    """Whether something is mounted at `path`, also by a bind within one file system; not if it is missing."""
    try:
        # Not visible(): what a link leads to is mounted elsewhere, and is not meant.
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return mount_id(fd) != visible(os.path.dirname(path))
    finally:
        os.close(fd)


def visible(path: str, proc_fd: int | None = None) -> int:
    """The id of the mount that a look-up of `path` ends on."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return mount_id(fd, proc_fd)
    finally:
        os.close(fd)
