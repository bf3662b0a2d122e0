#  SPDX-License-Identifier: MIT
"""The steps that bring the mount namespaces of services to what the machine shows, and back.

Only a transaction on the running machine has them, so only it imports this.
"""

from __future__ import annotations

from extension_runtime.files import folder
from extension_runtime.kernel import mountinfo
from extension_runtime.namespaces.spread import Spread, Spreader
from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from extension_runtime.overlay.hierarchy import Hierarchy


class SpreadBack(Step):
    """Undone after the swaps are: brings other namespaces back to what the machine shows then."""

    def __init__(self, found: Mapping[str, Hierarchy], scratch: str) -> None:
        super().__init__("watch", "watch the mount namespaces of services")
        self._found = found
        self._scratch = scratch

    def do(self) -> None:
        """Nothing yet: what is put over a hierarchy reaches no other namespace by itself."""

    def undo(self) -> None:
        spread(self._found.values(), self._scratch)


class SpreadOut(Step):
    """Brings the mount namespaces of services to the new tops, with the rights that each has."""

    def __init__(self, found: Mapping[str, Hierarchy], scratch: str, log: Callable[[str], None]) -> None:
        super().__init__("spread", "bring the mount namespaces of services up to date")
        self._found = found
        self._scratch = scratch
        self._log = log
        self.result = Spread()

    def do(self) -> None:
        self.result = spread(self._found.values(), self._scratch)
        for failure in self.result.failed:
            self._log(f"{failure}; the service in it sees the old content until it is restarted")

    def undo(self) -> None:
        """Done by SpreadBack, after the swaps are undone."""


def spread(found: Iterable[Hierarchy], scratch: str) -> Spread:
    """Spread the tops of `found` to every other mount namespace."""
    table = mountinfo.read()
    targets = {}
    for hierarchy in found:
        base = hierarchy.base_mount(table)
        if base is not None:
            targets[hierarchy.name] = (hierarchy.target, base)
    if not targets:
        return Spread()
    folder(scratch)
    with Spreader(targets, scratch) as spreader:
        return spreader.spread()
