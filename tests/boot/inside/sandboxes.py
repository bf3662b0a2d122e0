"""Units with every kind of mount sandbox, started at various times; prints what each may do in every scene of a day.

With `plain` as argument verbs are those of plain.py.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from typing import Any

from inside import read, sh, show

# What the units may and may not do is in test_namespaces.py, under the same names.
BOX = "/etc/box"
KINDS = {
    "none": "",
    "private-tmp": "PrivateTmp=yes",
    "system-yes": "ProtectSystem=yes",
    "system-full": "ProtectSystem=full",
    "system-strict": "ProtectSystem=strict",
    "private-users": "PrivateUsers=yes\nPrivateTmp=yes",
    "flags-private": "MountFlags=private\nPrivateTmp=yes",
    "read-write": f"ProtectSystem=strict\nReadWritePaths={BOX}/open",
    "read-only": f"ReadOnlyPaths={BOX}/shut",
    "inaccessible": f"InaccessiblePaths={BOX}/secret {BOX}/secret/file",
    "tmpfs": f"TemporaryFileSystem={BOX}/secret",
    "bind-inside": f"BindReadOnlyPaths={BOX}/open:{BOX}/bound",
    "bind-outside": f"BindReadOnlyPaths=/srv/outside:{BOX}/bound",
    "bind-usr": f"BindReadOnlyPaths=/usr/share/box:{BOX}/bound",
    "bind-in-tmpfs": f"TemporaryFileSystem={BOX}/secret\nBindReadOnlyPaths={BOX}/open:{BOX}/secret/bound",
    "nested": f"ReadOnlyPaths={BOX}\nInaccessiblePaths={BOX}/secret\nReadWritePaths={BOX}/open",
    "vanishing": f"ReadOnlyPaths=-{BOX}/even\nInaccessiblePaths=-{BOX}/even/secret",
    "root-directory": "RootDirectory=/srv/root\nBindReadOnlyPaths=/usr /etc\nMountAPIVFS=yes",
    # A service that makes a namespace of its own, below its unit's, and locks /etc there.
    "own-namespace": "PrivateTmp=yes",
}
LOCKING = (
    "unshare --mount --propagation slave sh -c 'mountpoint -q /etc || mount --bind /etc /etc;"
    " mount -o remount,bind,ro /etc; exec sleep infinity' & wait"
)
PLACES = [f"{BOX}{tail}" for tail in ("", "/open", "/shut", "/secret", "/bound", "/even")] + [
    "/usr/share/box",
    "/opt/box",
]
FILES = [f"{place}/file" for place in PLACES] + [f"{BOX}/secret/bound/file", f"{BOX}/even/secret/file"]
MODES = "/run/extensions.d/extensions.conf.d/90-mode.conf"
libc = ctypes.CDLL(None, use_errno=True)
facts: dict[str, Any] = {"scenes": [], "starts": []}
started: dict[str, int] = {}


def start(when: str) -> None:
    """Start one unit of each kind."""
    names = []
    for kind, lines in KINDS.items():
        name = f"box-{when}-{kind}.service"
        command = f'/bin/sh -c "{LOCKING}"' if kind == "own-namespace" else "/usr/bin/sleep infinity"
        with open(f"/run/systemd/system/{name}", "w", encoding="utf-8") as file:
            file.write(f"[Service]\nExecStart={command}\n{lines}\n")
        names.append(name)
    sh("systemctl daemon-reload")
    ran = sh(f"systemctl start {' '.join(names)}; sleep 0.5")
    facts["starts"].append(ran)
    for name in names:
        pid = int(show(name, "MainPID")["MainPID"])
        if name.endswith("own-namespace.service"):
            pid = int(read(f"/proc/{pid}/task/{pid}/children") or 0)
        started[name.removesuffix(".service")] = pid


def attempt(path: str, *, write: bool) -> str:
    """Read a file, or write one: its text or "", or the name of the error."""
    try:
        if write:
            with open(path, "w", encoding="utf-8"):
                pass
            os.unlink(path)
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def inside(pid: int, name: str) -> dict[str, Any]:
    """What can be done in the mount namespace of `pid`, found by a child that goes there."""
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if libc.setns(namespace, 0) == 0:
                seen = {
                    "write": {place: attempt(f"{place}/by-{name}", write=True) for place in PLACES},
                    "read": {path: attempt(path, write=False) for path in FILES},
                }
                os.write(writer, json.dumps(seen).encode())
                code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        text = file.read()
    os.close(namespace)
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text)
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as table:
        lines = table.read().splitlines()
    found["mounts"] = len(lines)
    found["overlays"] = sorted({line.split()[2] for line in lines if " - overlay extensions:" in line})
    found["private"] = [line for line in lines if " /run/extensionctl/" in line]
    return found


def look(name: str, ran: dict[str, Any], version: str, writable: str) -> None:
    """Note what every unit can do now; `version` is what is merged, `writable` the hierarchies that can be written."""
    units = {unit: inside(pid, unit) for unit, pid in started.items()}
    host = inside(os.getpid(), "host")
    facts["scenes"].append(
        {"name": name, "ran": ran, "version": version, "writable": writable.split(), "units": units, "host": host}
    )


def bring(version: str) -> None:
    """Put the images of a version into place."""
    for home, name in (("/var/lib/confexts", "box"), ("/var/lib/extensions", "boxware")):
        if os.path.exists(f"{home}/{name}"):
            with open(f"{home}/{name}.version", encoding="utf-8") as file:
                os.rename(f"{home}/{name}", f"/srv/{name}-{file.read()}")
        os.makedirs(home, exist_ok=True)
        os.rename(f"/srv/{name}-{version}", f"{home}/{name}")
        with open(f"{home}/{name}.version", "w", encoding="utf-8") as file:
            file.write(version)


def mode(name: str) -> None:
    """Have /etc in a mode."""
    os.makedirs(os.path.dirname(MODES), exist_ok=True)
    with open(MODES, "w", encoding="utf-8") as file:
        file.write(f"[Etc]\nMode={name}\n")


def verb(name: str) -> dict[str, Any]:
    """Run extensionctl, or what stands for it."""
    if "plain" in sys.argv:
        return sh(f"python3 -B /boot-test/plain.py {name}")
    return sh(f"extensionctl {name}")


def manifests() -> None:
    """Tell PID 1 of the extensions."""
    os.makedirs("/run/extensions.d", exist_ok=True)
    for name, kind in (("box", "confext"), ("boxware", "sysext")):
        with open(f"/run/extensions.d/{name}.extension", "w", encoding="utf-8") as file:
            file.write(f"[Extension]\nClass={kind}\n")
    sh("systemctl daemon-reload")


def day() -> None:
    """Everything in its order."""
    start("early")
    look("base", {"rc": 0}, "base", "usr opt etc")
    bring("1")
    manifests()
    look("merged", verb("refresh"), "1", "")
    start("late")
    bring("2")
    look("refreshed", verb("refresh"), "2", "")
    bring("3")
    look("refreshed again", verb("refresh"), "3", "")
    mode("ephemeral")
    look("ephemeral", verb("refresh"), "3", "etc")
    bring("2")
    look("ephemeral refreshed", verb("refresh"), "2", "etc")
    start("mutable")
    mode("persistent")
    look("persistent", verb("refresh"), "2", "etc")
    bring("3")
    look("persistent refreshed", verb("refresh"), "3", "etc")
    mode("read-only")
    look("read-only", verb("refresh"), "3", "")
    look("unmerged", verb("unmerge"), "base", "usr opt etc")
    start("between")
    mode("ephemeral")
    look("merged again", verb("merge"), "3", "etc")
    bring("2")
    look("refreshed after", verb("refresh"), "2", "etc")
    look("unmerged again", verb("unmerge"), "base", "usr opt etc")


def plain_day() -> None:
    """What is enough to see that masks are lost."""
    start("early")
    bring("1")
    manifests()
    mode("ephemeral")
    look("merged", verb("merge"), "1", "etc")
    start("late")
    bring("2")
    look("refreshed", verb("refresh"), "2", "etc")
    bring("3")
    look("refreshed again", verb("refresh"), "3", "etc")


if "plain" in sys.argv:
    plain_day()
else:
    day()
json.dump(facts, sys.stdout)
