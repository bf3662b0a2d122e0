#  SPDX-License-Identifier: MIT
"""How a new top propagates; what is done in other namespaces is held where there are some."""

from __future__ import annotations

import pytest
from extension_runtime.kernel import syscalls
from extension_runtime.kernel.mountinfo import Mount
from extension_runtime.namespaces import spread
from extension_runtime.namespaces.spread import Spread


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ("", syscalls.MS_PRIVATE),
        ("shared:7", syscalls.MS_SHARED),
        ("master:3", syscalls.MS_SLAVE),
        ("shared:7 master:3", syscalls.MS_SHARED),
        ("master:3 propagate_from:2", syscalls.MS_SLAVE),
    ],
)
def test_a_new_top_propagates_as_the_old_one_did(fields: str, flag: int) -> None:
    old = Mount(" ".join(f"31 30 0:45 / /usr rw {fields} - overlay extensions:usr:4 ro".split()))
    assert spread._propagation(old) == flag


def test_a_spread_begins_with_nothing_done_and_nothing_failed() -> None:
    one, other = Spread(), Spread()
    one.failed.append("a.service: No such file or directory")
    assert (other.namespaces, other.seconds, other.failed) == (0, 0.0, [])
