#  SPDX-License-Identifier: MIT
"""systemd.syntax(7) is read as systemd reads it."""

from __future__ import annotations

import pytest
from extension_manifests.errors import ManifestError
from extension_manifests.unitfile import PROBLEMS_MAX, parse
from hypothesis import given, settings
from hypothesis import strategies as st


def pairs(text: str) -> list[tuple[str, str, str, int]]:
    return [(entry.section, entry.key, entry.value, entry.line) for entry in parse(text, "f")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("[A]\nk=v", [("A", "k", "v", 2)]),
        ("[A]\n  k  =  v w  \n", [("A", "k", "v w", 2)]),
        ("[A]\nk=v # no comment", [("A", "k", "v # no comment", 2)]),
        ("# c\n; c\n[A]\n  # c\nk=\n", [("A", "k", "", 5)]),
        ("[A]\nk=a=b", [("A", "k", "a=b", 2)]),
        ("[A]\nk=1\nk=2\n[B]\nk=3\n[A]\nk=4",
         [("A", "k", "1", 2), ("A", "k", "2", 3), ("B", "k", "3", 5), ("A", "k", "4", 7)]),
        # continuation: by a blank, comments in between are dropped, the last line of the file may have it
        ("[A]\nk=a\\\nb\nl=c", [("A", "k", "a b", 2), ("A", "l", "c", 4)]),
        ("[A]\nk=a\\\n# comment\n ; comment\\\nb", [("A", "k", "a b", 2)]),
        ("[A]\nk=a\\", [("A", "k", "a", 2)]),
        ("[A]\nk=a\\\n\nl=b", [("A", "k", "a", 2), ("A", "l", "b", 4)]),
        # an escaped backslash continues nothing, nor does one with a blank behind it
        ("[A]\nk=a\\\\\nl=b", [("A", "k", "a\\\\", 2), ("A", "l", "b", 3)]),
        ("[A]\nk=a\\ \nl=b", [("A", "k", "a\\", 2), ("A", "l", "b", 3)]),
        ("\ufeff[A]\r\nk=v\r\nl=w\r", [("A", "k", "v", 2), ("A", "l", "w", 3)]),
        ("[A]\nk=\tv\tw", [("A", "k", "v\tw", 2)]),
        ("[A]\nk=größe \u2603\u00a0x", [("A", "k", "größe \u2603\u00a0x", 2)]),
    ],
)  # fmt: skip
def test_reads(text: str, expected: list[tuple[str, str, str, int]]) -> None:
    assert pairs(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k=v", 'f:1: k= stands before the first section; write [Extension] or another section above it'),
        ("[A]\nk", 'f:2: "k" has no "="; write Key=value, or "#" before a comment'),
        ("[A]\n\n = v", 'f:3: there is no key before "="; write Key=value'),
        ("[A", 'f:1: "[A" is no section header; write [Name]'),
        ("[]", 'f:1: "[]" is no section header; write [Name]'),
        ("[A]\nk=a\x1bb", "f:2: the line holds the control character '\\x1b'; remove it"),
        ("[A]\nk=a\\\nb\nl", 'f:4: "l" has no "="; write Key=value, or "#" before a comment'),
    ],
)  # fmt: skip
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text, "f")
    assert str(caught.value) == message


def test_collects_problems_and_goes_on() -> None:
    problems: list[ManifestError] = []
    entries = parse("x\n[A]\nk\nl=1\n", "f", problems)
    assert [problem.diagnostic.line for problem in problems] == [1, 3]
    assert [entry.key for entry in entries] == ["l"]


def test_a_file_of_nothing_but_mistakes_is_told_of_once() -> None:
    problems: list[ManifestError] = []
    assert [entry.key for entry in parse("x\n" * 500 + "[A]\nk=1\n", "f", problems)] == ["k"]
    assert [problem.diagnostic.line for problem in problems] == list(range(1, PROBLEMS_MAX + 2))
    assert str(problems[-2]) == f'f:{PROBLEMS_MAX}: "x" has no "="; write Key=value, or "#" before a comment'
    assert str(problems[-1]) == f"f:{PROBLEMS_MAX + 1}: more lines cannot be understood and are ignored; correct them"


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(st.sampled_from("[]=\\#; \t\r\nAb%\0\x7f\ufeff\u2028é") | st.characters(), max_size=80))
def test_raises_nothing_but_its_own(text: str) -> None:
    try:
        entries = parse(text, "f")
    except ManifestError:
        return
    for entry in entries:
        assert entry.key
        assert "\n" not in entry.key + entry.value
        assert 1 <= entry.line <= text.count("\n") + text.count("\r") + 1


def test_an_entry_tells_where_it_is() -> None:
    (entry,) = parse("[A]\n\nk = v\n", "f")
    assert repr(entry) == "Entry([A] k=v at f:3)"
    assert str(entry.error("is wrong")) == "f:3: is wrong"
