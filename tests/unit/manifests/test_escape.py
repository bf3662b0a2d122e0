#  SPDX-License-Identifier: MIT
"""Escaping is that of systemd-escape(1), and what goes into mount options comes out again."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from extension_manifests import escape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=15)
PART = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda text: text not in (".", "..")
)
BOUNDED = settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
needs_tool = pytest.mark.skipif(not shutil.which("systemd-escape"), reason="needs systemd-escape")


def systemd_escape(*arguments: str) -> list[str]:
    done = subprocess.run(["systemd-escape", *arguments], capture_output=True, check=True)
    return done.stdout.decode().rstrip("\n").split(" ")


@needs_tool
@BOUNDED
@given(st.lists(TEXT, min_size=1, max_size=20))
def test_escape_as_systemd(texts: list[str]) -> None:
    assert [escape.escape(text) for text in texts] == systemd_escape("--", *texts)


@needs_tool
@BOUNDED
@given(st.lists(st.lists(PART, min_size=1, max_size=3).map("/".join), min_size=1, max_size=20))
def test_path_as_systemd(paths: list[str]) -> None:
    paths = ["/" + path for path in paths]
    ours = [escape.unit_name_from_path(path, "mount") for path in paths]
    assert ours == systemd_escape("--path", "--suffix=mount", "--", *paths)


@BOUNDED
@given(TEXT)
def test_unescape_undoes_escape(text: str) -> None:
    assert escape.unescape(escape.escape(text)) == text


@BOUNDED
@given(TEXT)
def test_decode_undoes_option(text: str) -> None:
    encoded = escape.option(text)
    assert not set(encoded) & set(" ,%\"'\t\n")
    assert encoded.isascii()
    assert escape.decode(encoded) == text


def test_decode_keeps_undecodable_bytes() -> None:
    assert escape.decode(escape.option("a\udcff")) == "a\udcff"


@pytest.mark.parametrize("text", ["\\", "\\x", "\\x2", "\\y20", "\\x2g", "a\\x 1"])
def test_decode_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="no"):
        escape.decode(text)


def test_root_and_dots() -> None:
    assert escape.unit_name_from_path("/", "mount") == "-.mount"
    assert escape.unit_name_from_path("/.a//./b/", "mount") == "\\x2ea-b.mount"
    with pytest.raises(ValueError, match="normalized"):
        escape.unit_name_from_path("/a/../b", "mount")


def test_units_of_a_name() -> None:
    assert escape.mount_unit("a-b_1.2") == "run-extension-a\\x2db_1.2.mount"
    assert escape.service_unit("a-b_1.2") == "extension@a-b_1.2.service"


def test_quote_and_percent() -> None:
    assert escape.quote("/plain/path") == "/plain/path"
    assert escape.quote('/a b/"c"\\d%') == '"/a b/\\"c\\"\\\\d%%"'
    assert escape.percent("100%") == "100%%"


def test_backslash_at_the_end_continues_nothing() -> None:
    assert escape.line_value("a\\") == "a\\ "
    assert escape.line_value("a\\\\") == "a\\\\"
