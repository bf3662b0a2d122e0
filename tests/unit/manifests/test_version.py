#  SPDX-License-Identifier: MIT
"""Version order is that of `systemd-analyze compare-versions`."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from extension_manifests.version import compare, ordered
from hypothesis import given, settings
from hypothesis import strategies as st

# Each is older than the next; the first lines are those of the version format specification (UAPI.10).
LADDER = [
    "122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1", "123.a-1", "123.1-1", "123a-1",
    "124-1",
]  # fmt: skip
EQUAL = [("123_a", "123a"), ("00123", "123"), ("1.0", "1.00"), ("", "_"), ("a_", "a")]
PIECES = st.sampled_from(["~", "-", "^", ".", "_", "+", "0", "1", "10", "007", "a", "B", "rc"])


@pytest.mark.parametrize("low", range(len(LADDER)))
def test_ladder(low: int) -> None:
    for high in range(low + 1, len(LADDER)):
        assert compare(LADDER[low], LADDER[high]) == -1
        assert compare(LADDER[high], LADDER[low]) == 1
    assert compare(LADDER[low], LADDER[low]) == 0


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal(a: str, b: str) -> None:
    assert compare(a, b) == compare(b, a) == 0


def test_ordered_is_stable_over_input_order() -> None:
    names = ["b_1", "b1", "a10", "a9", "a"]
    assert ordered(names) == ordered(names[::-1]) == ["a", "a9", "a10", "b1", "b_1"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(PIECES, min_size=1, max_size=6).map("".join),
    st.lists(PIECES, min_size=1, max_size=6).map("".join),
)
def test_as_systemd(a: str, b: str) -> None:
    command = ["systemd-analyze", "compare-versions", "--", a, b]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    sign = done.stdout.removeprefix(a).removesuffix(b + "\n").strip()
    assert sign in ("<", "==", ">"), done
    assert compare(a, b) == {"<": -1, "==": 0, ">": 1}[sign]
