#  SPDX-License-Identifier: MIT
"""extensionctl history: what was merged, refreshed, taken back and why, since the machine was started."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError

from extension_runtime.cli import table
from extension_runtime.cli.options import DONE, Options, may_read
from extension_runtime.cli.status import moment
from extension_runtime.merge import state
from extension_runtime.paths import Paths

HEADINGS = ("when", "generation", "verb", "result", "reason")


def history(options: Options) -> int:
    """Print the kept entries of the history, the latest last."""
    places = Paths(options.root)
    if not may_read(places.run):
        raise ExtensionError("the history is readable by root only; use sudo")
    entries = state.read(places)["history"]
    if options.json != "off":
        print(table.json_text(entries, options.json))
        return DONE
    screen = table.screen()
    rows = [
        (moment(entry["when"]), str(entry["generation"]), entry["verb"], entry["result"], entry["reason"])
        for entry in entries
    ]
    table.show(table.table(HEADINGS, rows, screen, legend=options.legend), screen, pager=options.pager)
    return DONE
