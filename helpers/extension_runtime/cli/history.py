#  SPDX-License-Identifier: MIT
"""extensionctl history: what was merged, refreshed, taken back and why, since the machine was started."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError

from extension_runtime.cli import table
from extension_runtime.cli.options import DONE, Options, may_read, note
from extension_runtime.merge import statefile
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

HEADINGS = ("when", "generation", "verb", "result", "reason")


def arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: Options) -> int:
    """Print the kept entries of the history, the latest last."""
    paths = Paths(options.root)
    if not may_read(paths.run):
        raise ExtensionError("the history is readable by root only; use sudo")
    state, problem = statefile.read_or_empty(paths)
    if problem:
        note(problem)
    if options.json != "off":
        print(table.json_text([event.data() for event in state.history], options.json))
        return DONE
    screen = table.screen()
    rows = [
        (table.moment(event.when), str(event.generation), event.verb, event.result, event.reason)
        for event in state.history
    ]
    table.show(table.table(HEADINGS, rows, screen, legend=options.legend), screen, pager=options.pager)
    return DONE
