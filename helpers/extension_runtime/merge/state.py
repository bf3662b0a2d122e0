#  SPDX-License-Identifier: MIT
"""What is kept below /run/extensionctl: its folders, the lock, and state.json, written whole and then renamed."""

from __future__ import annotations

import fcntl
import json
import os

from extension_runtime.files import StateError, replace
from extension_runtime.paths import Paths

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


FORMAT = 1


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


def read(places: Paths) -> dict[str, Any]:
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


def write(places: Paths, state: dict[str, Any]) -> None:
    """Replace state.json in one step; a reader sees the old or the new one, whole."""
    # On one line: what writes indented JSON takes ten times as long.
    replace(places.state, json.dumps(state, sort_keys=True) + "\n")


class Lock:
    """The one lock of a root, held over a whole verb; those who come later wait for it."""

    def __init__(self, places: Paths, timeout: float) -> None:
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
