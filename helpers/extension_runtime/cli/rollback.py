#  SPDX-License-Identifier: MIT
"""extensionctl rollback."""

from __future__ import annotations

from extension_runtime.cli import change
from extension_runtime.pid1 import queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """How it is done."""
    change.add_dry_run(parser)


def run(options: Options) -> int:
    """Go back to what the previous merge had."""
    if options.dry_run or options.root:
        return change.here(options)
    queries.require_running("rollback")
    return change.transient(options, ["rollback"])
