#  SPDX-License-Identifier: MIT
"""Leaves out the layers that no overlay takes, so that one of them does not keep the others out."""

from __future__ import annotations

import os
import stat

from extension_runtime import boundary
from extension_runtime.kernel import chase, mountinfo
from extension_runtime.merge import choose
from extension_runtime.merge.choose import Choice
from extension_runtime.merge.halves import first_failing
from extension_runtime.overlay import stack
from extension_runtime.overlay.build import MAX_LOWERS
from extension_runtime.overlay.top import OverlayError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_runtime.merge.state import Standing
    from extension_runtime.overlay.hierarchy import Hierarchy
    from extension_runtime.paths import Paths


def leave_out_unstackable(
    paths: Paths, found: Mapping[str, Hierarchy], choices: Sequence[Choice], good: Mapping[str, Standing]
) -> None:
    """Take back the choice of new layers that no overlay takes, so that one of them does not keep the others out."""
    for hierarchy in found.values():
        if not hierarchy.has_base:
            continue
        while (unstackable := _unstackable(paths, hierarchy, choices)) is not None:
            choice, problem = unstackable
            fall_back(choice, problem, good.get(choice.name))


def _unstackable(paths: Paths, hierarchy: Hierarchy, choices: Sequence[Choice]) -> tuple[Choice, str] | None:
    """The first layer that cannot be stacked on `hierarchy`, and why, or None when all can.

    One that is merged already may be it, too: a directory image is what somebody makes of it.
    """
    # What was merged before comes first: of two with one image, the newcomer is left out.
    layers = [c for c in choices if c.source != choose.NONE and hierarchy.name in c.standing.hierarchies]
    layers.sort(key=lambda choice: choice.source == choose.NEW)
    seen: dict[tuple[int, int], str] = {}
    for number, choice in enumerate(layers, 1):
        try:
            info = _look(choice, hierarchy)
        except Exception as error:
            return choice, boundary.reason(error, f"{choice.standing.image}: {hierarchy.name}")
        twin = seen.setdefault((info.st_dev, info.st_ino), choice.name)
        if choice.source != choose.NEW:
            continue
        if twin != choice.name:
            return choice, f"its image is that of {twin}, too; an image can be stacked once"
        if number > MAX_LOWERS:
            most = f"already {MAX_LOWERS} layers on {hierarchy.target}, which is all that an overlay takes"
            return choice, f"there are {most}"
    # Tried as a whole, since that costs one overlay; only when it fails, which one it is is searched for by halves.
    merged, fails = sum(choice.source != choose.NEW for choice in layers), len(layers)
    problem = _problem(paths, hierarchy, layers)
    if not problem:
        return None
    bare = _problem(paths, hierarchy, [])
    if bare:
        # No layer's fault.  What is merged stays so: the swap that cannot be made leaves everything as it is.
        return None if merged or not layers else (layers[0], _bare_problem(hierarchy) or problem)
    fits = 0
    if merged < fails:
        tried = _problem(paths, hierarchy, layers[:merged]) if merged else ""
        fits, fails, problem = (fits, merged, tried) if tried else (merged, fails, problem)
    number, problem = first_failing(fits, fails, lambda count: _problem(paths, hierarchy, layers[:count]), problem)
    return layers[number - 1], problem


def _bare_problem(hierarchy: Hierarchy) -> str:
    """Why nothing at all can be stacked on `hierarchy`, where that can be told."""
    base = hierarchy.base_mount(mountinfo.read())
    if base is None or base.fstype != "overlay":
        return ""
    return (
        f"{hierarchy.target}: is itself on an overlay that lies on another one, and overlays stack two deep; "
        f"nothing can be merged here"
    )


def _folder(choice: Choice, hierarchy: Hierarchy) -> str:
    return f"{choice.standing.layer}/{hierarchy.name}"


def _look(choice: Choice, hierarchy: Hierarchy) -> os.stat_result:
    """The layer, which must be a folder still.  Raises OSError, ExtensionError."""
    shown = f"{choice.standing.image}: {hierarchy.name} in it"
    try:
        info = os.lstat(_folder(choice, hierarchy))
    except FileNotFoundError:
        raise OverlayError(f"{shown} is gone; put it back, or install the image anew") from None
    if not stat.S_ISDIR(info.st_mode):
        raise OverlayError(f"{shown} is {chase.kind(info.st_mode)} now; make it a real directory")
    return info


def _problem(paths: Paths, hierarchy: Hierarchy, layers: Sequence[Choice]) -> str:
    """Why `layers` cannot be stacked, or "" when they can."""
    try:
        os.close(stack.build(paths, hierarchy, [_folder(choice, hierarchy) for choice in reversed(layers)], 0))
    except Exception as error:
        return boundary.reason(error, hierarchy.target)
    return ""


def fall_back(choice: Choice, problem: str, good: Standing | None) -> None:
    """Have `choice` get its last `good` layer in place of a new one, or nothing, because of a `problem`."""
    choice.left_out = True
    if good and choice.source == choose.NEW and good.layer != choice.standing.layer:
        choice.source = choose.LAST_GOOD
        choice.standing = good.but(reason=f"kept at its last good version, because of the new one: {problem}")
    else:
        choice.source = choose.NONE
        choice.standing = choice.standing.but(state="failed", reason=problem, layer="")
        choice.standing.forced = False
