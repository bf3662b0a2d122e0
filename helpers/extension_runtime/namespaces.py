#  SPDX-License-Identifier: MIT
"""Brings the mount namespaces of services to what the machine's own shows, one by one, keeping each one's flags.

Propagation would do it in one step, and would put a writable tree over what ProtectSystem=, ReadOnlyPaths= and the
like have masked.  So the anchors of overlay.py stop propagation, and each namespace gets a copy of the new top that
has the flags of the old one before it is seen.  Between the machine's own swap and this, a service sees the old
content, never a wrong right.
"""

from __future__ import annotations

import errno
import os
import time

from extension_runtime import mountinfo, overlay, syscalls
from extension_runtime.syscalls import AT_RECURSIVE, OPEN_TREE_CLONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SETUP_TIMEOUT = 5.0  # seconds that a process which is still being set up by PID 1 is waited for


class Spread:
    """What a spread did: how many namespaces it brought up to date, which it could not, and how long it took."""

    __slots__ = ("failed", "namespaces", "seconds")

    def __init__(self) -> None:
        self.namespaces = 0
        self.seconds = 0.0
        self.failed: list[str] = []


class Spreader:
    """Works in other namespaces; `targets` gives, for each hierarchy, its path and the mount of its base.

    To be used with `with`; the process must be single-threaded (setns(2)).
    """

    def __init__(self, targets: Mapping[str, tuple[str, mountinfo.Mount]], place: str) -> None:
        self._targets = targets
        self._place = place
        self._proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._stage = -1
        self._new: dict[str, int] = {}
        self._generation: dict[str, int | None] = {}

    def __enter__(self) -> Spreader:
        return self

    def __exit__(self, *exception: object) -> None:
        syscalls.setns(self._own)
        os.chdir("/")
        for fd in (self._proc, self._own, self._stage, *self._new.values()):
            if fd >= 0:
                os.close(fd)

    def drop_copies(self) -> None:
        """Take off the copies that propagation made while the anchors were put in place.

        They hide what a service's sandbox has masked; that service keeps what it had, and is a stale view.
        """
        for fd, _processes in self._namespaces():
            try:
                syscalls.setns(fd)
                for target, base in self._targets.values():
                    self._drop_marked(target, base)
            except OSError:
                continue  # the namespace went away, or is not of this machine's making
            finally:
                syscalls.setns(self._own)
                os.close(fd)

    def _drop_marked(self, target: str, base: mountinfo.Mount) -> None:
        while True:
            table = mountinfo.read(self._proc)
            stack = table.stack(mountinfo.visible(target, self._proc))
            copies = [m for m in stack[-2:] if m.path == target and overlay.is_base(m, base) and overlay.marked(m)]
            if not copies:
                return
            overlay.detach(target)

    def spread(self) -> Spread:
        """Bring every namespace to the machine's own tops; runs until a whole pass finds none left behind."""
        result = Spread()
        begin = time.perf_counter()
        self._prepare_stage()
        deadline = time.monotonic() + SETUP_TIMEOUT
        done: set[int] = set()
        while True:
            changed, waiting = self._pass(done, time.monotonic() < deadline, result)
            result.namespaces += changed
            if not changed and not waiting:
                break
            if waiting:
                time.sleep(0.002)
        result.seconds = time.perf_counter() - begin
        return result

    def _pass(self, done: set[int], patient: bool, result: Spread) -> tuple[int, bool]:
        """Update each namespace not in `done`; return how many were changed and whether one is not ready yet."""
        changed, waiting = 0, False
        for fd, processes in self._namespaces():
            identity = os.fstat(fd).st_ino
            try:
                if identity in done:
                    continue
                if patient and self._being_set_up(processes):
                    waiting = True
                    continue
                done.add(identity)
                changed += self._update(fd)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ESTALE):
                    result.failed.append(f"mount namespace {identity}: {error.strerror}")
            finally:
                syscalls.setns(self._own)
                os.close(fd)
        return changed, waiting

    def _prepare_stage(self) -> None:
        """A private namespace with a slave copy of each of the machine's tops at self._place/HIERARCHY."""
        clones = {}
        table = mountinfo.read()
        for hierarchy, (target, _base) in self._targets.items():
            top = table.mounts.get(mountinfo.visible(target))
            self._generation[hierarchy] = None if top is None else overlay.generation_of(top)
            clone = syscalls.open_tree(target)
            # A slave, so that what is mounted below the hierarchy later still arrives; a peer would also send.
            syscalls.mount_setattr(clone, propagation=syscalls.MS_SLAVE)
            clones[hierarchy] = clone
        syscalls.unshare()
        syscalls.mount("", "/", None, syscalls.MS_PRIVATE | 0x4000, None)
        self._stage = os.open("self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        syscalls.mount("extensions-stage", self._place, "tmpfs", syscalls.MS_NODEV, "size=1m,mode=0700")
        for hierarchy, clone in clones.items():
            os.mkdir(f"{self._place}/{hierarchy}", 0o700)
            os.mkdir(f"{self._place}/{hierarchy}.tree", 0o700)
            syscalls.move_mount(clone, f"{self._place}/{hierarchy}")
            os.close(clone)
        syscalls.setns(self._own)

    def _update(self, fd: int) -> int:
        """Bring one namespace up to date; return 1 when there was something to do."""
        syscalls.setns(fd)
        table = mountinfo.read(self._proc)
        todo = []
        for hierarchy, (target, base) in self._targets.items():
            try:
                visible = mountinfo.visible(target, self._proc)
            except FileNotFoundError:
                continue
            tops = overlay.tops(table, visible, target, base, own=False)
            if tops and overlay.generation_of(tops[-1]) != self._generation[hierarchy]:
                todo.append((hierarchy, target, tops))
        for hierarchy, target, tops in todo:
            self._replace(fd, hierarchy, target, tops, table)
        return 1 if todo else 0

    def _replace(
        self, fd: int, hierarchy: str, target: str, tops: list[mountinfo.Mount], table: mountinfo.Table
    ) -> None:
        old = tops[-1]
        submounts = [m for m in table.submounts(old) if m.path.startswith(target + "/")]
        foreign = {
            mount.path: syscalls.open_tree(mount.path, OPEN_TREE_CLONE | AT_RECURSIVE)
            for mount in submounts
            if mount.dev != old.dev
        }
        syscalls.setns(self._stage)
        tree = self._assemble(hierarchy, target, old, submounts, foreign)
        syscalls.setns(fd)
        try:
            overlay.collapse(tops, target)
            overlay.exchange(tree, target, lambda _text: None)
        finally:
            os.close(tree)
            for copy in foreign.values():
                os.close(copy)

    def _assemble(
        self,
        hierarchy: str,
        target: str,
        old: mountinfo.Mount,
        submounts: list[mountinfo.Mount],
        foreign: Mapping[str, int],
    ) -> int:
        """In the staging namespace: a detached copy of the new top with the old one's flags and submounts."""
        top = syscalls.open_tree(f"{self._place}/{hierarchy}")
        # The flags of the old top are this service's own: the machine's read-only modes are in the superblock.
        syscalls.mount_setattr(top, attr_set=overlay.flag_bits(old.flags))
        syscalls.mount_setattr(top, propagation=syscalls.MS_SHARED)
        if not submounts:
            return top
        place = f"{self._place}/{hierarchy}.tree"
        syscalls.move_mount(top, place)
        os.close(top)
        try:
            for mount in submounts:
                self._add_submount(mount, target, f"{self._place}/{hierarchy}", place, foreign)
            return syscalls.open_tree(place, OPEN_TREE_CLONE | AT_RECURSIVE)
        finally:
            overlay.detach(place)

    @staticmethod
    def _add_submount(mount: mountinfo.Mount, target: str, source: str, place: str, foreign: Mapping[str, int]) -> None:
        relative = mount.path[len(target) :]
        try:
            if mount.path in foreign:
                syscalls.move_mount(foreign[mount.path], place + relative)
                return
            # Part of the old top bound onto itself, with flags of its own: the same part of the new one.
            tree = syscalls.open_tree(f"{source}{mount.root}")
            try:
                syscalls.mount_setattr(tree, attr_set=overlay.flag_bits(mount.flags))
                syscalls.move_mount(tree, place + relative)
            finally:
                os.close(tree)
        except FileNotFoundError:
            return  # the path is gone from the new tree, and the mask with it

    def _processes(self) -> dict[int, list[str]]:
        """The processes in every mount namespace but this one's, by the namespace's inode number."""
        own = {os.fstat(fd).st_ino for fd in (self._own, self._stage) if fd >= 0}
        found: dict[int, list[str]] = {}
        for name in os.listdir(f"/proc/self/fd/{self._proc}"):
            if not name.isdecimal():
                continue
            try:
                identity = os.stat(f"{name}/ns/mnt", dir_fd=self._proc).st_ino
            except OSError:
                continue
            if identity not in own:
                found.setdefault(identity, []).append(name)
        return found

    def _namespaces(self) -> Iterator[tuple[int, list[str]]]:
        """A descriptor of every other mount namespace, which the caller closes, and the processes in it."""
        processes = self._processes()
        for identity, names in processes.items():
            for name in names:
                try:
                    fd = os.open(f"{name}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
                except OSError:
                    continue
                if os.fstat(fd).st_ino == identity:
                    yield fd, names
                    break
                os.close(fd)
        for fd in self._without_process(set(processes)):
            yield fd, []

    def _without_process(self, seen: set[int]) -> Iterator[int]:
        """Namespaces that only a descriptor or a bind keeps; the kernel lists them since 6.12, outside containers."""
        seen |= {os.fstat(fd).st_ino for fd in (self._own, self._stage) if fd >= 0}
        current = os.dup(self._own)
        try:
            while (following := syscalls.next_mount_namespace(current)) is not None:
                os.close(current)
                current = following
                if os.fstat(following).st_ino not in seen:
                    yield os.dup(following)
        except OSError:
            return
        finally:
            os.close(current)

    def _being_set_up(self, processes: list[str]) -> bool:
        """Whether one of these is PID 1's child before its exec: the mounts of that namespace are still being made."""
        for name in processes:
            try:
                with open(os.open(f"{name}/comm", os.O_RDONLY, dir_fd=self._proc), encoding="utf-8") as file:
                    comm = file.read().rstrip("\n")
                if not comm.startswith("(") or comm == "(sd-pam)":
                    continue
                program = os.readlink(f"{name}/exe", dir_fd=self._proc)
            except OSError:
                continue
            if os.path.basename(program) in ("systemd", "systemd-executor"):
                return True
        return False
