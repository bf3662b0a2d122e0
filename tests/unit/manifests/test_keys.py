#  SPDX-License-Identifier: MIT
"""The table of keys is whole, and a word that is none of them leads to the one that was meant."""

from __future__ import annotations

import pytest
from extension_manifests import keys

KNOWN = [*keys.MANIFEST, *keys.unit_keys()]


def test_table_is_complete() -> None:
    assert all(key.doc.endswith(".") and len(key.doc) < 120 for key in KNOWN)
    lines = keys.listing().splitlines()
    assert len(lines) == len(set(lines)) == len(KNOWN) + len(keys.SETTINGS)
    assert all(line.count("\t") == 5 for line in lines)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("Imag", "; did you mean Image?"),
        ("image", "; did you mean Image?"),
        ("IMGAE", "; did you mean Image?"),
        ("Imgaes", ""),
        ("Img", ""),
        ("Clas", "; did you mean Class?"),
        ("Frobnicate", ""),
        ("", ""),
    ],
)
def test_what_was_meant(word: str, hint: str) -> None:
    assert keys.meant(word, ["Image", "Class", "Above"]) == hint


def test_nothing_is_meant_where_nothing_is_known() -> None:
    assert keys.meant("Image", []) == ""


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("a", "", 1), ("ab", "ba", 2), ("abc", "axc", 1), ("abc", "abcde", 2), ("abc", "abcdef", 9)],
)
def test_distance(a: str, b: str, distance: int) -> None:
    assert keys.distance(a, b) == keys.distance(b, a) == distance


def test_no_key_of_unit_lets_an_image_leave_its_place_in_the_boot() -> None:
    names = [key.name for key in keys.unit_keys()]
    assert len(names) == len(set(names))
    assert "DefaultDependencies" not in names
    assert {"ConditionPathExists", "AssertPathExists"} <= set(names)
