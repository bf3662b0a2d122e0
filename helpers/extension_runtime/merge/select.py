#  SPDX-License-Identifier: MIT
"""Which layers a transaction stacks, by each way: as attached, foreseen, none, or those of an earlier merge."""

from __future__ import annotations

from extension_manifests import options
from extension_manifests import version as versions
from extension_manifests.origin import Origin

from extension_runtime import boundary
from extension_runtime.image import request
from extension_runtime.image.current import current_hierarchies, current_identity, is_current
from extension_runtime.image.record import Record
from extension_runtime.merge import choose
from extension_runtime.merge.choose import Choice
from extension_runtime.merge.state import Standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_manifests.errors import Diagnostic
    from extension_manifests.load import Plan

    from extension_runtime.merge.choose import Candidate
    from extension_runtime.merge.state import Merged
    from extension_runtime.paths import Paths


def choices(plan: Plan, candidates: Sequence[Candidate], good: Mapping[str, Standing]) -> list[Choice]:
    """What becomes of each extension, lowest layer first, after a merge whose extensions stood as `good`."""
    found = [_choice(candidate, good) for candidate in candidates]
    _place_broken(found, plan.broken, good)
    return choose.without_unmet_needs(plan.extensions, found)


def _choice(candidate: Candidate, good: Mapping[str, Standing]) -> Choice:
    manifest = candidate.manifest
    try:
        return choose.choose([candidate], good)[0]
    except Exception as error:
        return choose.failed(manifest, boundary.reason(error, manifest.name), good.get(manifest.name))


def renew(found: Sequence[Choice]) -> None:
    """Have what would be kept pinned anew."""
    for choice in found:
        if choice.source == choose.KEEP:
            choice.source = choose.NEW


def foresee(paths: Paths, candidates: Sequence[Candidate], always: bool) -> None:
    """Take every image that is to be attached first for good, as a dry run does."""
    origin = Origin(paths.root)
    for candidate in candidates:
        manifest = candidate.manifest
        identity = current_identity(origin, manifest)
        if identity and (always or not is_current(origin, manifest, candidate.record)):
            candidate.held_back = ""
            asked = request.of_manifest(paths.root, manifest)
            if asked.refused:
                candidate.record = Record(manifest.name, "failed", asked.refused, options=asked.options)
                continue
            candidate.record = Record(
                manifest.name,
                "attached",
                image=manifest.image,
                identity=identity,
                classes=list(manifest.classes),
                hierarchies=current_hierarchies(origin, manifest),
                options=asked.options,
            )


def none(plan: Plan) -> list[Choice]:
    """No extension, whatever is attached."""
    off = "extensions=0 on the kernel command line"
    reason = "not merged; 'extensionctl merge' merges it" if plan.settings.enabled else off
    return [Choice(item.name, choose.NONE, choose.standing(item, "ready", reason)) for item in plan.extensions]


def earlier(before: Merged, plan: Plan) -> list[Choice]:
    """The extensions of an earlier merge with the layers that it had, but for those without what is promised now."""
    order = [name for item in before.hierarchies.values() for name, _path in item.layers]
    stood = before.extensions
    ranked = sorted(stood, key=lambda name: order.index(name) if name in order else -1)
    found = [Choice(name, choose.KEEP if stood[name].layer else choose.NONE, stood[name].but()) for name in ranked]
    manifests = {manifest.name: manifest for manifest in plan.extensions}
    for choice in found:
        if choice.source == choose.NONE or choice.name not in manifests:
            continue
        unkept = options.unkept(manifests[choice.name], choice.standing.options)
        if unkept:
            reason = f"not gone back to: that was attached without {', '.join(unkept)}"
            choice.source, choice.left_out = choose.NONE, True
            choice.standing = choice.standing.but(state="failed", reason=reason, layer="")
    return found


def _place_broken(
    found: list[Choice], broken: Mapping[str, Sequence[Diagnostic]], good: Mapping[str, Standing]
) -> None:
    """A manifest that cannot be read leaves its extension as it was, at the place that its name gives.

    Not where what cannot be read is a promise: what was attached was attached without it.
    """
    for name, diagnostics in sorted(broken.items()):
        problem = diagnostics[0]
        stood = good.get(name)
        if stood is None or problem.message.startswith(options.PROMISING):
            failed = Standing(name, "failed", str(problem), problem.path)
            found.append(Choice(name, choose.NONE, failed, left_out=True))
            continue
        kept = stood.but(state="merged", reason=f"kept as it was, because its manifest is broken: {problem}")
        place = next((i for i, other in enumerate(found) if versions.compare(name, other.name) < 0), len(found))
        found.insert(place, Choice(name, choose.LAST_GOOD, kept, left_out=True))
