#  SPDX-License-Identifier: MIT
"""Whether a state that has the right types can be one that this program wrote.  Decides, touching nothing.

Layers are mounted and let go of, and names become paths: one that somebody else has written must not lead elsewhere.
"""

from __future__ import annotations

from extension_manifests.classes import HIERARCHIES, NAMES
from extension_manifests.names import name_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.merge.state import Merged, Stacked, Standing, State

MODES = ("auto", "read-only", "ephemeral", "persistent")
STATES = ("merged", "ready", "skipped", "failed", "masked")
NUMBER_MAX = 1 << 40  # generations and seconds: 34865 years


def problem(state: State, layers: str) -> str:
    """What of `state` cannot be, "" when all can; `layers` is the folder that layers are pinned in."""
    for merged in filter(None, (state.now, state.previous)):
        found = _of_merge(merged, layers)
        if found:
            return found
    for event in filter(None, (state.last, *state.history)):
        if not (0 <= event.when < NUMBER_MAX and 0 <= (event.generation or 0) < NUMBER_MAX):
            return "has an event of no time that can be"
    return ""


def _of_merge(merged: Merged, layers: str) -> str:
    if not 0 <= merged.generation < NUMBER_MAX:
        return "has no generation that can be"
    if not 0 <= merged.when < NUMBER_MAX:
        return "has a merge of no time that can be"
    for name, item in merged.extensions.items():
        found = _of_extension(name, item, layers)
        if found:
            return found
    for name, hierarchy in merged.hierarchies.items():
        found = _of_hierarchy(name, hierarchy, merged, layers)
        if found:
            return found
    return ""


def _of_extension(name: str, item: Standing, layers: str) -> str:
    shown = f"has for extension {name[:80]}"
    if name_problem(name) or item.name != name:
        return f"{shown} no name that can be"
    if item.state not in STATES:
        return f"{shown} no state that can be"
    if not {*item.hierarchies} <= {*HIERARCHIES}:
        return f"{shown} no hierarchies that can be"
    if not {*item.classes} <= {*NAMES}:
        return f"{shown} no classes that can be"
    if not all(path.startswith("/") and ".." not in path.split("/") for path in item.mends):
        return f"{shown} a folder that cannot be"
    if not all(0 <= number < NUMBER_MAX for number in item.overrides.values()):
        return f"{shown} a number of files that cannot be"
    generation, slash, rest = item.layer.removeprefix(f"{layers}/").partition("/")
    ours = item.layer.startswith(f"{layers}/") and slash and rest == name and generation.isascii()
    if item.layer and not (ours and generation.isdecimal()):
        return f"{shown} a layer that is not in {layers}"
    return ""


def _of_hierarchy(name: str, item: Stacked, merged: Merged, layers: str) -> str:
    shown = f"has for /{name}"
    if not 0 <= item.generation <= merged.generation:
        return f"{shown} no generation that can be"
    if item.mode not in MODES or item.spec.mode not in MODES:
        return f"{shown} no mode that can be"
    if not all(path.startswith("/") for path in (item.target, item.upper or "/", item.spec.upper or "/")):
        return f"{shown} a path that is not absolute"
    known = {(extension, f"{found.layer}/{name}") for extension, found in merged.layered().items()}
    if not {*item.layers, *item.spec.layers} <= known:
        return f"{shown} a layer of no extension"
    return ""
