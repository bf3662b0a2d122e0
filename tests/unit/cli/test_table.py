#  SPDX-License-Identifier: MIT
"""Tables and what goes to a terminal."""

from __future__ import annotations

import json

import pytest
from extension_runtime.cli import table
from hypothesis import given
from hypothesis import strategies as st

PLAIN = table.Screen(False, False, 0, 0)
NARROW = table.Screen(True, False, 60, 24)
COLOURED = table.Screen(True, True, 0, 24)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    lines = table.table(("name", "reason"), [("a", "x"), ("long-name", "")], PLAIN)
    assert lines == ["NAME       REASON", "a          x", "long-name  -"]


def test_no_legend_leaves_out_the_headings_and_their_width() -> None:
    assert table.table(("a-long-heading", "b"), [("x", "y")], PLAIN, legend=False) == ["x  y"]


def test_the_last_column_wraps_under_itself() -> None:
    text = "the image was made for another distribution, which this one is not at all"
    lines = table.table(("name", "reason"), [("docker", text)], NARROW, legend=False)
    assert len(lines) == 2
    assert all(len(line) <= NARROW.columns for line in lines)
    assert lines[1].startswith(" " * len("docker  ") + lines[1].strip())
    assert " ".join(line.removeprefix("docker").strip() for line in lines) == text


def test_a_terminal_too_narrow_to_wrap_gets_whole_lines() -> None:
    tiny = table.Screen(True, False, 10, 24)
    assert table.table(("a", "b"), [("x" * 8, "some words here")], tiny, legend=False) == ["xxxxxxxx  some words here"]


def test_only_states_are_coloured() -> None:
    lines = table.table(("name", "state", "reason"), [("merged", "failed", "merged")], COLOURED, legend=False, state=1)
    assert lines == ["merged  \x1b[31mfailed\x1b[0m  merged"]


@pytest.mark.parametrize(
    ("tty", "environment", "expected"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (True, {"TERM": "xterm", "SYSTEMD_COLORS": "0"}, False),
        (False, {"SYSTEMD_COLORS": "1"}, True),
        (False, {"SYSTEMD_COLORS": "16"}, True),
    ],
)
def test_colours(tty: bool, environment: dict[str, str], expected: bool) -> None:
    assert table.wants_colours(tty, environment) is expected


@pytest.mark.parametrize(
    ("environment", "raised", "expected"),
    [
        ({}, False, ["less"]),
        ({"PAGER": "more -s"}, False, ["more", "-s"]),
        ({"PAGER": "more", "SYSTEMD_PAGER": "most"}, False, ["most"]),
        ({"PAGER": "cat"}, False, []),
        ({"PAGER": ""}, False, []),
        ({"PAGER": "'"}, False, []),
        ({"PAGER": "sh -i"}, True, ["less"]),
    ],
)
def test_pager(environment: dict[str, str], raised: bool, expected: list[str]) -> None:
    assert table.pager_command(environment, raised=raised) == expected


def test_hostile_text_cannot_steer_the_terminal() -> None:
    lines = table.table(("name", "reason"), [("a", "\x1b[2J\x9b1m\nnext\u202e")], PLAIN, legend=False)
    assert len(lines) == 1
    assert lines[0].isprintable()


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs"))), st.integers(min_value=2, max_value=80))
def test_wrapped_lines_fit_and_lose_nothing(text: str, columns: int) -> None:
    lines = table.wrap(text, columns)
    assert all(table.width_of(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_wide_characters_count_twice() -> None:
    assert table.width_of("日本") == 4
    assert table.width_of("é") == 1


def test_paragraph_aligns_keys_and_puts_values_below_each_other() -> None:
    assert table.paragraph("Layers", ["a", "b"], PLAIN, indent=8) == ["  Layers: a", "          b"]
    assert table.paragraph("Layers", [], PLAIN) == []


def test_json_styles() -> None:
    value = [{"name": "a", "hierarchies": ["usr"]}]
    assert table.json_text(value, "short") == '[{"name":"a","hierarchies":["usr"]}]'
    assert json.loads(table.json_text(value, "pretty")) == value
    assert "\n\t" in table.json_text(value, "pretty")
