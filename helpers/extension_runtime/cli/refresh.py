#  SPDX-License-Identifier: MIT
"""extensionctl refresh."""

from __future__ import annotations

from extension_manifests.units import REFRESH

from extension_runtime.cli import change
from extension_runtime.pid1 import queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """How it is done."""
    change.add_dry_run(parser)
    parser.add_argument("--always", action="store_true", help="also where no change is seen")


def run(options: Options) -> int:
    """Bring what is merged up to date."""
    return change.do(options, _live)


def _live(options: Options) -> int:
    if options.always:
        return change.transient(options, ["refresh", "--always"])
    if change.property_of(REFRESH, "LoadState") == "not-found":
        # A directory that is merged was deleted: then the kernel lists no folder that it was part of, and PID 1 sees
        # no unit there until a refresh has taken it off.
        return change.transient(options, ["refresh"])
    if change.property_of(REFRESH, "ActiveState") in ("activating", "reloading"):
        # A refresh that is under way may have looked before the latest change: wait for it, then have one of our own.
        queries.run_unit("start", REFRESH)
    return change.through_unit(options, "start", REFRESH)
