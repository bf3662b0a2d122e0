#  SPDX-License-Identifier: MIT
"""Who else than root can change a file that decides what is merged.  Told, and no reason to leave anything out."""

from __future__ import annotations

import os
import stat

from extension_manifests.errors import printable

from extension_runtime.kernel import chase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def remarks(root: str, paths: Iterable[str]) -> list[tuple[str, str]]:
    """(path, remark) of each of the absolute `paths` in `root`, and each folder on the way to one, that others may
    change, each once.  What is not there is left out.

    Links are followed inside the root; what they lead through counts as what is written does.  A root of an ordinary
    user's is all that user's.
    """
    root_fd = chase.open_root(root or "/")
    try:
        owner = os.fstat(root_fd).st_uid
        top = os.readlink(f"/proc/self/fd/{root_fd}").rstrip("/")
        found: dict[str, str] = {}
        for path in paths:
            real = _look(root_fd, path, owner, found).removeprefix(top)
            for place in (*_above(path), *_above(real), real):
                _look(root_fd, place, owner, found)
        return [(printable(place), remark) for place, remark in found.items() if remark]
    finally:
        os.close(root_fd)


def _above(path: str) -> list[str]:
    """The folders above `path`, the highest first, but for the root."""
    parts = [part for part in path.split("/") if part]
    return ["/" + "/".join(parts[:end]) for end in range(1, len(parts))]


def _look(root_fd: int, path: str, owner: int, found: dict[str, str]) -> str:
    """Note in `found` who else may change `path`; returns where it is on this machine, "" for what is known already."""
    if not path or path in found:
        return ""
    found[path] = ""
    try:
        fd = chase.locate(root_fd, path)
    except OSError:
        return ""
    try:
        info = os.fstat(fd)
        if info.st_uid not in (0, owner):
            found[path] = f"belongs to user {info.st_uid}, who can change what is merged; make it root's"
        elif info.st_mode & stat.S_IWOTH and not stat.S_ISCHR(info.st_mode):
            found[path] = "can be written by everybody, who can so change what is merged; chmod o-w"
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
