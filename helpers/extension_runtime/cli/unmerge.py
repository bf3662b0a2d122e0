#  SPDX-License-Identifier: MIT
"""extensionctl unmerge."""

from __future__ import annotations

from extension_manifests.units import MERGE

from extension_runtime.cli import change

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """How it is done."""
    change.add_dry_run(parser)


def run(options: Options) -> int:
    """Take the extensions off."""
    return change.do(options, _live)


def _live(options: Options) -> int:
    if change.property_of(MERGE, "ActiveState") != "active":
        # A refresh merges, too, and does not need that unit: stopping it would do nothing.
        return change.transient(options, ["unmerge"])
    return change.through_unit(options, "stop", MERGE)
