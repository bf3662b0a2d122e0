#  SPDX-License-Identifier: MIT
"""What is kept below /run/extensionctl: its folders, the lock, and state.json, written whole and then renamed."""

from __future__ import annotations

import fcntl
import json
import os

from extension_manifests.errors import ExtensionError

from extension_runtime.paths import Places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1
HIERARCHIES = ("usr", "opt", "etc")


class StateError(ExtensionError):
    """The state cannot be read, written or locked."""


def empty() -> dict[str, Any]:
    """The state of a root on which nothing was ever merged."""
    return {
        "format": FORMAT,
        "generation": 0,
        "when": 0,
        "hierarchies": {},
        "extensions": {},
        "previous": None,
        "last": None,
        "history": [],
        "stale": [],
    }


def read(places: Places) -> dict[str, Any]:
    """The state at `places` (the contents of state.json), or that of an unmerged one when there is none.

    Raises StateError when it cannot be read or is of another format.
    """
    path = places.state
    try:
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
    except FileNotFoundError:
        return empty()
    except (OSError, ValueError) as error:
        raise StateError(f"{path}: {error}; remove it and run 'extensionctl refresh --always'") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise StateError(f"{path}: written by another version; remove it and run 'extensionctl refresh --always'")
    return state


def write(places: Places, state: dict[str, Any]) -> None:
    """Replace state.json in one step; a reader sees the old or the new one, whole."""
    # On one line: what writes indented JSON takes ten times as long.
    replace(places.state, json.dumps(state, sort_keys=True) + "\n")


def replace(path: str, text: str) -> None:
    """Write `text` beside `path`, readable by root only, and rename it there.  Raises StateError."""
    beside = f"{path}.new"
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(beside, path)
    except OSError as error:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise StateError(f"{path}: {error.strerror}") from None


def folder(path: str, mode: int = 0o700) -> None:
    """Make the folder `path`, whose parent may be missing, too; an existing one must be a folder of this user.

    Raises StateError.
    """
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            pass
        found = os.lstat(path)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from None
    if found.st_uid != os.geteuid() or (found.st_mode & 0o170000) != 0o040000:
        raise StateError(f"{path}: not a folder of the user {os.geteuid()}; remove it")


def remove_empty(path: str) -> None:
    """Remove the empty folders in the folder `path`, and never more: one of them may be a mount point still."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return
    for name in names:
        try:
            os.rmdir(f"{path}/{name}")
        except OSError:
            continue


class Lock:
    """The one lock of a root, held over a whole verb; those who come later wait for it."""

    def __init__(self, places: Places, timeout: float) -> None:
        self._path = places.lock
        self._timeout = timeout
        self._fd = -1

    def __enter__(self) -> Lock:
        import time

        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StateError(f"{self._path}: {error.strerror}") from None
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self._fd)
                    raise StateError(
                        f"{self._path}: another merge or refresh has not ended within {self._timeout:g} s"
                    ) from None
                time.sleep(0.005)

    def __exit__(self, *exception: object) -> None:
        os.close(self._fd)
