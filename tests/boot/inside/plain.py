"""plain.py VERB: the verb without what keeps swaps from propagating into services, which is what other tools do.

A test that cannot tell this from the real thing is none.
"""

from __future__ import annotations

import sys

sys.path.insert(0, "/usr/lib/extensionctl")
from extension_runtime.kernel import syscalls
from extension_runtime.merge import transaction
from extension_runtime.namespaces.spread import Spread, Spreader
from extension_runtime.overlay import ground
from extension_runtime.overlay.hierarchy import Hierarchy


def attach(anchor: int, hierarchy: Hierarchy) -> None:
    """Put an anchor with its top in place as any mount: it and all that is done on it gets into all namespaces."""
    syscalls.move_mount(anchor, hierarchy.target)


def spread(_self: Spreader) -> Spread:
    """Leave it to propagation."""
    return Spread()


if __name__ == "__main__":
    ground.attach = attach
    setattr(Spreader, "spread", spread)  # noqa: B010
    print(transaction.run(sys.argv[1], "").messages)
