#  SPDX-License-Identifier: MIT
"""extensionctl merge."""

from __future__ import annotations

from extension_manifests.units import MERGE

from extension_runtime.cli import change
from extension_runtime.cli.options import DONE
from extension_runtime.pid1 import queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """How it is done."""
    change.add_dry_run(parser)


def run(options: Options) -> int:
    """Put the extensions on."""
    if options.dry_run or options.root:
        return change.here(options)
    queries.require_running("merge")
    if change.property_of(MERGE, "ActiveState") == "active":
        return change.say(options, DONE, ["already merged; extensionctl refresh brings it up to date"])
    return change.through_unit(options, "start", MERGE)
