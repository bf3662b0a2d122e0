#  SPDX-License-Identifier: MIT
"""A diagnostic is one line of a log: where, what, and no byte that could break out of it."""

from __future__ import annotations

import pytest
from extension_manifests.errors import (
    MESSAGE_MAX,
    Diagnostic,
    EmitError,
    ExtensionError,
    ManifestError,
    decoded,
    printable,
    warning,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("größe ☃", "größe ☃"),
        ("a\nb\x1b[31m", "a\\x0ab\\x1b[31m"),
        ("\udcff", "\\xff"),
        ("\u2028", "\\xe2\\x80\\xa8"),
        ("\ud800", "\\xed\\xa0\\x80"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@settings(deadline=None, database=None)
@given(st.text(st.characters(), max_size=20))
def test_printable_is_one_line_and_does_nothing_twice(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown


def test_line_0_means_the_whole_file() -> None:
    assert str(Diagnostic("/a", 3, "is wrong")) == "/a:3: is wrong"
    assert str(Diagnostic("/a", 0, "is wrong")) == "/a: is wrong"
    assert str(Diagnostic("/a\nb", 1, "x\ty")) == "/a\\x0ab:1: x\\x09y"


def test_severity() -> None:
    assert repr(Diagnostic("/a", 3, "is wrong")) == "Diagnostic(error: /a:3: is wrong)"
    assert repr(warning("/a", "is odd")) == "Diagnostic(warning: /a: is odd)"
    assert warning("/a", "is odd", 7).line == 7


@pytest.mark.parametrize(("size", "end"), [(MESSAGE_MAX, "x"), (MESSAGE_MAX + 1, "...")])
def test_a_long_message_is_cut(size: int, end: str) -> None:
    message = Diagnostic("/a", 0, "x" * size).message
    assert message == "x" * MESSAGE_MAX + end.strip("x")


def test_an_error_carries_its_diagnostic() -> None:
    error = ManifestError("/a", 2, "is wrong")
    assert str(error) == str(error.diagnostic) == "/a:2: is wrong"
    assert error.diagnostic.severity == "error"


def test_there_is_one_tree_of_errors() -> None:
    assert issubclass(ManifestError, ExtensionError)
    assert issubclass(EmitError, ExtensionError)


@pytest.mark.parametrize(
    ("data", "line", "text"),
    [
        (b"a\n\0\xff", 2, "holds a NUL byte; write plain text"),
        (b"\n\n\xff", 3, "is not UTF-8; save the file in that encoding"),
        (b"\xed\xa0\x80", 1, "is not UTF-8; save the file in that encoding"),
    ],
)
def test_what_is_no_text(data: bytes, line: int, text: str) -> None:
    with pytest.raises(ManifestError) as raised:
        decoded(data, lambda line, text: ManifestError("/a", line, text))
    assert str(raised.value) == f"/a:{line}: {text}"


def test_text_is_as_it_is_written() -> None:
    assert decoded("größe\r\n".encode(), lambda line, text: ManifestError("/a", line, text)) == "größe\r\n"
