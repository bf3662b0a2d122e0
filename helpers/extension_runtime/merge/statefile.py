#  SPDX-License-Identifier: MIT
"""Reads and writes state.json.  One that cannot be read is put aside, and what is mounted tells the rest."""

from __future__ import annotations

import os
import time

from extension_manifests.errors import printable

from extension_runtime import boundary, jsontext
from extension_runtime.files import StateError, replace
from extension_runtime.files import read as read_text
from extension_runtime.merge import sound
from extension_runtime.merge.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.paths import Paths

SIZE_MAX = 16 << 20  # bytes


def read(paths: Paths) -> State:
    """The state, or that of an unmerged root when there is none.

    Raises StateError when it cannot be read, or is none of this version or the one before.
    """
    try:
        state = State.of(jsontext.loads(read_text(paths.state, SIZE_MAX)))
        problem = sound.problem(state, paths.layers)
    except FileNotFoundError:
        return State()
    except StateError:
        raise
    except ValueError as error:
        raise StateError(printable(f"{paths.state}: {error}")) from None
    except Exception as error:
        raise StateError(f"{paths.state}: {boundary.reason(error)}") from None
    if problem:
        raise StateError(printable(f"{paths.state}: {problem}"))
    return state


def read_or_empty(paths: Paths) -> tuple[State, str]:
    """As `read`, for who only reads: the state of an unmerged root and what is wrong, where it cannot be read."""
    try:
        return read(paths), ""
    except StateError as error:
        return State(), f"{error}; the next merge or refresh puts it aside"


def read_or_put_aside(paths: Paths) -> tuple[State, str]:
    """As `read`, under the lock: what cannot be read is renamed, and the second value is one line that says so.

    Raises StateError when it cannot be renamed either.
    """
    try:
        return read(paths), ""
    except StateError as error:
        aside = f"{paths.state}.aside"
        if os.path.isdir(aside) or (os.path.isdir(paths.state) and os.path.lexists(aside)):
            aside += f".{time.time_ns()}"  # a folder takes no other name's place
        try:
            os.rename(paths.state, aside)
        except OSError as failed:
            raise StateError(f"{error}, and cannot be put aside: {failed.strerror}") from None
        return State(), f"{error}; kept as {aside}, and all extensions are merged anew"


def write(paths: Paths, state: State) -> None:
    """Replace state.json in one step; a reader sees the old or the new one, whole.  Raises StateError."""
    replace(paths.state, jsontext.dumps(state.data()) + "\n")
