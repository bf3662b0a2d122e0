#  SPDX-License-Identifier: MIT
"""Finds units whose processes still see what an earlier merge had.

stat() of files says nothing here: an overlay shows each layer's files under a device of its own.  What tells is the
device of the overlay in mount tables, in memory maps and under directories, and the paths that changed.
"""

from __future__ import annotations

import errno
import os

from extension_runtime import boundary
from extension_runtime.pid1.units import unit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping


MOUNTED = "its mount namespace still shows {prefix} as it was"
MAPPED = "maps {path}, which changed"
FOLDER = "its {what} directory is in the old {prefix}"
OPENED = "has {path} open, which changed"
UNKNOWN = "cannot be looked at ({reason}), so it may use old content"
DELETED = b" (deleted)"
_NOT_OURS = (errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM)


class StaleView:
    """A unit that still uses what changed, and a reason for it: that of its first such process.

    Not `sure`: it could not be found out.
    """

    __slots__ = ("pid", "reason", "sure", "unit")

    def __init__(self, unit: str, reason: str, pid: int, sure: bool = True) -> None:
        self.unit = unit
        self.reason = reason
        self.pid = pid
        self.sure = sure

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
    `changed`: the merged paths that changes since added, removed or modified; or such paths for each device.  One that
    ends in a slash stands for all below it.  A process that cannot be looked at is told of, too.
    """
    below = covered or {}
    by_device = changed if isinstance(changed, dict) else dict.fromkeys([*old_devs, *below], tuple(changed))
    search = _Search(old_devs, by_device, below, proc)
    found: dict[str, StaleView] = {}
    for name in sorted((entry for entry in os.listdir(proc) if entry.isdigit()), key=int):
        if int(name) == os.getpid():
            continue
        unit, sure = f"process {name}", True
        try:
            unit = search.unit(name)
            reason = search.reason(name) if unit and unit not in found else ""
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NOT_OURS:
                continue  # it has ended, or is none of this user's
            reason, sure = UNKNOWN.format(reason=boundary.reason(error)), False
        if reason:
            found.setdefault(unit, StaleView(unit, reason, int(name), sure))
    return [found[unit] for unit in sorted(found)]


OURS = b" - overlay extensions"  # what mount tables say of our overlays, see overlay/top.py


class _Namespace:
    """What a mount table says: whether an old overlay is in it, and the ids of its mounts."""

    __slots__ = ("ids", "others", "stale")

    def __init__(self, table: bytes, old: Mapping[bytes, str]) -> None:
        # Not splitlines(): anybody may mount on a path with a carriage return.
        lines = [line.split(b" ", 3) for line in table.split(b"\n") if line]
        self.ids = {line[0] for line in lines}
        # A file system that was made since may have the number of an overlay that is gone.
        self.stale = next((old[line[2]] for line in lines if line[2] in old and OURS in line[3]), "")
        # What has the number of an overlay that is gone, and is none.
        self.others = {line[2] for line in lines if OURS not in line[3]}


class _Search:
    __slots__ = ("maps", "namespaces", "old", "old_numbers", "proc", "tails")

    def __init__(
        self, old: Mapping[str, str], changed: Mapping[str, Iterable[str]], covered: Mapping[str, str], proc: str
    ) -> None:
        self.proc = proc
        self.old = {dev.encode(): prefix for dev, prefix in old.items()}
        self.old_numbers = {_number(dev): prefix for dev, prefix in old.items()}
        # The device as /proc/PID/maps writes it, to the prefix, the paths that matter there, and an overlay's number.
        self.maps: dict[bytes, tuple[bytes, frozenset[bytes], bytes]] = {}
        # A detached mount's paths begin at its own root.
        self.tails: dict[bytes, bytes] = {}
        for dev, text in {**covered, **old}.items():
            prefix, paths = os.fsencode(text), frozenset(os.fsencode(path) for path in changed.get(dev, ()))
            self.maps[_in_maps(dev)] = prefix, paths, dev.encode() if dev in old else b""
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
        return self.mapped(pid, namespace) or self.inside(pid) or self.opened(pid, namespace)

    def namespace(self, pid: str) -> _Namespace:
        name = os.readlink(f"{self.proc}/{pid}/ns/mnt")
        if name not in self.namespaces:
            self.namespaces[name] = _Namespace(self.read(pid, "mountinfo"), self.old)
        return self.namespaces[name]

    def mapped(self, pid: str, namespace: _Namespace) -> str:
        data = self.read(pid, "maps")
        for device, (prefix, changed, number) in self.maps.items():
            # Most processes have nothing of it: do not take their lines apart.
            if device not in data or number in namespace.others:
                continue
            for line in data.split(b"\n"):
                fields = line.split(None, 5)
                if len(fields) == 6 and fields[3] == device.strip():
                    shown = fields[5].removesuffix(DELETED)
                    path = next((path for path in (prefix + shown, shown) if _entry(path, changed)), b"")
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
                entry = _entry(target, self.tails) if target[:1] == b"/" else b""
                if not entry:
                    continue
                info = self.read(pid, f"fdinfo/{number}")
            except OSError:
                continue
            mount = next((line.split()[1] for line in info.splitlines() if line.startswith(b"mnt_id:")), b"")
            if mount not in namespace.ids:
                path = self.tails[entry] + target[len(entry) :]
                return OPENED.format(path=os.fsdecode(path))
        return ""


def _entry(path: bytes, known: Container[bytes]) -> bytes:
    """The entry of `known` that stands for `path`: itself, or a folder above it, with a slash; b"" for none."""
    if path in known:
        return path
    cut = path.rfind(b"/")
    while cut >= 0:
        if path[: cut + 1] in known:
            return path[: cut + 1]
        cut = path.rfind(b"/", 0, cut)
    return b""


def _number(device: str) -> int:
    major, _, minor = device.partition(":")
    return os.makedev(int(major), int(minor))


def _in_maps(device: str) -> bytes:
    major, _, minor = device.partition(":")
    return b" %02x:%02x " % (int(major), int(minor))
