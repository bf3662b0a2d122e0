#  SPDX-License-Identifier: MIT
"""What a change of what is merged asks of services: the states before and after, in the words of react."""

from __future__ import annotations

import os

from extension_runtime import boundary
from extension_runtime.image import content
from extension_runtime.layers.lookup import Layer
from extension_runtime.pid1.systemctl import Systemd
from extension_runtime.react import actionfile
from extension_runtime.react import prepare as react
from extension_runtime.react.wish import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extension_manifests.load import Plan

    from extension_runtime.merge.goal import Order
    from extension_runtime.merge.state import Merged, Standing
    from extension_runtime.react.reaction import Reaction


def prepare(
    order: Order, plan: Plan, old: Merged, new: Merged, bases: Mapping[str, str], log: Callable[[str], None]
) -> Reaction:
    """What the change from the merge `old` to `new` asks of services; the layers of both are readable."""
    before, after = old.layered(), new.layered()
    touched = [
        name
        for name in sorted(before.keys() | after.keys())
        if name not in before or name not in after or before[name].layer != after[name].layer
    ]
    change = Change(
        order.verb,
        boot=order.boot,
        old=_stacks(old),
        new=_stacks(new),
        bases=bases,
        added=[name for name in touched if name not in before],
        changed=[name for name in touched if name in before and name in after],
        removed=[name for name in touched if name not in after],
        release={name: _release_fields(after[name] if name in after else before[name]) for name in touched},
    )
    actions, diagnostics = actionfile.load("")
    for diagnostic in diagnostics:
        log(str(diagnostic))
    manifests = {manifest.name: manifest for manifest in plan.extensions}
    return react.prepare(change, manifests, Systemd(), "", actions)


def _stacks(merged: Merged) -> dict[str, list[Layer]]:
    return {
        name: [Layer(extension, path) for extension, path in item.layers] for name, item in merged.hierarchies.items()
    }


def _release_fields(item: Standing) -> dict[str, str]:
    """The fields of an image's release files that matter here; what cannot be read any more asks for nothing."""
    fields: dict[str, str] = {}
    name = os.path.basename(item.image).removesuffix(".raw")
    try:
        tree = os.open(item.layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return fields
    try:
        for class_ in item.classes:
            try:
                fields.update(content.read_release(tree, class_, name, item.image))
            except Exception as error:
                boundary.reason(error, item.image)
    finally:
        os.close(tree)
    return fields
