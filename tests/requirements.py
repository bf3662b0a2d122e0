"""What a test needs beyond Python: skipped with the reason where it is missing, a failure with CI=true."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Leave the running test out for `reason`; with CI=true that is a failure, so that nothing goes unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true and {reason}", pytrace=False)
    pytest.skip(reason)


@functools.cache
def _may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def require_root() -> None:
    """Go on only as a user who may make mount namespaces and mounts."""
    if os.geteuid() != 0:
        lacking("needs root")
    if not _may_mount():
        lacking("needs the right to make mount namespaces (CAP_SYS_ADMIN)")


def require_tool(*names: str) -> None:
    """Go on only where all commands `names` are installed."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    for name in names:
        if shutil.which(name, path=path) is None:
            lacking(f"needs {name}")


def require_filesystem(*names: str) -> None:
    """Go on only where the kernel knows the file systems `names` (or may load their modules)."""
    with open("/proc/filesystems", encoding="ascii") as file:
        known = {line.split()[-1] for line in file}
    for name in names:
        if name not in known:
            subprocess.run(["modprobe", "-q", name], stderr=subprocess.DEVNULL, check=False)
            with open("/proc/filesystems", encoding="ascii") as file:
                known = {line.split()[-1] for line in file}
        if name not in known:
            lacking(f"needs the file system {name} in the kernel")
