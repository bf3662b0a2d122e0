#  SPDX-License-Identifier: MIT
"""What is a name, and what is not."""

from __future__ import annotations

import pytest
from extension_manifests import names


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "a-", "_", "0", "a..b", "x" * 200])
def test_names(name: str) -> None:
    assert names.name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".a",
        "a/b",
        "a:b",
        "a,b",
        "a\\b",
        "a\nb",
        "a\x1b",
        "a b",
        "é",
        "\udcff",
        "x" * 300,
        "-",
        "-a",
        "--bind",
        "a" + "-" * 100,
    ],
)
def test_bad_names(name: str) -> None:
    assert names.name_problem(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "the name is empty"),
        ("x" * 201, "the name has more than 200 bytes; shorten it"),
        (".a", "the name starts with a dot"),
        ("a b", "the name holds ' '; use A-Z a-z 0-9 . _ - only"),
        ("aé", "the name holds '\\xe9'; use A-Z a-z 0-9 . _ - only"),
        ("-a", 'the name starts with "-", as options do; start it with a letter'),
        ("a" + "-" * 100, 'the unit name made of it has more than 255 bytes ("-" counts four); shorten it'),
    ],
)
def test_why_a_name_is_none(name: str, problem: str) -> None:
    assert names.name_problem(name) == problem


@pytest.mark.parametrize(
    ("word", "unit"),
    [
        ("a.service", True),
        ("a@b.service", True),
        ("a\\x2db:c-d_e.f.mount", True),
        (".mount", False),
        ("@.service", False),
        ("a", False),
        ("a.extension", False),
        ("a b.service", False),
        ("a/b.service", False),
        ("x" * 247 + ".service", True),
        ("x" * 248 + ".service", False),
    ],
)
def test_units(word: str, unit: bool) -> None:
    assert names.is_unit(word) is unit


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("a.extension", "a"),
        ("a.b.extension", "a.b"),
        ("a.service", None),
        ("a", None),
        (".extension", None),
        (".a.extension", None),
        ("a b.extension", None),
    ],
)
def test_references(word: str, name: str | None) -> None:
    assert names.referred(word) == name
