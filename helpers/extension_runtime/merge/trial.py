#  SPDX-License-Identifier: MIT
"""Leaves out the new layers with which the running machine's most needed programs would not start any more."""

from __future__ import annotations

from extension_runtime.merge import choose
from extension_runtime.merge.fit import fall_back
from extension_runtime.merge.halves import first_failing
from extension_runtime.overlay import base, stack, trial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.state import Standing

HIERARCHIES = ("usr", "etc")
"""Where programs and what they are linked with and set up by are."""


def leave_out_breaking(outlook: Outlook, choices: Sequence[Choice], good: Mapping[str, Standing]) -> None:
    """Take back the choice of new layers with which programs do not start that start on the bases alone.

    Nothing excuses such a layer: no program would be left to put things right with.  Raises OverlayError.
    """
    # What was merged before comes first: it was tried then.
    order = [c for c in choices if c.source != choose.NONE and c.standing.hierarchies != ["opt"]]
    order.sort(key=lambda choice: choice.source == choose.NEW)
    programs = trial.PROGRAMS
    while True:
        new = sum(choice.source == choose.NEW for choice in order)
        problem = _problem(outlook, choices, order, programs) if new else ""
        if not problem:
            return
        on_bases = trial.failing(_bases(outlook), programs)
        if on_bases:
            programs = tuple(program for program in programs if program[0] not in on_bases)
            continue  # those tell nothing here
        number, problem = first_failing(
            len(order) - new,
            len(order),
            lambda count: _problem(outlook, choices, order[:count], programs),  # noqa: B023  used before it changes
            problem,
        )
        breaking = order.pop(number - 1)
        fall_back(breaking, problem, good.get(breaking.name))
        if breaking.source != choose.NONE:
            order.insert(0, breaking)


def _problem(
    outlook: Outlook, choices: Sequence[Choice], some: Sequence[Choice], programs: Sequence[Sequence[str]]
) -> str:
    """Which of `programs` do not start on `some` of the choices, as a reason, "" when all do."""
    names = {choice.name for choice in some}
    found = trial.failing(_tops(outlook, [choice for choice in choices if choice.name in names]), programs)
    if not found:
        return ""
    does = "do" if len(found) > 1 else "does"
    return f"{', '.join(found)} {does} not start any more with this image; build it without what replaces their files"


def _tops(outlook: Outlook, choices: Sequence[Choice]) -> dict[str, int]:
    """Overlays of `choices` by the paths of their hierarchies, detached."""
    tops = {}
    for name in HIERARCHIES:
        hierarchy = outlook.hierarchies.get(name)
        layers = [f"{c.standing.layer}/{name}" for c in choices if name in c.standing.hierarchies]
        if hierarchy is not None and hierarchy.has_base and layers:
            tops[hierarchy.target] = stack.build(outlook.paths, hierarchy, layers[::-1], 0)
    return tops


def _bases(outlook: Outlook) -> dict[str, int]:
    found = {}
    for name in HIERARCHIES:
        hierarchy = outlook.hierarchies.get(name)
        if hierarchy is not None and hierarchy.has_base:
            found[hierarchy.target] = base.copy_base(hierarchy.base)
    return found
