"""plain.py VERB: the verb without what keeps swaps from propagating into services, which is what other tools do.

A test that cannot tell this from the real thing is none.
"""

from __future__ import annotations

import sys

sys.path.insert(0, "/usr/lib/extensionctl")
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge import swap, transaction
from extension_runtime.namespaces.spread import Spread, Spreader
from extension_runtime.overlay import exchange, hierarchy
from extension_runtime.overlay.top import find_tops


def attach(anchor: int, top: int, target: str) -> None:
    """Put an anchor with its `top` in place as any mount: it and all that is done on it gets into all namespaces."""
    syscalls.mount_setattr(anchor, attr_clear=0x00200000)  # the mark of copies
    syscalls.move_mount(anchor, target)


def tops(
    table: mountinfo.Table, top: int, target: str, base: mountinfo.Mount, *, own: bool
) -> list[mountinfo.Mount] | None:
    """The tops on such an anchor."""
    return find_tops(table, top, target, base, own=False)


def spread(_self: Spreader) -> Spread:
    """Leave it to propagation."""
    return Spread()


if __name__ == "__main__":
    exchange.attach_anchor = attach
    for user in (hierarchy, swap):
        setattr(user, "find_tops", tops)  # noqa: B010
    setattr(Spreader, "spread", spread)  # noqa: B010
    setattr(Spreader, "drop_copies", lambda _self, _note: None)  # noqa: B010
    print(transaction.run(sys.argv[1], "").messages)
