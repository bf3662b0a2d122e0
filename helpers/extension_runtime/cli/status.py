#  SPDX-License-Identifier: MIT
"""extensionctl status: the machine at a glance."""

from __future__ import annotations

from extension_manifests.settings import HIERARCHIES

from extension_runtime.cli import table
from extension_runtime.cli.facts import ROOT_ONLY, Facts, gather
from extension_runtime.cli.options import DONE, Options, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def status(options: Options) -> int:
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
        "generation": facts.merge["generation"],
        "when": facts.merge["when"],
        "last": facts.merge["last"],
        "extensions": counts,
        "hierarchies": [_hierarchy(facts, name) for name in HIERARCHIES],
        "failed": [{"name": e.name, "reason": e.reason} for e in extensions if e.state == "failed"],
        "notes": [{"name": e.name, "reason": e.reason} for e in extensions if e.state == "merged" and e.reason],
        "stale": facts.merge["stale"],
    }


def _hierarchy(facts: Facts, name: str) -> dict[str, Any]:
    now = facts.merge["hierarchies"].get(name, {})
    settings = facts.plan.settings.hierarchy(name)
    merged = now.get("merged", False) if facts.readable else None
    return {
        "hierarchy": f"/{name}",
        "mode": now.get("mode", settings.mode),
        "configured": settings.mode,
        "merged": merged,
        "writable": now.get("writable", False) if merged else None,
        "upper": now.get("upper", ""),
        "layers": layers(facts, name) if merged else [],
    }


def layers(facts: Facts, hierarchy: str) -> list[str]:
    """Names of the extensions on `hierarchy`, topmost first."""
    return [name for name, _ in reversed(facts.merge["hierarchies"][hierarchy].get("layers", []))]


def _lines(found: dict[str, Any], screen: table.Screen, readable: bool) -> list[str]:
    counts = ", ".join(f"{count} {state}" for state, count in found["extensions"].items() if count)
    colour = "red" if found["failed"] else "green" if found["extensions"]["merged"] else ""
    lines = [f"{screen.paint('●', colour)} Extensions: {counts or 'none'}"]
    if found["generation"]:
        lines += table.paragraph("Generation", [f"{found['generation']}, since {moment(found['when'])}"], screen)
    if found["last"]:
        lines += table.paragraph("Last", [_last(found["last"])], screen)
    for hierarchy in found["hierarchies"]:
        lines += table.paragraph(hierarchy["hierarchy"], _hierarchy_lines(hierarchy, readable), screen)
    for key, entries in (("Failed", found["failed"]), ("Note", found["notes"])):
        lines += table.paragraph(key, [f"{entry['name']}: {entry['reason']}" for entry in entries], screen)
    stale = [f"{entry['unit']}: {entry['reason']}" for entry in found["stale"]]
    return lines + table.paragraph("Stale", stale, screen)


def _last(last: dict[str, Any]) -> str:
    text = f"{last['verb']} {last['result']}, {moment(last['when'])}"
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


def moment(seconds: float) -> str:
    """A time of the system clock, for people."""
    import time

    return time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
