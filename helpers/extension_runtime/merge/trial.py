#  SPDX-License-Identifier: MIT
"""Leaves out the new layers with which the running machine's most needed programs would not start any more."""

from __future__ import annotations

import os

from extension_runtime.merge import choose
from extension_runtime.merge.fit import fall_back
from extension_runtime.merge.halves import first_failing
from extension_runtime.merge.harm import matcher
from extension_runtime.overlay import base, stack, trial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.state import Standing

HIERARCHIES = ("usr", "etc")
"""Where programs and what they are linked with and set up by are."""
OF_THE_BASE = ("/usr/bin/python3", "/usr/bin/systemctl")
"""What this program takes from the base, whatever is merged: those may be missed."""


def leave_out_breaking(outlook: Outlook, choices: Sequence[Choice], good: Mapping[str, Standing]) -> None:
    """Take back the choice of new layers with which programs do not start that start without them.

    Nothing excuses such a layer but a Hides= that names one of OF_THE_BASE: without the others nothing is left to put
    things right with.  Raises OverlayError.
    """
    # What was merged before comes first: it was tried then.
    order = [c for c in choices if c.source != choose.NONE and c.standing.hierarchies != ["opt"]]
    order.sort(key=lambda choice: choice.source == choose.NEW)
    known = {manifest.name: manifest for manifest in outlook.plan.extensions}
    hides = matcher([glob for choice in order if choice.name in known for glob in known[choice.name].hides])
    meant = {program for program in OF_THE_BASE if hides(program)}
    programs = tuple(argv for argv in trial.PROGRAMS if argv[0] not in meant and _is_there(outlook, argv[0]))
    while True:
        new = sum(choice.source == choose.NEW for choice in order)
        problem = _problem(outlook, choices, order, programs) if new else ""
        if not problem:
            return
        without = trial.failing(_tops(outlook, choices, order[:-new]), programs)
        if without:
            programs = tuple(program for program in programs if program[0] not in without)
            continue  # those tell nothing of what is new
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


def _is_there(outlook: Outlook, program: str) -> bool:
    """Whether the base has a program: of what not every system has, nothing is to be learned."""
    usr = outlook.hierarchies.get("usr")
    place = program.removeprefix("/usr/")
    return usr is None or place == program or os.path.lexists(f"{usr.base}/{place}")


def _problem(
    outlook: Outlook, choices: Sequence[Choice], some: Sequence[Choice], programs: Sequence[Sequence[str]]
) -> str:
    """Which of `programs` do not start on `some` of the choices, as a reason, "" when all do."""
    found = trial.failing(_tops(outlook, choices, some), programs)
    if not found:
        return ""
    does = "do" if len(found) > 1 else "does"
    return f"{', '.join(found)} {does} not start any more with this image; build it without what replaces their files"


def _tops(outlook: Outlook, choices: Sequence[Choice], some: Sequence[Choice]) -> dict[str, int]:
    """Overlays of `some` of the choices, in the order of all, by the paths of their hierarchies, detached.

    A hierarchy that gets no layer is as its base is: what is merged now is not what is tried.
    """
    names = {choice.name for choice in some}
    tops = {}
    try:
        for name in HIERARCHIES:
            hierarchy = outlook.hierarchies.get(name)
            if hierarchy is not None and hierarchy.has_base:
                layers = [
                    f"{choice.standing.layer}/{name}"
                    for choice in choices
                    if choice.name in names and name in choice.standing.hierarchies
                ]
                tops[hierarchy.target] = (
                    stack.build(outlook.paths, hierarchy, layers[::-1], 0) if layers else base.copy_base(hierarchy.base)
                )
    except BaseException:
        for top in tops.values():
            os.close(top)
        raise
    return tops
