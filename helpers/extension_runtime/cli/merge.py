#  SPDX-License-Identifier: MIT
"""extensionctl merge."""

from __future__ import annotations

from extension_manifests.units import MERGE

from extension_runtime.cli import change
from extension_runtime.cli.options import DONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """How it is done."""
    change.add_dry_run(parser)


def run(options: Options) -> int:
    """Put the extensions on."""
    return change.do(options, _live)


def _live(options: Options) -> int:
    if change.property_of(MERGE, "ActiveState") == "active":
        return change.say(options, DONE, ["already merged; extensionctl refresh brings it up to date"])
    return change.through_unit(options, "start", MERGE)
