#  SPDX-License-Identifier: MIT
"""extensionctl plan."""

from __future__ import annotations

from extension_manifests import load

from extension_runtime.cli import change, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""


def run(options: Options) -> int:
    """Print the order of layers and the steps of a refresh; takes none."""
    result = change.transact(options, "refresh", dry_run=True)
    order = [m.name for m in load.load(options.root).extensions]
    if options.json != "off":
        found = {"layers": order[::-1], "steps": result.steps, "messages": result.messages}
        print(table.json_text(found, options.json))
        return result.exit_code
    screen = table.screen()
    lines = table.paragraph("Layers", [" > ".join(reversed(order)) or "none"], screen) if options.legend else []
    lines += [*change.step_lines(result), *change.message_lines(result)]
    table.show(lines, screen, pager=options.pager)
    return result.exit_code
