#  SPDX-License-Identifier: MIT
"""Decides which actions changed paths trigger, and runs them: each once, and none stops the others."""

from __future__ import annotations

import os

from extension_manifests.globs import Glob

from extension_runtime import boundary
from extension_runtime.pid1 import commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extension_runtime.layers.compare import Changed
    from extension_runtime.react.actionfile import Action

TIMEOUT = 90.0  # seconds for one command


class Triggered:
    """An action, and the changed paths that trigger it."""

    __slots__ = ("action", "paths")

    def __init__(self, action: Action, paths: list[str]) -> None:
        self.action = action
        self.paths = paths

    def describe(self) -> str:
        """A line for people."""
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return f"run the action {self.action.name} for {self.paths[0]}{more}"


def triggered(
    actions: Sequence[Action],
    changes: Sequence[Changed],
    verb: str,
    boot: bool = False,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Triggered]:
    """The actions, in their order, that `changes` trigger; `say` takes a line about each that cannot be decided on."""
    verb = "refresh" if verb == "rollback" else verb
    found = []
    for action in actions:
        try:
            if verb not in action.on or (boot and not action.boot):
                continue
            globs = [Glob(text) for text in action.paths]
            paths = [change.path for change in changes if any(glob.matches(change.path) for glob in globs)]
        except Exception as error:
            say(f"{action.name}: left out: {boundary.reason(error)}")
            continue
        if paths:
            found.append(Triggered(action, paths))
    return found


def execute(
    item: Triggered,
    run: Callable[..., commands.Completed] = commands.run,
    exists: Callable[[str], bool] = os.path.lexists,
    writable: Callable[[str], bool] = lambda path: os.access(path, os.W_OK),
) -> str:
    """Run the command of an action; units are the caller's.  Returns why it was left out, or "".

    Raises CommandError when the command fails.
    """
    action = item.action
    if not all(exists(path) for path in action.exists):
        return ""
    for path in action.writable:
        if not writable(path if exists(path) else os.path.dirname(path)):
            return f"{action.name}: left out, {path} cannot be written; {' '.join(action.exec)} was not run"
    argv = list(action.exec)
    if action.append:
        present = [path for path in item.paths if exists(path)]
        if not present:
            return ""
        argv += present
    if argv:
        run(argv, input="".join(f"{path}\n" for path in item.paths), timeout=TIMEOUT)
    return ""
