#  SPDX-License-Identifier: MIT
"""What state.json says after a verb, as a pure function of what it said before and of what was done."""

from __future__ import annotations

from extension_runtime.merge import choose, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.wanted import Wanted

HISTORY = 50  # entries that are kept


def merged_entries(before: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of the extensions that are merged, by name."""
    return {name: item for name, item in before["extensions"].items() if item.get("layer")}


def used_layers(before: Mapping[str, Any]) -> set[str]:
    """The pinned layers that the last merge and the one before it have."""
    entries = list(before["extensions"].values())
    if before["previous"]:
        entries += before["previous"]["extensions"].values()
    return {item["layer"] for item in entries if item.get("layer")}


def noted(before: Mapping[str, Any], verb: str, result: str, reason: str, when: int) -> dict[str, Any]:
    """The state with `verb` as the last one and, if it did something, in the history."""
    last = {"verb": verb, "result": result, "reason": reason, "when": when}
    history = list(before["history"])
    if result != "unchanged":
        history = [*history, {**last, "generation": before["generation"]}][-HISTORY:]
    return {**before, "last": last, "history": history}


def after(
    before: Mapping[str, Any],
    verb: str,
    when: int,
    choices: Sequence[Choice],
    masked: Mapping[str, str],
    wanted: Sequence[Wanted],
    targets: Mapping[str, str],
    changed: Collection[str],
    number: int,
    pinned: Collection[str],
) -> dict[str, Any]:
    """The state after `verb` at `when` (seconds) changed the hierarchies `changed`, as generation `number`.

    `masked` gives the masks' paths by extension, `targets` the real paths of the hierarchies; `pinned` are the layers
    that are there: a merge that lacks one, after a reboot, is none to go back to.
    """
    generation = number if changed else before["generation"]
    entries = {choice.name: choice.entry for choice in choices}
    for name, path in masked.items():
        entries[name] = choose.bare_entry(name, "masked", f"masked by {path}", path)
    new = {
        "format": state.FORMAT,
        "generation": generation,
        "when": when if changed else before["when"],
        "extensions": entries,
        "hierarchies": {
            item.name: _hierarchy(item, before, targets[item.name], generation if item.name in changed else None)
            for item in wanted
        },
        "previous": before["previous"],
        "history": before["history"],
        "stale": before["stale"],
    }
    if changed:
        kept = ("generation", "when", "hierarchies", "extensions")
        whole = before["generation"] and all(item["layer"] in pinned for item in merged_entries(before).values())
        earlier = {key: before[key] for key in kept} if whole else None
        new["previous"] = None if verb == "rollback" else earlier
    return noted(new, verb, "done" if changed else "unchanged", "", when)


def _hierarchy(item: Wanted, before: Mapping[str, Any], target: str, generation: int | None) -> dict[str, Any]:
    """`generation` is None for one that did not change; one without an overlay is of generation 0."""
    if generation is None:
        generation = before["hierarchies"].get(item.name, {}).get("generation", 0)
    return {
        "target": target,
        "mode": item.mode,
        "merged": item.merged,
        "writable": item.writable,
        "upper": item.upper if item.writable and item.mode == "persistent" else "",
        "layers": [list(layer) for layer in item.layers],
        "generation": generation if item.merged else 0,
        "spec": item.spec(),
    }
