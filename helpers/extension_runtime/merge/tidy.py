#  SPDX-License-Identifier: MIT
"""What can only be done, or fail, without consequence for what is merged now."""

from __future__ import annotations

import os

from extension_manifests.names import name_problem

from extension_runtime import boundary
from extension_runtime.files import remove_empty
from extension_runtime.image import attach
from extension_runtime.merge.recover import remove_layers
from extension_runtime.merge.result import TransactionError
from extension_runtime.overlay import base, upper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from extension_runtime.merge.outlook import Outlook
    from extension_runtime.merge.state import State
    from extension_runtime.paths import Paths


def remove_unused(outlook: Outlook, state: State) -> None:
    """Remove staging folders and the pinned layers that no merge of `state` has."""
    remove_empty(outlook.paths.staging)
    remove_layers(outlook.paths, state.used_layers)


def remove_old_work(outlook: Outlook, state: State) -> None:
    """Remove the work folders of overlays that are gone, and forget their uppers."""
    for name, item in state.now.hierarchies.items():
        if name in outlook.hierarchies:
            base.forget_uppers(outlook.hierarchies[name].base, item.generation if item.writable else 0)
        configured = outlook.plan.settings.hierarchy(name).upper
        for mode, path in (("ephemeral", ""), ("persistent", configured)):
            current = item.generation if item.writable and item.mode == mode else 0
            upper.remove_old_work(outlook.paths, name, path, current)


def forsaken(outlook: Outlook) -> list[str]:
    """The extensions that are attached, but have no manifest any more or are masked."""
    try:
        names = os.listdir(outlook.paths.attached)
    except FileNotFoundError:
        return []
    known = {manifest.name for manifest in outlook.plan.extensions} | set(outlook.plan.broken)
    recorded = {name.removesuffix(".json") for name in names if name.endswith(".json") and not name.startswith(".")}
    return sorted(name for name in recorded - known if not name_problem(name))


def detach(paths: Paths, names: Sequence[str]) -> None:
    """Take off what is attached for each of `names`.  Raises TransactionError when all others are off."""
    problems = []
    for name in names:
        try:
            attach.detach(paths, name)
        except Exception as error:
            problems.append(boundary.reason(error, name))
    if problems:
        raise TransactionError("; ".join(problems))
