#  SPDX-License-Identifier: MIT
"""Which layers a transaction stacks: stack.py decides, from what is attached, was merged before and can be stacked."""

from __future__ import annotations

from extension_manifests import version as versions

from extension_runtime.image import attach
from extension_runtime.image.current import current_hierarchies, current_identity, is_current
from extension_runtime.image.record import Record
from extension_runtime.merge import attach as attachments
from extension_runtime.merge import choose
from extension_runtime.merge.choose import Choice

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from extension_manifests.errors import Diagnostic
    from extension_manifests.load import Plan

    from extension_runtime.paths import Paths

    Entries = Mapping[str, Mapping[str, Any]]


def current(places: Paths, plan: Plan, previous: Entries, *, boot: bool, always: bool) -> list[Choice]:
    """What becomes of each extension, as attached now, after a merge whose extensions had the entries `previous`."""
    choices = choose.choose(attachments.candidates(places, plan.extensions, boot), previous)
    _place_broken(choices, plan.broken, previous)
    choices = choose.without_unmet_needs(plan.extensions, choices)
    if always:
        for choice in choices:
            if choice.source == choose.KEEP:
                choice.source = choose.NEW
    return choices


def predicted(places: Paths, plan: Plan, previous: Entries, *, boot: bool, always: bool) -> list[Choice]:
    """As `current`, if every image that is to be attached first were good."""
    candidates = attachments.candidates(places, plan.extensions, boot)
    records = attach.records(places)
    for candidate in candidates:
        manifest = candidate.manifest
        identity = current_identity(places.root, manifest)
        if identity and (always or not is_current(places.root, manifest, records.get(manifest.name))):
            candidate.held_back = ""
            candidate.record = Record(
                manifest.name,
                "attached",
                image=manifest.image,
                identity=identity,
                classes=list(manifest.classes),
                hierarchies=current_hierarchies(places.root, manifest),
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
