#  SPDX-License-Identifier: MIT
"""extensionctl refresh."""

from __future__ import annotations

import os

from extension_manifests import load
from extension_manifests.errors import ExtensionError
from extension_manifests.names import SUFFIX
from extension_manifests.units import REFRESH

from extension_runtime.cli import change
from extension_runtime.cli.options import UsageError
from extension_runtime.image import forced
from extension_runtime.paths import Paths
from extension_runtime.pid1 import queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_runtime.cli.options import Options


def arguments(parser: argparse.ArgumentParser) -> None:
    """How it is done."""
    change.add_dry_run(parser)
    parser.add_argument("--always", action="store_true", help="also where no change is seen")
    parser.add_argument(
        "--force",
        metavar="NAME",
        action="append",
        help="merge this extension although it is made for another system, or takes away from this one; until a reboot",
    )


def run(options: Options) -> int:
    """Bring what is merged up to date."""
    if options.force:
        _insist(options, [name.removesuffix(SUFFIX) for name in options.force])
    return change.do(options, _live)


def _insist(options: Options, names: list[str]) -> None:
    """Write down who is to be merged whatever speaks against it.  Raises ExtensionError for who is not known."""
    known = load.load(options.root).names()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ExtensionError(f"{unknown[0]}: there is no such extension; extensionctl list shows those there are")
    if options.dry_run:
        raise UsageError("--force does not go together with --dry-run: what speaks against an image shows in a refresh")
    if os.geteuid() != 0:
        raise ExtensionError("refresh changes the system and needs root; use sudo")
    forced.add(Paths(options.root), names)


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
