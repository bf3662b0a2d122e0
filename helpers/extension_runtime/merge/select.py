#  SPDX-License-Identifier: MIT
"""Which layers a transaction stacks: stack.py decides, from what is attached, was merged before and can be stacked."""

from __future__ import annotations

import os

from extension_manifests import version as versions
from extension_manifests.errors import ExtensionError

from extension_runtime.image import attach
from extension_runtime.image.record import Record
from extension_runtime.kernel import mountinfo
from extension_runtime.merge import attach as attachments
from extension_runtime.merge import choose, steps
from extension_runtime.merge.choose import Choice
from extension_runtime.overlay import top

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from extension_manifests.errors import Diagnostic
    from extension_manifests.load import Plan

    from extension_runtime.paths import Places

    Entries = Mapping[str, Mapping[str, Any]]


def current(places: Places, plan: Plan, previous: Entries, *, boot: bool, always: bool) -> list[Choice]:
    """What becomes of each extension, as attached now, after a merge whose extensions had the entries `previous`."""
    choices = choose.choose(attachments.candidates(places, plan.extensions, boot), previous)
    _place_broken(choices, plan.broken, previous)
    choices = choose.without_unmet_needs(plan.extensions, choices)
    if always:
        for choice in choices:
            if choice.source == choose.KEEP:
                choice.source = choose.NEW
    return choices


def predicted(places: Places, plan: Plan, previous: Entries, *, boot: bool, always: bool) -> list[Choice]:
    """As `current`, if every image that is to be attached first were good."""
    candidates = attachments.candidates(places, plan.extensions, boot)
    records = attach.records(places)
    for candidate in candidates:
        manifest = candidate.manifest
        identity = attachments.current_identity(places.root, manifest)
        if identity and (always or not attachments.is_current(places.root, manifest, records.get(manifest.name))):
            candidate.held_back = ""
            candidate.record = Record(
                manifest.name,
                "attached",
                image=manifest.image,
                identity=identity,
                classes=list(manifest.classes),
                hierarchies=attachments.current_hierarchies(places.root, manifest),
            )
    choices = choose.choose(candidates, previous)
    _place_broken(choices, plan.broken, previous)
    return choose.without_unmet_needs(plan.extensions, choices)


def none(plan: Plan) -> list[Choice]:
    """No extension, whatever is attached."""
    off = "extensions=0 on the kernel command line"
    reason = "not merged; 'extensionctl merge' merges it" if plan.settings.enabled else off
    return [Choice(item.name, choose.NONE, choose.entry(item, "ready", reason)) for item in plan.extensions]


def earlier(before: Mapping[str, Any]) -> list[Choice]:
    """The extensions of an earlier merge, given its part of the state, with the layers that it had."""
    order = [name for item in before["hierarchies"].values() for name, _path in item["layers"]]
    entries = before["extensions"]
    ranked = sorted(entries, key=lambda name: order.index(name) if name in order else -1)
    return [
        Choice(name, choose.KEEP if entries[name]["layer"] else choose.NONE, dict(entries[name])) for name in ranked
    ]


def _place_broken(choices: list[Choice], broken: Mapping[str, Sequence[Diagnostic]], previous: Entries) -> None:
    """A manifest that cannot be read leaves its extension as it was, at the place that its name gives."""
    for name, diagnostics in sorted(broken.items()):
        problem = diagnostics[0]
        good = previous.get(name)
        if good is None:
            entry = choose.bare_entry(name, "failed", str(problem), problem.path)
            choices.append(Choice(name, choose.NONE, entry, left_out=True))
            continue
        kept = dict(good, state="merged", reason=f"kept as it was, because its manifest is broken: {problem}")
        place = next((i for i, other in enumerate(choices) if versions.compare(name, other.name) < 0), len(choices))
        choices.insert(place, Choice(name, choose.LAST_GOOD, kept, left_out=True))


def leave_out_unstackable(
    places: Places, found: Mapping[str, steps.Place], choices: Sequence[Choice], previous: Entries
) -> None:
    """Take back the choice of new layers that no overlay takes, so that one of them does not keep the others out."""
    for place in found.values():
        if not place.has_base:
            continue
        while (unstackable := _unstackable(places, place, choices)) is not None:
            choice, problem = unstackable
            _fall_back(choice, problem, previous.get(choice.name))


def _unstackable(places: Places, place: steps.Place, choices: Sequence[Choice]) -> tuple[Choice, str] | None:
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
        if number > top.MAX_LOWERS:
            most = f"already {top.MAX_LOWERS} layers on {place.target}, which is all that an overlay takes"
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


def _bare_problem(place: steps.Place) -> str:
    """Why nothing at all can be stacked on `place`, where that can be told."""
    base = place.base_mount(mountinfo.read())
    if base is None or base.fstype != "overlay":
        return ""
    return (
        f"{place.target}: is itself on an overlay that lies on another one, and overlays stack two deep; "
        f"nothing can be merged here"
    )


def _folder(choice: Choice, place: steps.Place) -> str:
    return f"{choice.entry['layer']}/{place.name}"


def _problem(places: Places, place: steps.Place, layers: Sequence[Choice]) -> str:
    """Why `layers` cannot be stacked, or "" when they can."""
    try:
        os.close(steps.build(places, place, [_folder(choice, place) for choice in reversed(layers)], 0))
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
