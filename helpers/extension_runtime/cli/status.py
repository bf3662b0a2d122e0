#  SPDX-License-Identifier: MIT
"""extensionctl status: the machine at a glance."""

from __future__ import annotations

from extension_manifests.classes import HIERARCHIES

from extension_runtime.cli import table
from extension_runtime.cli.facts import ROOT_ONLY, Facts, gather
from extension_runtime.cli.options import DONE, Options, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any


def arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: Options) -> int:
    """Print hierarchies, the last merge and what needs attention; always 0 when the facts could be read."""
    facts = gather(options.root)
    found = summary(facts)
    if not facts.readable:
        note(ROOT_ONLY)
    if options.json != "off":
        print(table.json_text(found, options.json))
        return DONE
    screen = table.screen()
    table.show(_lines(found, screen, facts.readable), screen, pager=options.pager)
    return DONE


def summary(facts: Facts) -> dict[str, Any]:
    """What `status` says, as data.  `writable` is None where nothing is merged, `merged` where nobody may know."""
    extensions = facts.extensions()
    counts = dict.fromkeys(("merged", "ready", "skipped", "failed", "masked"), 0)
    for extension in extensions:
        counts[extension.state] += 1
    return {
        "generation": facts.state.now.generation,
        "when": facts.state.now.when,
        "last": facts.state.last.data() if facts.state.last else None,
        "extensions": counts,
        "hierarchies": [_hierarchy(facts, name) for name in HIERARCHIES],
        "failed": [{"name": e.name, "reason": e.reason} for e in extensions if e.state == "failed"],
        "notes": [{"name": e.name, "reason": e.reason} for e in extensions if e.state == "merged" and e.reason],
        "stale": [item.data() for item in facts.state.stale],
    }


def _hierarchy(facts: Facts, name: str) -> dict[str, Any]:
    now = facts.state.now.hierarchies.get(name)
    configured = facts.plan.settings.hierarchy(name).mode
    merged = (now is not None and now.merged) if facts.readable else None
    return {
        "hierarchy": f"/{name}",
        "mode": now.mode if now else configured,
        "configured": configured,
        "merged": merged,
        "writable": now.writable if now and merged else None,
        "upper": now.upper if now else "",
        "layers": facts.layers(name) if merged else [],
    }


def _lines(found: dict[str, Any], screen: table.Screen, readable: bool) -> list[str]:
    counts = ", ".join(f"{count} {state}" for state, count in found["extensions"].items() if count)
    colour = "red" if found["failed"] else "green" if found["extensions"]["merged"] else ""
    lines = [f"{screen.paint('●', colour)} Extensions: {counts or 'none'}"]
    if found["generation"]:
        lines += table.paragraph("Generation", [f"{found['generation']}, since {table.moment(found['when'])}"], screen)
    if found["last"]:
        lines += table.paragraph("Last", [_last(found["last"])], screen)
    for hierarchy in found["hierarchies"]:
        lines += table.paragraph(hierarchy["hierarchy"], _hierarchy_lines(hierarchy, readable), screen)
    for key, entries in (("Failed", found["failed"]), ("Note", found["notes"])):
        lines += table.paragraph(key, [f"{entry['name']}: {entry['reason']}" for entry in entries], screen)
    stale = [f"{entry['unit']}: {entry['reason']}" for entry in found["stale"]]
    return lines + table.paragraph("Stale", stale, screen)


def _last(last: dict[str, Any]) -> str:
    text = f"{last['verb']} {last['result']}, {table.moment(last['when'])}"
    return f"{text}: {last['reason']}" if last["reason"] else text


def _hierarchy_lines(hierarchy: dict[str, Any], readable: bool) -> list[str]:
    mode = f"mode {hierarchy['mode']}"
    if hierarchy["mode"] != hierarchy["configured"]:
        mode += f", {hierarchy['configured']} from the next refresh on"
    if not readable:
        return [mode]
    if hierarchy["writable"] and hierarchy["upper"]:
        mode += f", writes go to {hierarchy['upper']}"
    if not hierarchy["merged"]:
        return [f"not merged ({mode})"]
    access = "writable" if hierarchy["writable"] else "read-only"
    return [f"merged, {access} ({mode})", " > ".join(hierarchy["layers"]) or "no layers"]
