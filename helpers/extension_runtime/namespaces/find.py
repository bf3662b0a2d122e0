#  SPDX-License-Identifier: MIT
"""Finds the mount namespaces of a machine, and which of them are still being made by PID 1."""

from __future__ import annotations

import os

from extension_runtime.kernel import syscalls
from extension_runtime.pid1.units import unit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_MAKERS = ("systemd", "systemd-executor")  # the programs that make the namespaces of units, before they run the unit's


class Namespaces:
    """All mount namespaces but the one this is made in.  Holds /proc and its own namespace open until `close`."""

    def __init__(self) -> None:
        self.proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the descriptors."""
        os.close(self.proc)
        os.close(self.own)

    def each(self, without: Container[int] = ()) -> Iterator[tuple[int, int, list[str]]]:
        """Inode number, a descriptor that the caller closes, and the processes of each not in `without`."""
        processes = self.processes()
        for number, names in processes.items():
            if number in without:
                continue
            for name in names:
                try:
                    fd = os.open(f"{name}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.proc)
                except OSError:
                    continue  # the process has ended
                if os.fstat(fd).st_ino == number:
                    yield number, fd, names
                    break
                os.close(fd)
        for fd in self._without_process(processes):
            number = os.fstat(fd).st_ino
            if number in without:
                os.close(fd)
            else:
                yield number, fd, []

    def owner(self, number: int, processes: list[str]) -> str:
        """Whose a namespace is, for a message: the unit, or what else is known."""
        for name in processes:
            try:
                with open(os.open(f"{name}/cgroup", os.O_RDONLY, dir_fd=self.proc), encoding="utf-8") as file:
                    units = [unit for line in file if (unit := unit_of(line.rstrip("\n").rpartition(":")[2]))]
            except (OSError, UnicodeDecodeError):
                continue
            return units[0] if units else f"process {name}"
        return f"mount namespace {number}"

    def being_made(self, processes: list[str]) -> bool:
        """Whether one of `processes` is PID 1's child before its exec: its mounts are still being made."""
        for name in processes:
            try:
                with open(os.open(f"{name}/comm", os.O_RDONLY, dir_fd=self.proc), encoding="utf-8") as file:
                    comm = file.read().rstrip("\n")
                if not comm.startswith("(") or comm == "(sd-pam)":
                    continue  # (sd-pam) stays as long as its unit does
                program = os.readlink(f"{name}/exe", dir_fd=self.proc)
            except (OSError, UnicodeDecodeError):
                continue
            if os.path.basename(program.removesuffix(" (deleted)")) in _MAKERS:
                return True
        return False

    def processes(self) -> dict[int, list[str]]:
        """The processes of each, by inode number."""
        own = os.fstat(self.own).st_ino
        found: dict[int, list[str]] = {}
        for name in os.listdir(f"/proc/self/fd/{self.proc}"):
            if not name.isdecimal():
                continue
            try:
                number = os.stat(f"{name}/ns/mnt", dir_fd=self.proc).st_ino
            except OSError:
                continue  # it has ended, or is a kernel thread
            if number != own:
                found.setdefault(number, []).append(name)
        # Those that any user can make come last: they may take all the time there is.
        return dict(sorted(found.items(), key=lambda item: self._foreign(item[1][0])))

    def _foreign(self, process: str) -> bool:
        """Whether a process is in another user namespace than this one."""
        try:
            own = os.stat("self/ns/user", dir_fd=self.proc).st_ino
            return os.stat(f"{process}/ns/user", dir_fd=self.proc).st_ino != own
        except OSError:
            return True

    def _without_process(self, seen: Container[int]) -> Iterator[int]:
        """Those that only a descriptor or a bind keeps; the kernel lists them since 6.12, outside of containers."""
        own = os.fstat(self.own).st_ino
        current = os.dup(self.own)
        try:
            while (following := syscalls.next_mount_namespace(current)) is not None:
                os.close(current)
                current = following
                number = os.fstat(following).st_ino
                if number != own and number not in seen:
                    yield os.dup(following)
        except OSError:
            return
        finally:
            os.close(current)
