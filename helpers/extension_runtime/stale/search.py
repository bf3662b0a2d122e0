#  SPDX-License-Identifier: MIT
"""Finds units whose processes still see what an earlier merge had.

stat() of files says nothing here: an overlay shows each layer's files under a device of its own.  What tells is the
device of the overlay in mount tables, in memory maps and under directories, and the paths that changed.
"""

from __future__ import annotations

import os

from extension_runtime.pid1.units import unit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


MOUNTED = "its mount namespace still shows {prefix} as it was"
MAPPED = "maps {path}, which changed"
FOLDER = "its {what} directory is in the old {prefix}"
OPENED = "has {path} open, which changed"
DELETED = b" (deleted)"


class StaleView:
    """A unit that still uses what changed, and a reason for it: that of its first such process."""

    __slots__ = ("pid", "reason", "unit")

    def __init__(self, unit: str, reason: str, pid: int) -> None:
        self.unit = unit
        self.reason = reason
        self.pid = pid

    def __repr__(self) -> str:
        return f"StaleView({self.unit!r}, {self.reason!r}, {self.pid})"


def find(
    old_devs: Mapping[str, str],
    changed: Iterable[str] | Mapping[str, Iterable[str]],
    covered: Mapping[str, str] | None = None,
    proc: str = "/proc",
) -> list[StaleView]:
    """The stale units, by name, processes of no unit as "PID name".

    `old_devs`: device ("0:45") of each overlay that is not on top any more to its prefix ("/usr").
    `covered`: likewise for file systems below the overlays, which stay mounted: only what maps or opens a changed path
    on them is stale; their paths may begin with the prefix "" when they hold the whole root.
    `changed`: the merged paths that changes since added, removed or modified; or such paths for each device.
    """
    below = covered or {}
    by_device = changed if isinstance(changed, dict) else dict.fromkeys([*old_devs, *below], tuple(changed))
    search = _Search(old_devs, by_device, below, proc)
    found: dict[str, StaleView] = {}
    for name in sorted((entry for entry in os.listdir(proc) if entry.isdigit()), key=int):
        if int(name) == os.getpid():
            continue
        try:
            unit = search.unit(name)
            if unit and unit not in found:
                reason = search.reason(name)
                if reason:
                    found[unit] = StaleView(unit, reason, int(name))
        except OSError:
            continue  # it has ended
    return [found[unit] for unit in sorted(found)]


class _Namespace:
    """What a mount table says: whether an old overlay is in it, and the ids of its mounts."""

    __slots__ = ("ids", "stale")

    def __init__(self, table: bytes, old: Mapping[bytes, str]) -> None:
        # Not splitlines(): anybody may mount on a path with a carriage return.
        lines = [line.split(b" ", 3) for line in table.split(b"\n") if line]
        self.ids = {line[0] for line in lines}
        # A file system that was made since may have the number of an overlay that is gone.
        self.stale = next((old[line[2]] for line in lines if line[2] in old and b" - overlay " in line[3]), "")


class _Search:
    __slots__ = ("maps", "namespaces", "old", "old_numbers", "proc", "tails")

    def __init__(
        self, old: Mapping[str, str], changed: Mapping[str, Iterable[str]], covered: Mapping[str, str], proc: str
    ) -> None:
        self.proc = proc
        self.old = {dev.encode(): prefix for dev, prefix in old.items()}
        self.old_numbers = {_number(dev): prefix for dev, prefix in old.items()}
        # The device as /proc/PID/maps writes it, to the prefix and the paths that matter there.
        self.maps: dict[bytes, tuple[bytes, frozenset[bytes]]] = {}
        # A detached mount's paths begin at its own root.
        self.tails: dict[bytes, bytes] = {}
        for dev, text in {**covered, **old}.items():
            prefix, paths = os.fsencode(text), frozenset(os.fsencode(path) for path in changed.get(dev, ()))
            self.maps[_in_maps(dev)] = prefix, paths
            self.tails.update({path.removeprefix(prefix): path for path in paths} | {path: path for path in paths})
        self.namespaces: dict[str, _Namespace] = {}

    def read(self, pid: str, name: str) -> bytes:
        with open(f"{self.proc}/{pid}/{name}", "rb", buffering=0) as file:
            return file.read()

    def unit(self, pid: str) -> str:
        """The unit that `pid` belongs to, "" for a kernel thread."""
        for line in self.read(pid, "cgroup").split(b"\n"):
            if line.startswith((b"0::", b"1:name=systemd:")):
                unit = unit_of(os.fsdecode(line.rpartition(b":")[2]))
                if unit:
                    return unit
        try:
            os.readlink(f"{self.proc}/{pid}/exe")
        except FileNotFoundError:
            return ""
        return f"{pid} {os.fsdecode(self.read(pid, 'comm')).strip()}"

    def reason(self, pid: str) -> str:
        """Why `pid` is stale, "" when it is not."""
        namespace = self.namespace(pid)
        if namespace.stale:
            return MOUNTED.format(prefix=namespace.stale)
        return self.mapped(pid) or self.inside(pid) or self.opened(pid, namespace)

    def namespace(self, pid: str) -> _Namespace:
        name = os.readlink(f"{self.proc}/{pid}/ns/mnt")
        if name not in self.namespaces:
            self.namespaces[name] = _Namespace(self.read(pid, "mountinfo"), self.old)
        return self.namespaces[name]

    def mapped(self, pid: str) -> str:
        data = self.read(pid, "maps")
        for device, (prefix, changed) in self.maps.items():
            # Most processes have nothing of it: do not take their lines apart.
            if device not in data:
                continue
            for line in data.split(b"\n"):
                fields = line.split(None, 5)
                if len(fields) == 6 and fields[3] == device.strip():
                    shown = fields[5].removesuffix(DELETED)
                    path = next((path for path in (prefix + shown, shown) if path in changed), b"")
                    if path:
                        return MAPPED.format(path=os.fsdecode(path))
        return ""

    def inside(self, pid: str) -> str:
        for name, what in (("cwd", "working"), ("root", "root")):
            try:
                prefix = self.old_numbers.get(os.stat(f"{self.proc}/{pid}/{name}").st_dev)
            except OSError:
                continue
            if prefix:
                return FOLDER.format(what=what, prefix=prefix)
        return ""

    def opened(self, pid: str, namespace: _Namespace) -> str:
        folder = f"{self.proc}/{pid}/fd"
        for number in os.listdir(folder):
            try:
                target = os.readlink(os.fsencode(f"{folder}/{number}")).removesuffix(DELETED)
                if target[:1] != b"/" or target not in self.tails:
                    continue
                info = self.read(pid, f"fdinfo/{number}")
            except OSError:
                continue
            mount = next((line.split()[1] for line in info.splitlines() if line.startswith(b"mnt_id:")), b"")
            if mount not in namespace.ids:
                return OPENED.format(path=os.fsdecode(self.tails[target]))
        return ""


def _number(device: str) -> int:
    major, _, minor = device.partition(":")
    return os.makedev(int(major), int(minor))


def _in_maps(device: str) -> bytes:
    major, _, minor = device.partition(":")
    return b" %02x:%02x " % (int(major), int(minor))
