#  SPDX-License-Identifier: MIT
"""What extensions bring for a hierarchy that is not there: it is made, or the extensions say that it is not seen."""

from __future__ import annotations

import os

from extension_manifests import classes

from extension_runtime.merge import choose
from extension_runtime.overlay import hierarchy
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.outlook import Outlook


class Make(Step):
    """Makes the folder of a hierarchy that is missing.  One that cannot be made stops nothing: `problem` says why."""

    def __init__(self, found: dict[str, hierarchy.Hierarchy], item: hierarchy.Hierarchy) -> None:
        super().__init__(f"make:{item.name}", f"make {item.target}")
        self._found = found
        self._item = item
        self._made: list[str] = []
        self.problem = ""

    def do(self) -> None:
        try:
            hierarchy.make(self._item, self._made)
            self._found[self._item.name] = self._item
        except OSError as error:
            self.undo()
            why = os.strerror(error.errno or 0)
            self.problem = f"/{self._item.name}: {self._item.target} is missing, and cannot be made: {why}; make it"

    def undo(self) -> None:
        self._found.pop(self._item.name, None)
        while self._made:
            os.rmdir(self._made.pop())


def make(outlook: Outlook, choices: Sequence[Choice], log: Callable[[str], None]) -> Iterator[Step]:
    """Make the missing hierarchies for which the chosen extensions bring something, or which are to have a mode.

    Extensions say themselves what became of theirs, see tell(); of a mode the `log` tells.
    """
    settings = outlook.plan.settings
    brought = {name for choice in choices if choice.source != choose.NONE for name in choice.standing.hierarchies}
    for name, item in list(outlook.missing.items()):
        configured = settings.hierarchy(name)
        if name not in brought and configured.mode == "auto" and not configured.import_:
            continue
        step = Make(outlook.hierarchies, item)
        yield step
        del outlook.missing[name]
        if step.problem:
            outlook.nowhere[name] = step.problem
            if name not in brought:
                log(step.problem)
        else:
            outlook.hierarchies[name] = item  # in a dry run nobody has


def tell(outlook: Outlook, choices: Sequence[Choice]) -> None:
    """Have each extension say what of it is not seen; one that has nothing else is left out."""
    for choice in choices:
        stands = choice.standing
        lost = [name for name in stands.hierarchies if name in outlook.nowhere]
        if choice.source == choose.NONE or not lost:
            continue
        reason = "; ".join(outlook.nowhere[name] for name in lost)
        choice.left_out = True
        choice.standing = stands.but(reason="; ".join(filter(None, (stands.reason, reason))))
        # Of one that leads elsewhere now, what is merged stays where it is.
        choice.standing.hierarchies = [n for n in stands.hierarchies if n not in lost or n in outlook.hierarchies]
        if all(_bare(f"{stands.layer}/{name}", name) for name in choice.standing.hierarchies):
            choice.source = choose.NONE
            choice.standing = choice.standing.but(state="failed", layer="")


def _bare(path: str, name: str) -> bool:
    """Whether the part `name` of a layer, which is at `path`, has nothing but its release files."""
    releases = {class_.releases.partition("/")[2] for class_ in classes.CLASSES.values() if name in class_.hierarchies}
    inside = path
    for part in min(releases).split("/"):
        try:
            if os.listdir(inside) != [part]:
                return False
        except OSError:
            return False  # whoever stacks it says so
        inside = f"{inside}/{part}"
    return True
