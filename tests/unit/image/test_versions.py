#  SPDX-License-Identifier: MIT
"""Which entry of a `.v/` directory counts."""

from __future__ import annotations

import pytest
from extension_runtime.image import versions
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("filename", "version", "architecture", "left", "done"),
    [
        ("foo_1.raw", "1", "", None, None),
        ("foo_1.2-3~rc1.raw", "1.2-3~rc1", "", None, None),
        ("foo_1_x86-64.raw", "1", "x86-64", None, None),
        ("foo_1+3.raw", "1", "", 3, 0),
        ("foo_1_arm64+3-2.raw", "1", "arm64", 3, 2),
        ("foo_1+0-5.raw", "1", "", 0, 5),
        # no tries, so a part of the version
        ("foo_1+git3.raw", "1+git3", "", None, None),
        ("foo_1+3-.raw", "1+3-", "", None, None),
        ("foo_1+.raw", "1+", "", None, None),
        # only the last "+" counts tries
        ("foo_1+5+3.raw", "1+5", "", 3, 0),
        # no architecture, so a part of the version
        ("foo_1_2.raw", "1_2", "", None, None),
        ("foo_x86-64.raw", "x86-64", "", None, None),
    ],
)
def test_split(filename: str, version: str, architecture: str, left: int | None, done: int | None) -> None:
    choice = versions.split(filename, "foo", ".raw")
    assert choice is not None
    assert (choice.version, choice.architecture, choice.tries_left, choice.tries_done) == (
        version,
        architecture,
        left,
        done,
    )


@pytest.mark.parametrize(
    "filename",
    [
        "foo.raw",
        "foo_.raw",
        "foo_1",
        "bar_1.raw",
        "foo_1.raw~",
        "foo1.raw",
        "foo_1 2.raw",
        "foo_\n.raw",
        "foo_+3.raw",
        "",
    ],
)
def test_split_refuses(filename: str) -> None:
    assert versions.split(filename, "foo", ".raw") is None


# what is there, in any order -> what counts on x86-64
TABLE = [
    (["foo_1.raw", "foo_2.raw", "foo_10.raw"], "foo_10.raw"),
    (["foo_1~rc1.raw", "foo_1.raw"], "foo_1.raw"),
    (["foo_1.raw", "foo_2_arm64.raw"], "foo_1.raw"),
    (["foo_2_arm64.raw"], None),
    (["foo_1_x86-64.raw", "foo_1_x86.raw", "foo_1.raw"], "foo_1_x86-64.raw"),
    (["foo_1.raw", "foo_1_x86.raw"], "foo_1_x86.raw"),
    (["foo_2.raw", "foo_1_x86-64.raw"], "foo_2.raw"),
    # tries: none left sorts last, whatever the version
    (["foo_1.raw", "foo_2+0-3.raw"], "foo_1.raw"),
    (["foo_2+0-3.raw"], "foo_2+0-3.raw"),
    (["foo_2+0-3.raw", "foo_3+0.raw"], "foo_3+0.raw"),
    (["foo_1.raw", "foo_2+1-3.raw"], "foo_2+1-3.raw"),
    (["foo_2+1-3.raw", "foo_2+2-2.raw"], "foo_2+2-2.raw"),
    (["foo_2+1-3.raw", "foo_2+1-2.raw"], "foo_2+1-2.raw"),
    (["foo_2+3.raw", "foo_2.raw"], "foo_2.raw"),
    (["foo_2+3.raw", "foo_2_x86-64+1.raw"], "foo_2_x86-64+1.raw"),
    # equal versions: the greater name
    (["foo_01.raw", "foo_1.raw"], "foo_1.raw"),
    (["bar_9.raw", ".foo_9.raw", "foo_1.raw", "foo_9.raw.part"], "foo_1.raw"),
    ([], None),
]


@pytest.mark.parametrize(("names", "chosen"), TABLE)
def test_pick(names: list[str], chosen: str | None) -> None:
    for order in (names, list(reversed(names))):
        choice = versions.pick(order, "foo", ".raw", "x86-64")
        assert (choice.filename if choice else None) == chosen


def test_directories_have_no_suffix() -> None:
    choice = versions.pick(["foo_1", "foo_2_x86-64", "foo_3+0"], "foo", "", "x86-64")
    assert choice is not None and (choice.filename, choice.version) == ("foo_2_x86-64", "2")


NAMES = st.lists(st.from_regex(r"foo_[0-9.~a]{1,4}(_x86|_x86-64|_arm64)?(\+[0-3](-[0-3])?)?\.raw", fullmatch=True))


@given(NAMES, st.randoms(use_true_random=False))
def test_the_order_of_entries_does_not_matter(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = (versions.pick(some, "foo", ".raw", "x86-64") for some in (names, shuffled))
    assert (one and one.filename) == (two and two.filename)
