#  SPDX-License-Identifier: MIT
"""Leaves out what takes away from the base, and notes what is replaced, before anything is staged."""

from __future__ import annotations

import os
import stat

from extension_manifests.errors import printable
from extension_manifests.globs import Glob

from extension_runtime import boundary
from extension_runtime.inputs import Inputs
from extension_runtime.kernel import mountinfo
from extension_runtime.layers import harm, vital
from extension_runtime.layers.harm import Ground, Impact, Part
from extension_runtime.layers.outline import Outline
from extension_runtime.merge import choose
from extension_runtime.merge.choose import Choice
from extension_runtime.merge.fit import fall_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.state import Standing
    from extension_runtime.overlay.hierarchy import Hierarchy

SAID_MAX = 3  # harms that a reason names


def leave_out_harmful(
    outlook: Outlook, choices: Sequence[Choice], good: Mapping[str, Standing], forced: Collection[str]
) -> bool:
    """Take back the choice of layers that take away from the base, and note in the others what they replace.

    A layer is read once; harm does not keep out the extensions in `forced`.  Returns whether programs of the base may
    find something else than before.
    """
    comparison = _Comparison(outlook, forced)
    while True:
        found = comparison.impacts(choices)
        bad = {choice.name: problem for choice in choices if (problem := comparison.problem(choice, found))}
        for choice in choices:
            if choice.name in bad:
                fall_back(choice, bad[choice.name], good.get(choice.name))
        if not bad:
            break
        # Once more: what the others replace of those that went, they do not replace any more.
    merged = {choice.name for choice in choices if choice.source != choose.NONE}
    for choice in choices:
        if choice.name in merged:
            comparison.note(choice, found.get(choice.name), merged & (found.keys() | choice.standing.overrides.keys()))
    return any(impact.risky for impact in found.values())


def impact_of(outlook: Outlook, name: str) -> Impact:
    """What the layer of the merged extension `name` does to the base and to the others, compared anew."""
    standings = outlook.state.now.layered()
    order = [extension for item in outlook.state.now.hierarchies.values() for extension, _path in item.layers]
    choices = [Choice(n, choose.LAST_GOOD, standings[n].but()) for n in dict.fromkeys(order) if n in standings]
    for choice in choices:
        if choice.name == name:
            choice.standing.compared = ""
    return _Comparison(outlook, ()).impacts(choices).get(name, Impact())


class _Comparison:
    """The layers of some choices beside the bases; what was read of them is kept."""

    def __init__(self, outlook: Outlook, forced: Collection[str]) -> None:
        self._outlook = outlook
        self._forced = forced
        self._manifests = {manifest.name: manifest for manifest in outlook.plan.extensions}
        self._outlines: dict[str, Outline] = {}
        self._grounds: dict[str, Ground] = {}

    def impacts(self, choices: Sequence[Choice]) -> dict[str, Impact]:
        """What each layer does that has to be compared; nothing is read when there is none."""
        fresh = {choice.name: Impact() for choice in choices if self._is_fresh(choice)}
        for hierarchy in self._outlook.hierarchies.values():
            merged = [c for c in choices if c.source != choose.NONE and hierarchy.name in c.standing.hierarchies]
            if hierarchy.has_base and any(choice.name in fresh for choice in merged):
                parts = [self._part(choice, hierarchy, choice.name in fresh) for choice in merged]
                for name, impact in self._compared(hierarchy, parts).items():
                    if name in fresh:
                        fresh[name].add(impact)
                    elif impact.overrides:
                        fresh.setdefault(name, Impact()).add(impact)
        return fresh

    def _compared(self, hierarchy: Hierarchy, parts: Sequence[Part]) -> dict[str, Impact]:
        """The impacts of all `parts`; where something is raised over one of them, each is compared alone."""
        try:
            return harm.compare(self._ground(hierarchy), parts)
        except Exception as error:
            boundary.reason(error, f"/{hierarchy.name}")
        found = {}
        for part in parts:
            if part.fresh:
                try:
                    found.update(harm.compare(self._ground(hierarchy), [part]))
                except Exception as error:
                    found[part.name] = Impact()
                    found[part.name].stops.append(boundary.reason(error, f"/{hierarchy.name}"))
        return found

    def problem(self, choice: Choice, found: Mapping[str, Impact]) -> str:
        """Why `choice` cannot be merged, "" if it can."""
        impact = found.get(choice.name)
        if impact is None or choice.source == choose.NONE:
            return ""
        lines = [*impact.stops, *([] if choice.name in self._forced else impact.harms)]
        more = f"; and {len(lines) - SAID_MAX} more" if len(lines) > SAID_MAX else ""
        return printable("; ".join(lines[:SAID_MAX])) + more

    def note(self, choice: Choice, impact: Impact | None, current: Collection[str]) -> None:
        """Write down in the standing of a `choice` that is merged what came of the comparison."""
        stands = choice.standing
        others = {name: number for name, number in stands.overrides.items() if name in current or not name}
        if impact is None:
            stands.overrides = others
            return
        counts = {name: len(paths) for name, paths in impact.overrides.items()}
        if not self._is_fresh(choice):
            stands.overrides = {**others, **counts}
            return
        stands.overrides = counts
        stands.mends = impact.mends
        stands.compared = self._terms(choice)
        said = [f"{path}: not seen, because something else is mounted there" for path in impact.unseen[:SAID_MAX]]
        if impact.harms:
            stands.forced = True
            said += [f"{choose.FORCED}: {line}" for line in impact.harms[:SAID_MAX]]
        stands.remarks += [text for line in said if (text := printable(line)) not in stands.remarks]

    def _is_fresh(self, choice: Choice) -> bool:
        if choice.source == choose.LAST_GOOD:
            return not choice.standing.compared
        return choice.source != choose.NONE and (
            choice.source == choose.NEW or choice.standing.compared != self._terms(choice)
        )

    def _terms(self, choice: Choice) -> str:
        """What was allowed when a layer was compared."""
        manifest = self._manifests.get(choice.name)
        allowed = sorted(manifest.hides) if manifest else []
        return " ".join(["Hides=", *allowed, *(["--force"] if choice.name in self._forced else [])])

    def _part(self, choice: Choice, hierarchy: Hierarchy, fresh: bool) -> Part:
        manifest = self._manifests.get(choice.name)
        path = f"{choice.standing.layer}/{hierarchy.name}"
        outline = self._outlines.setdefault(path, Outline(path))
        return Part(choice.name, outline, matcher(manifest.hides if manifest else ()), fresh)

    def _ground(self, hierarchy: Hierarchy) -> Ground:
        if hierarchy.name not in self._grounds:
            self._grounds[hierarchy.name] = ground(self._outlook.paths.root, hierarchy, hierarchy.base)
        return self._grounds[hierarchy.name]


def ground(root: str, hierarchy: Hierarchy, base: str) -> Ground:
    """What layers over `hierarchy` of `root`, whose base is at `base`, are compared with."""
    return Ground(
        hierarchy.name,
        Outline(base),
        mounted_below(hierarchy.target),
        matcher(vital.VITAL),
        folders_of(root),
    )


def mounted_below(target: str) -> dict[str, bool]:
    """What is mounted on the visible mount at `target`, by relative path, to whether it is a folder."""
    table = mountinfo.read()
    top = table.mounts[mountinfo.visible(target)]
    prefix = target.rstrip("/") + "/"
    found = {}
    for mount in table.submounts(top):
        if mount.path.startswith(prefix):
            try:
                # Not stat(): that would have an automount mounted, and wait for it.
                fd = os.open(mount.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                continue  # something else that is mounted hides it
            try:
                found[mount.path.removeprefix(prefix)] = stat.S_ISDIR(os.fstat(fd).st_mode)
            finally:
                os.close(fd)
    return found


def folders_of(root: str) -> Callable[[str], bool]:
    """Tells of a path of `root` whether it ends, links followed through the bases, at a folder."""

    def leads(path: str) -> bool:
        try:
            with Inputs(root) as inputs:
                fd = inputs.locate(path)
        except OSError:
            return False
        try:
            return stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)

    return leads


def matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    """Tells whether a path matches one of `globs`, which are right ones."""
    known = [Glob(glob) for glob in globs]
    return lambda path: any(glob.matches(path) for glob in known)
