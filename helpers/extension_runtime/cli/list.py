#  SPDX-License-Identifier: MIT
"""extensionctl list."""

from __future__ import annotations

from extension_runtime.cli import table
from extension_runtime.cli.facts import ROOT_ONLY, gather
from extension_runtime.cli.options import DONE, Options, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.facts import Extension

HEADINGS = ("name", "class", "state", "version", "hierarchies", "reason")
STATE = HEADINGS.index("state")


def arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def _said(extension: Extension) -> list[str]:
    """All that is to be said of an extension in one line."""
    found = [extension.reason] if extension.reason else []
    number = sum(extension.overrides.values())
    found += [f"replaces {number} file{'s' if number > 1 else ''}"] if number else []
    return [*found, *extension.remarks]


def run(options: Options) -> int:
    """Print every known extension; always 0 when the facts could be read."""
    facts = gather(options.root)
    extensions = facts.extensions()
    if not facts.readable:
        note(ROOT_ONLY)
    if options.json != "off":
        print(table.json_text([extension.data() for extension in extensions], options.json))
        return DONE
    screen = table.screen()
    rows = [
        (
            e.name,
            " ".join(e.classes),
            e.state,
            e.version,
            " ".join(f"/{h}" for h in e.hierarchies),
            "; ".join(_said(e)),
        )
        for e in extensions
    ]
    if not rows:
        if options.legend:
            print("No extensions.")
        return DONE
    lines = table.table(HEADINGS, rows, screen, legend=options.legend, state=STATE)
    if options.legend:
        lines += ["", f"{len(rows)} extension{'s' if len(rows) != 1 else ''} listed."]
    table.show(lines, screen, pager=options.pager)
    return DONE
