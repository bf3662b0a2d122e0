#  SPDX-License-Identifier: MIT
"""Brings the mount namespaces of services to what the machine's own shows, one by one, keeping each one's flags.

Propagation would do it in one step, and would put a writable tree over what ProtectSystem=, ReadOnlyPaths= and the
like have masked.  So the anchors stop it (see overlay/ground.py), and each namespace gets a copy of the new top that
has the flags of the old one, and what is mounted below it, before it is seen.  Between the machine's own swap and
this, a service sees the old content, never a wrong right.  Where a right cannot be kept, the old content stays.
"""

from __future__ import annotations

import errno
import os
import time

from extension_runtime import boundary
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.namespaces import masks
from extension_runtime.namespaces.find import Namespaces
from extension_runtime.overlay import exchange
from extension_runtime.overlay.base import signs_anchors
from extension_runtime.overlay.top import find_tops, flag_bits, generation_of, is_base, marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SETUP_TIMEOUT = 5.0  # seconds that a namespace which PID 1 is still making is waited for
TIMEOUT = 10.0  # seconds for all namespaces together: whoever makes many, or large ones, holds up no refresh
TABLE_MAX = 4 << 20  # bytes of one mount table; a machine with some hundred mounts has 64 KiB
ATTEMPTS = 3  # for a namespace whose mounts change meanwhile


class Spread:
    """What a spread did: how many namespaces it brought up to date, which it could not, and how long it took."""

    __slots__ = ("failed", "namespaces", "seconds")

    def __init__(self) -> None:
        self.namespaces = 0
        self.seconds = 0.0
        self.failed: list[str] = []


def _propagation(old: mountinfo.Mount) -> int:
    """How a new top, made as a slave, is to propagate, so that it does as the `old` one did."""
    if old.shared:
        return syscalls.MS_SHARED
    return syscalls.MS_SLAVE if old.propagation else syscalls.MS_PRIVATE


def _exchange(tree: int, target: str, old: mountinfo.Mount) -> None:
    """Replace the top `old` at `target` in a service's namespace by the mount `tree`."""
    try:
        syscalls.move_mount(tree, target, syscalls.MOVE_MOUNT_BENEATH)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS) or exchange.knows_beneath():
            raise
        # Never with a gap: what is under the old top has no masks.  So the old one stays, covered (before 6.5).
        syscalls.mount_setattr(target, propagation=syscalls.MS_PRIVATE)
        syscalls.move_mount(tree, target)
        return
    # The anchor of a service is shared, so the new top was copied into the namespaces that the service has made.  If
    # it kept those copies as peers, the old top would be taken off there as well, with the masks that it has there.
    syscalls.mount_setattr(tree, propagation=syscalls.MS_SLAVE)
    exchange.unmount_top(target)
    syscalls.mount_setattr(tree, propagation=_propagation(old))


class Spreader:
    """Works in other namespaces; `targets` gives, for each hierarchy, its path and the mount of its base.

    To be used with `with`; the process must be single-threaded (setns(2)).
    """

    def __init__(self, targets: Mapping[str, tuple[str, mountinfo.Mount]], place: str) -> None:
        self._targets = targets
        self._signed = {hierarchy: signs_anchors(base.path) for hierarchy, (_target, base) in targets.items()}
        self._place = place
        self._all = Namespaces()
        # The folder of the state is a private mount, of which every namespace made later has a copy.
        run = os.path.dirname(place)
        mount = mountinfo.read().mounts[mountinfo.visible(run)]
        self._run = mount if mount.path == run else None
        self._marks = [" " + path.replace(" ", "\\040") for path in (run, *(t for t, _base in targets.values()))]
        self._stage = -1
        self._new: dict[str, int] = {}
        self._generation: dict[str, int | None] = {}

    def __enter__(self) -> Spreader:
        return self

    def __exit__(self, *exception: object) -> None:
        syscalls.setns(self._all.own)
        for fd in (self._stage, *self._new.values()):
            if fd >= 0:
                os.close(fd)
        self._all.close()

    def spread(self) -> Spread:
        """Bring every namespace to the machine's own tops; runs until a whole pass finds none left behind."""
        result = Spread()
        begin = time.perf_counter()
        self._prepare_stage()
        deadline = time.monotonic() + SETUP_TIMEOUT
        end = time.monotonic() + TIMEOUT
        done: set[int] = {os.fstat(self._stage).st_ino}
        attempts: dict[int, int] = {}
        pause = 0.001
        while True:
            again, waiting = self._pass(done, attempts, deadline, end, result)
            if not again and not waiting:
                break
            if waiting:
                pause = min(2 * pause, 0.05)
                time.sleep(pause)
        result.seconds = time.perf_counter() - begin
        return result

    def _pass(
        self, done: set[int], attempts: dict[int, int], patience: float, end: float, result: Spread
    ) -> tuple[bool, bool]:
        """Update each namespace not in `done`; return whether to look again, and whether one is not ready yet.

        `patience` is when those that PID 1 is still making are waited for no more, `end` when all is over (monotonic).
        Whatever happens in one leaves that one behind, and no other.
        """
        again = waiting = False
        for number, fd, processes in self._all.each(without=done):
            patient = time.monotonic() < patience
            try:
                if time.monotonic() > end:
                    attempts[number] = ATTEMPTS
                    raise OSError(errno.ETIME, f"not reached within {TIMEOUT:g} s")
                if self._all.being_made(processes):
                    if self._born_current(processes):
                        done.add(number)
                        continue
                    if patient:
                        waiting = True
                        continue
                    done.add(number)
                    raise OSError(errno.EBUSY, f"not complete after {SETUP_TIMEOUT:g} s")
                changed = self._update(fd)
                done.add(number)
                again = again or changed
                result.namespaces += changed
            except Exception as error:
                attempts[number] = attempts.get(number, 0) + 1
                again = True
                final = not isinstance(error, OSError) or isinstance(error, masks.NoPlaceError)
                if attempts[number] >= ATTEMPTS or final:
                    done.add(number)
                if number in done:
                    result.failed.append(f"{self._all.owner(number, processes)}: {boundary.reason(error)}")
            finally:
                syscalls.setns(self._all.own)
                os.close(fd)
        return again, waiting

    def _born_current(self, processes: list[str]) -> bool:
        """Whether a namespace that is still being made was begun after the swap: wherever its tops are by now."""
        try:
            text = self._read(f"{processes[0]}/mountinfo")
        except OSError:
            return False
        found: dict[str, set[int | None]] = {hierarchy: set() for hierarchy in self._generation}
        for mount in mountinfo.Table(text).mounts.values():
            hierarchy = mount.source.split(":")[1] if generation_of(mount) is not None else ""
            if hierarchy in found:
                found[hierarchy].add(generation_of(mount))
        return all(found[hierarchy] == ({g} if g else set()) for hierarchy, g in self._generation.items())

    def _prepare_stage(self) -> None:
        """A private namespace with a slave copy of each of the machine's tops at self._place/HIERARCHY."""
        clones = {}
        table = mountinfo.read()
        try:
            for hierarchy, (target, _base) in self._targets.items():
                top = table.mounts.get(mountinfo.visible(target))
                self._generation[hierarchy] = None if top is None else generation_of(top)
                clones[hierarchy] = syscalls.open_tree(target)
                # A slave, so that what is mounted below the hierarchy later still arrives; a peer would also send.
                syscalls.mount_setattr(clones[hierarchy], propagation=syscalls.MS_SLAVE)
            syscalls.unshare()
            syscalls.mount_setattr("/", propagation=syscalls.MS_PRIVATE, recursive=True)
            self._stage = os.open("self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._all.proc)
            syscalls.mount("extensions-stage", self._place, "tmpfs", syscalls.MS_NODEV, "size=1m,mode=0700")
            for hierarchy, clone in clones.items():
                os.mkdir(f"{self._place}/{hierarchy}", 0o700)
                os.mkdir(f"{self._place}/{hierarchy}.tree", 0o700)
                syscalls.move_mount(clone, f"{self._place}/{hierarchy}")
            self._new = clones
            clones = {}
        finally:
            for clone in clones.values():
                os.close(clone)
            syscalls.setns(self._all.own)

    def _read(self, name: str) -> str:
        """A mount table, as it is below /proc.  Raises OSError, for one that is too large, too."""
        with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._all.proc), "rb", buffering=0) as file:
            pieces, size = [], 0
            while piece := file.read(TABLE_MAX):
                pieces.append(piece)
                size += len(piece)
                if size > TABLE_MAX:
                    raise OSError(errno.E2BIG, f"its mount table has more than {TABLE_MAX} bytes")
        return b"".join(pieces).decode(errors="surrogateescape")

    def _table(self) -> mountinfo.Table:
        """The mounts of the namespace that this process is in, as far as they matter: most time goes into reading."""
        lines = self._read("self/mountinfo").split("\n")
        kept = [line for line in lines if any(mark in line for mark in self._marks)]
        return mountinfo.Table("".join(f"{line}\n" for line in kept))

    def _update(self, fd: int) -> bool:
        """Bring one namespace up to date; return whether there was something to do."""
        syscalls.setns(fd)
        table = self._table()
        todo: dict[str, list[mountinfo.Mount]] = {}
        for hierarchy, (target, base) in self._targets.items():
            try:
                visible = mountinfo.visible(target, self._all.proc)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if visible not in table.mounts:
                continue  # nothing is mounted there
            signed = self._signed[hierarchy]
            if not signed and any(marked(m) and is_base(m, base) for m in table.stack(visible)):
                continue  # it was there before the anchor, and what its sandbox has mounted lies over the copy
            tops = find_tops(table, visible, target, base, own=False, signed=signed)
            if tops and generation_of(tops[-1]) != self._generation[hierarchy]:
                todo[hierarchy] = tops
        self._drop_private(table)
        problem: Exception | None = None
        old = {hierarchy: tops[-1] for hierarchy, tops in todo.items()}
        for hierarchy, tops in todo.items():
            try:
                self._replace(fd, hierarchy, tops, old, table)
            except Exception as error:
                problem = error  # one hierarchy that stays behind does not hold up the others
        if problem is not None:
            raise problem
        return bool(todo)

    def _drop_private(self, table: mountinfo.Table) -> None:
        """Take off this namespace's copies of bases, layers and staged trees: they would pin images for its life."""
        run = os.path.dirname(self._place)
        if self._run is None or not any(m.path == run for m in table.mounts.values()):
            return
        mount = table.mounts.get(mountinfo.visible(run, self._all.proc))
        if mount is not None and (mount.path, mount.dev, mount.root) == (run, self._run.dev, self._run.root):
            exchange.unmount_top(run)

    def _replace(
        self,
        fd: int,
        hierarchy: str,
        tops: list[mountinfo.Mount],
        old: Mapping[str, mountinfo.Mount],
        table: mountinfo.Table,
    ) -> None:
        target = self._targets[hierarchy][0]
        top = tops[-1]
        tree = -1
        below = masks.collect(table, target, top, old, self._all.proc)
        try:
            syscalls.setns(self._stage)
            tree = self._assemble(hierarchy, top, below)
            syscalls.setns(fd)
            if below and masks.shape(self._table(), target) != masks.shape(table, target):
                raise OSError(errno.ESTALE, f"{target}: what is mounted there changes all the time")
            if len(tops) > 1 and masks.same_rights(table, target, tops[-2], top):
                exchange.unmount_top(target)  # a spread that was killed has left two
            _exchange(tree, target, top)
        finally:
            syscalls.setns(fd)
            masks.close(below)
            if tree >= 0:
                os.close(tree)

    def _assemble(self, hierarchy: str, old: mountinfo.Mount, below: list[masks.Mask]) -> int:
        """In the staging namespace: a detached copy of the new top with the flags and masks of the old one."""
        top = syscalls.open_tree("", dir_fd=self._new[hierarchy])
        try:
            # The flags of the old top are this service's own: the machine's read-only modes are in the superblock.
            syscalls.mount_setattr(top, attr_set=flag_bits(old.flags), propagation=_propagation(old))
            if not below:
                return os.dup(top)
            place = f"{self._place}/{hierarchy}.tree"
            syscalls.move_mount(top, place)
            try:
                masks.place(below, self._targets[hierarchy][0], top, self._new)
                return syscalls.open_tree(place, syscalls.OPEN_TREE_CLONE | syscalls.AT_RECURSIVE)
            finally:
                exchange.unmount_top(place)
        finally:
            os.close(top)
