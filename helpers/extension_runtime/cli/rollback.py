#  SPDX-License-Identifier: MIT
"""extensionctl rollback."""

from __future__ import annotations

from extension_runtime.cli import change

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """How it is done."""
    change.add_dry_run(parser)


def run(options: Options) -> int:
    """Go back to what the previous merge had."""
    return change.do(options, _live)


def _live(options: Options) -> int:
    return change.transient(options, ["rollback"])
