#  SPDX-License-Identifier: MIT
"""JSON is read and written as the package json does it, with the interpreter's C parts and without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from extension_runtime import jsontext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TOP = Path(__file__).resolve().parents[2]
PATH = [str(TOP / "helpers"), str(TOP / "generators")]
TEXT = st.text(st.characters(), max_size=12)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)
BOUNDED = settings(
    max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["C", "package"], autouse=True)
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """With the C parts, and as where an interpreter has those no more."""
    if request.param == "package":
        monkeypatch.setattr(jsontext, "make_scanner", None)
    yield request.param


def same(one: object, other: object) -> bool:
    """Equal, and of one type: True == 1 == 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return one == other


@BOUNDED
@given(VALUE)
def test_reads_what_json_writes(value: object) -> None:
    for indent in (None, 2):
        text = json.dumps(value, indent=indent)
        assert same(jsontext.loads(text), json.loads(text))
    assert jsontext.loads(json.dumps(value)) == json.loads(json.dumps(value))
    raw = json.dumps(value, ensure_ascii=False)
    assert same(jsontext.loads(f" \t\r\n{raw} \t\r\n"), json.loads(raw))


@BOUNDED
@given(VALUE)
def test_writes_what_json_writes(value: object) -> None:
    text = jsontext.dumps(value)
    assert text == json.dumps(value, sort_keys=True)
    assert text.isascii()
    assert "\n" not in text


@BOUNDED
@given(st.text('{}[]",:\\ u0123abcdeftruefalsnull-+.E\n\x00é\ud800', max_size=25))
def test_refuses_what_json_refuses(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            jsontext.loads(text)
    else:
        assert repr(jsontext.loads(text)) == repr(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", "}", "[1,]", "[1", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", '"', '"\\x"', '"\\u12"', '"a\nb"',
        "nul", "tru", "01", "1.", ".5", "+1", "1 2", "[] x", "'a'", "\ufeff1", "\xa01", "\x0c1", "1\x00",
    ],
)  # fmt: skip
def test_malformed(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsontext.loads(text)


def test_what_was_read_before_leaves_nothing_behind() -> None:
    for value in ({"a": 1}, {"a": "b", "c": {"a": "d"}}):
        assert jsontext.loads(json.dumps(value)) == value
    with pytest.raises(ValueError, match=r"."):
        jsontext.loads('{"a": 1, "b"')
    assert jsontext.loads('{"b": 2}') == {"b": 2}


def test_too_deep_is_no_crash() -> None:
    with pytest.raises(ValueError, match=r"^is nested too deep$"):
        jsontext.loads("[" * 100_000)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", [b"x"], {"a": Path()}, {("a",): 1}])
def test_what_json_has_no_word_for(value: object) -> None:
    with pytest.raises(TypeError):
        jsontext.dumps(value)


def test_what_has_no_word_is_named() -> None:
    with pytest.raises(TypeError, match="bytes"):
        jsontext.dumps([b"x"])


def test_the_package_is_not_imported(parts: str) -> None:
    code = "import sys; from extension_runtime import jsontext; "
    code += "jsontext.loads(jsontext.dumps({'a': [1, 'b', None]})); " if parts == "C" else ""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path[:0] = {PATH}; {code} print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"json", "re"} & set(done.stdout.split())
