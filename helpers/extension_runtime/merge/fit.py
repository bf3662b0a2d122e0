#  SPDX-License-Identifier: MIT
"""Leaves out the new layers that no overlay takes, so that one of them does not keep the others out."""

from __future__ import annotations

import os

from extension_manifests.errors import ExtensionError

from extension_runtime.kernel import mountinfo
from extension_runtime.merge import choose
from extension_runtime.merge.choose import Choice
from extension_runtime.overlay import build as overlays
from extension_runtime.overlay import hierarchy, stack

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from extension_runtime.paths import Paths

    Entries = Mapping[str, Mapping[str, Any]]


def leave_out_unstackable(
    places: Paths, found: Mapping[str, hierarchy.Hierarchy], choices: Sequence[Choice], previous: Entries
) -> None:
    """Take back the choice of new layers that no overlay takes, so that one of them does not keep the others out."""
    for place in found.values():
        if not place.has_base:
            continue
        while (unstackable := _unstackable(places, place, choices)) is not None:
            choice, problem = unstackable
            _fall_back(choice, problem, previous.get(choice.name))


def _unstackable(places: Paths, place: hierarchy.Hierarchy, choices: Sequence[Choice]) -> tuple[Choice, str] | None:
    """The first new layer that cannot be stacked on `place`, and why, or None when all can."""
    # What was merged before comes first: of two with one image, the newcomer is left out.
    layers = [c for c in choices if c.source != choose.NONE and place.name in c.entry["hierarchies"]]
    layers.sort(key=lambda choice: choice.source == choose.NEW)
    seen: dict[tuple[int, int], str] = {}
    for number, choice in enumerate(layers, 1):
        info = os.lstat(_folder(choice, place))
        twin = seen.setdefault((info.st_dev, info.st_ino), choice.name)
        if choice.source != choose.NEW:
            continue
        if twin != choice.name:
            return choice, f"its image is that of {twin}, too; an image can be stacked once"
        if number > overlays.MAX_LOWERS:
            most = f"already {overlays.MAX_LOWERS} layers on {place.target}, which is all that an overlay takes"
            return choice, f"there are {most}"
    # Tried as a whole, since that costs one overlay; only when it fails, which one it is is searched for by halves.
    fits, fails = sum(choice.source != choose.NEW for choice in layers), len(layers)
    problem = _problem(places, place, layers)
    if not problem or fits == fails:
        return None
    if not fits and _problem(places, place, []):
        return layers[0], _bare_problem(place) or problem
    while fails - fits > 1:
        middle = (fits + fails) // 2
        tried = _problem(places, place, layers[:middle])
        if tried:
            fails, problem = middle, tried
        else:
            fits = middle
    return layers[fails - 1], problem


def _bare_problem(place: hierarchy.Hierarchy) -> str:
    """Why nothing at all can be stacked on `place`, where that can be told."""
    base = place.base_mount(mountinfo.read())
    if base is None or base.fstype != "overlay":
        return ""
    return (
        f"{place.target}: is itself on an overlay that lies on another one, and overlays stack two deep; "
        f"nothing can be merged here"
    )


def _folder(choice: Choice, place: hierarchy.Hierarchy) -> str:
    return f"{choice.entry['layer']}/{place.name}"


def _problem(places: Paths, place: hierarchy.Hierarchy, layers: Sequence[Choice]) -> str:
    """Why `layers` cannot be stacked, or "" when they can."""
    try:
        os.close(stack.build(places, place, [_folder(choice, place) for choice in reversed(layers)], 0))
    except ExtensionError as error:
        return str(error)
    return ""


def _fall_back(choice: Choice, problem: str, good: Mapping[str, Any] | None) -> None:
    choice.left_out = True
    if good:
        choice.source = choose.LAST_GOOD
        choice.entry = dict(good, reason=f"kept at its last good version, because of the new one: {problem}")
    else:
        choice.source = choose.NONE
        choice.entry = dict(choice.entry, state="failed", reason=problem, layer="")
