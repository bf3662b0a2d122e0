#  SPDX-License-Identifier: MIT
"""Decides, touching nothing: which layers each hierarchy gets, and what is said of each extension."""

from __future__ import annotations

from extension_manifests import options

from extension_runtime.merge.state import Standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.image.record import Record


FORCED = "merged by --force, until the next boot"
KEEP, NEW, LAST_GOOD, NONE = "keep", "new", "last-good", "none"


class Candidate:
    """An extension as found: its manifest, the record of its attachment, and why there is none.

    `held_back` is PID 1's reason for not attaching it (a condition, not wanted); it is empty when it was tried.
    """

    __slots__ = ("held_back", "manifest", "record")

    def __init__(self, manifest: Manifest, record: Record | None, held_back: str = "") -> None:
        self.manifest = manifest
        self.record = record
        self.held_back = held_back


class Choice:
    """What becomes of one extension: `source` says which layer it gets (KEEP, NEW, LAST_GOOD or NONE).

    `standing` is its entry of state.json as it will be, but for the layer of a NEW one.  `left_out` is true when a
    person must look at it (exit status 3).
    """

    __slots__ = ("left_out", "name", "source", "standing")

    def __init__(self, name: str, source: str, standing: Standing, left_out: bool = False) -> None:
        self.name = name
        self.source = source
        self.standing = standing
        self.left_out = left_out


def standing(manifest: Manifest, state: str, reason: str, record: Record | None = None, layer: str = "") -> Standing:
    """How the extension of `manifest` stands, its image as `record` has it."""
    stands = Standing(manifest.name, state, reason, manifest.path, classes=list(manifest.classes), layer=layer)
    if record is not None:
        stands.image, stands.version, stands.identity = record.image, record.version, record.identity
        stands.hierarchies = list(record.hierarchies)
        stands.remarks, stands.options = list(record.remarks), record.options
        if record.excused:
            stands.forced = True
            stands.remarks.append(f"{FORCED}: {record.excused}")
    return stands


def choose(candidates: Sequence[Candidate], previous: Mapping[str, Standing]) -> list[Choice]:
    """What becomes of each candidate (lowest layer first), given how those of the last good merge stand.

    What each needs of others is not looked at yet, see without_unmet_needs().
    """
    return [_choose_one(candidate, previous.get(candidate.manifest.name)) for candidate in candidates]


def _choose_one(candidate: Candidate, merged: Standing | None) -> Choice:
    manifest, record = candidate.manifest, candidate.record
    good = merged if merged and merged.layer else None
    if candidate.held_back:
        return Choice(manifest.name, NONE, standing(manifest, "skipped", candidate.held_back))
    if record is None:
        reason = "not attached and no reason recorded; see 'journalctl -u' of its mount unit"
        return Choice(manifest.name, NONE, standing(manifest, "failed", reason), left_out=True)
    if record.state == "attached":
        # By an old unit, or for an older version: whoever attached it, this is where a promise must have been kept.
        unkept = options.unkept(manifest, record.options)
        if unkept:
            reason = f"attached without {', '.join(unkept)}; run systemctl daemon-reload, then extensionctl refresh"
            return Choice(manifest.name, NONE, standing(manifest, "failed", reason, record), left_out=True)
        if good and good.identity == record.identity:
            kept = standing(manifest, "merged", "", record, good.layer)
            kept.compared, kept.forced, kept.mends = good.compared, good.forced, list(good.mends)
            kept.overrides, kept.remarks = dict(good.overrides), list(good.remarks)
            return Choice(manifest.name, KEEP, kept)
        return Choice(manifest.name, NEW, standing(manifest, "merged", "", record))
    # What does not match this host any more goes; what fails, maybe only now, stays as it was, unless that was attached
    # without what is promised now.
    if good and options.unkept(manifest, good.options):
        good = None
    if good and record.identity and (record.state == "failed" or good.identity != record.identity):
        reason = f"kept at its last good version, because of {record.image}: {record.reason}"
        kept = good.but(state="merged", reason=reason, manifest=manifest.path)
        return Choice(manifest.name, LAST_GOOD, kept, left_out=True)
    state = "skipped" if record.state == "skipped" else "failed"
    return Choice(manifest.name, NONE, standing(manifest, state, record.reason, record), left_out=state == "failed")


def failed(manifest: Manifest, reason: str, merged: Standing | None) -> Choice:
    """What becomes of an extension over which something failed that is nobody's answer: it stays as it was."""
    if merged and merged.layer and not options.unkept(manifest, merged.options):
        kept = merged.but(state="merged", reason=f"kept at its last good version: {reason}", manifest=manifest.path)
        return Choice(manifest.name, LAST_GOOD, kept, left_out=True)
    return Choice(manifest.name, NONE, standing(manifest, "failed", reason), left_out=True)


def without_unmet_needs(manifests: Sequence[Manifest], choices: Sequence[Choice]) -> list[Choice]:
    """The choices without what requires an extension that is not merged; those without a manifest need nothing."""
    by_name = {manifest.name: manifest for manifest in manifests}
    known = {choice.name: choice for choice in choices}
    while True:
        merged = {choice.name for choice in known.values() if choice.source != NONE}
        for name in sorted(merged & set(by_name)):
            unmet = sorted(set(needs(by_name[name])) - merged)
            if unmet:
                reason = f"requires {', '.join(unmet)}, which is not merged"
                known[name] = Choice(name, NONE, standing(by_name[name], "failed", reason), left_out=True)
                break
        else:
            return [known[choice.name] for choice in choices]


def needs(manifest: Manifest) -> list[str]:
    """The extensions without which this one is not merged: Requires=, Requisite= and BindsTo= on NAME.extension."""
    return [name for key in ("Requires", "Requisite", "BindsTo") for name in manifest.references(key)]
