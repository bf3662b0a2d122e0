#  SPDX-License-Identifier: MIT
"""What a transaction does on the running machine only."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError

from extension_runtime.overlay import top
from extension_runtime.pid1.systemctl import Systemd
from extension_runtime.stale import swaps

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from extension_manifests.load import Plan

    from extension_runtime.overlay.hierarchy import Hierarchy
    from extension_runtime.react.prepare import Reaction


def replaced(places: Iterable[Hierarchy]) -> tuple[dict[str, str], dict[str, str]]:
    """Before the swap of `places`: the devices of the overlays that go, and of the file systems that get covered."""
    swapped, covered = {}, {}
    for place in places:
        if place.found and top.generation_of(place.found[-1]) is not None:
            swapped[place.found[-1].dev] = place.target
        else:
            covered[swaps.device(place.target)] = ""
    return swapped, covered


def look_for_stale_views(
    run: str,
    plan: Plan,
    reaction: Reaction,
    gone: tuple[dict[str, str], dict[str, str]],
    log: Callable[[str], None],
) -> list[dict[str, str]]:
    """Remember what was replaced in the folder `run`, and return who still uses it, for the state.

    Units of extensions with Stale=restart are restarted, as far as that harms nobody, and not returned.
    """
    swaps.record(run, gone[0], [change.path for change in reaction.changes], gone[1])
    found = swaps.find(run)
    touched = {*reaction.change.added, *reaction.change.changed, *reaction.change.removed}
    if found and any(m.stale == "restart" for m in plan.extensions if m.name in touched):
        try:
            found = swaps.restart(found, Systemd())
        except ExtensionError as error:
            log(f"units that use old content could not be restarted: {error}")
    return [{"unit": view.unit, "reason": view.reason} for view in found]
