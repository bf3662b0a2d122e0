"""What the scripts inside a machine share: run a command, ask extensionctl and PID 1, count lookups.

Runs with the machine's own Python, 3.11 or later, and nothing but its standard library.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from typing import Any


def sh(command: str, timeout: float = 90.0) -> dict[str, Any]:
    """Run a shell command: {"rc", "out", "seconds"}; "out" has standard error, too; rc 124 after `timeout` seconds."""
    begun = time.monotonic()
    try:
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        rc, out = ran.returncode, ran.stdout
    except subprocess.TimeoutExpired as late:
        rc, out = 124, f"no end after {timeout} s: {late.stdout!r}"
    return {"rc": rc, "out": out.strip(), "seconds": round(time.monotonic() - begun, 3)}


def extensions() -> dict[str, dict[str, Any]]:
    """The rows of `extensionctl list`, by name; empty with what went wrong under "" when it did not run."""
    ran = subprocess.run(["extensionctl", "list", "--json=short"], capture_output=True, check=False)
    try:
        return {row["name"]: row for row in json.loads(ran.stdout)}
    except ValueError:
        return {"": {"rc": ran.returncode, "out": ran.stdout.decode(), "err": ran.stderr.decode()}}


def show(unit: str, *properties: str) -> dict[str, str]:
    """Properties of a unit."""
    out = subprocess.run(
        ["systemctl", "show", unit, "-p", ",".join(properties)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return dict(line.partition("=")[::2] for line in out.splitlines())


def failed() -> list[str]:
    """Units that have failed."""
    out = sh("systemctl --failed --plain --no-legend | awk '{print $1}'")["out"]
    return sorted(out.split())


def read(path: str) -> str | None:
    """A file's text, or None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def can_write(path: str) -> str:
    """Try to write a file: "" when that worked, else the error's name."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write("written\n")
        return ""
    except OSError as error:
        return error.strerror or str(error)


def tree(top: str) -> dict[str, str]:
    """Everything below `top` without what is mounted there: relative path -> mode, owner, target or digest."""
    found: dict[str, str] = {}
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if not os.path.ismount(os.path.join(directory, name))]
        for name in names + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            text = f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
            if os.path.islink(path):
                text += " -> " + os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    text += " " + hashlib.sha256(file.read()).hexdigest()[:16]
            found[os.path.relpath(path, top)] = text
    return found


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs between two trees, at most twenty lines."""
    return [
        f"{path}: {before.get(path)} | {after.get(path)}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ][:20]


def mounts(under: tuple[str, ...]) -> list[str]:
    """Mount points of this namespace below some places, with their types, in order."""
    rows = []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            kind = words[words.index("-") + 1]
            if words[4].startswith(under):
                rows.append(f"{words[4]} {kind}")
    return rows


class Lookups:
    """Context manager: looks paths up without a pause meanwhile; `count` lookups, of which `missing` failed."""

    def __init__(self, *paths: str) -> None:
        self.count = self.missing = 0
        self._paths = paths
        self._stop = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop:
            for path in self._paths:
                try:
                    os.stat(path)
                except OSError:
                    self.missing += 1
                self.count += 1

    def __enter__(self) -> Lookups:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()
