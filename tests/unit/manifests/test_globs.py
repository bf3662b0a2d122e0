#  SPDX-License-Identifier: MIT
"""Globs of Path=: what they mean, that they mean what a regular expression would, and that none of them takes long."""

from __future__ import annotations

import re
import time

import pytest
from extension_manifests.globs import Glob, fixed_part
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("/usr/lib/*.so", ["/usr/lib/a.so"], ["/usr/lib/a/b.so", "/usr/lib/a.so.1", "/x/usr/lib/a.so"]),
        ("/usr/**.ko", ["/usr/a.ko", "/usr/a/b/c.ko"], ["/opt/a.ko"]),
        ("/etc/a/", ["/etc/a/x", "/etc/a/b/c", "/etc/a/"], ["/etc/a", "/etc/ab"]),
        ("/a/?", ["/a/b"], ["/a/", "/a/bc", "/a//"]),
        ("/a/[a-c]", ["/a/b"], ["/a/d"]),
        ("/a/[!a-c]", ["/a/d"], ["/a/b"]),
        ("/a/[[]", ["/a/["], ["/a/b"]),
        ("/a/[]x]", ["/a/]", "/a/x"], ["/a/b", "/a/[]x]"]),
        ("/a/[!]x]", ["/a/b"], ["/a/]", "/a/x"]),
        ("/a/[a-]", ["/a/a", "/a/-"], ["/a/b"]),
        ("/a/***z", ["/a/z", "/a/b/z"], ["/a/b"]),
        ("/a/*b*", ["/a/b", "/a/abc"], ["/a/a/b"]),
        ("**", ["", "/a/b"], []),
        ("/a/x.conf", ["/a/x.conf"], ["/a/xyconf"]),
    ],
)
def test_globs(glob: str, matching: list[str], others: list[str]) -> None:
    assert [path for path in matching + others if Glob(glob).matches(path)] == matching


@pytest.mark.parametrize(
    ("glob", "fixed"),
    [("/usr/lib/*.so", "/usr/lib"), ("/etc/a/", "/etc/a"), ("/etc/fstab", "/etc/fstab"), ("/usr/li?/x", "/usr")],
)
def test_fixed_part(glob: str, fixed: str) -> None:
    assert fixed_part(glob) == fixed


@pytest.mark.parametrize(
    ("glob", "message"),
    [
        ("/a/[z-a]*", 'has "/a/[z-a]*"; z-a in it is no range, write a-z'),
        ("/a/[", 'has "/a/["; end the set with "]", or write [[] for a bracket'),
        ("/a/[]", 'has "/a/[]"; end the set with "]", or write [[] for a bracket'),
        ("/a/[!]", 'has "/a/[!]"; end the set with "]", or write [[] for a bracket'),
        ("/" + "a" * 4096, "has a glob of 4097 characters; no path has more than 4096"),
    ],
)
def test_a_wrong_glob_says_what_to_write(glob: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Glob(glob)


def expression(glob: str) -> re.Pattern[str]:
    """The regular expression of an ordinary glob: how this was done before."""
    out, position = "", 0
    while position < len(glob):
        char = glob[position]
        if glob.startswith("**", position):
            out += ".*"
            position += 2
            continue
        if char == "[":
            end = glob.index("]", position + 2)
            inner = glob[position + 1 : end].replace("\\", "\\\\")
            out += f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            position = end + 1
            continue
        out += "[^/]*" if char == "*" else "[^/]" if char == "?" else re.escape(char)
        position += 1
    return re.compile(out + ".*" if glob.endswith("/") else out, re.DOTALL)


PIECES = ("a", "b", "c", "/", ".", "-", "\n", "\udcff", "*", "**", "?", "[ab]", "[!a]", "[^b-c/]", "[a-b.]", "[/-a]")
GLOBS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
PATHS = st.lists(st.sampled_from("abc/.-\n\udcff"), max_size=12).map("".join)


@given(GLOBS, PATHS)
def test_it_means_what_the_regular_expression_means(glob: str, path: str) -> None:
    assert Glob(glob).matches(path) is bool(expression(glob).fullmatch(path))


@given(GLOBS.filter(str.isascii), st.data())
def test_it_matches_what_it_stands_for(glob: str, data: st.DataObject) -> None:
    path = data.draw(st.from_regex(expression(glob), fullmatch=True))
    assert Glob(glob).matches(path)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_a_glob_or_is_refused(glob: str, path: str) -> None:
    try:
        Glob(glob).matches(path)
    except ValueError as error:
        assert str(error).startswith('has "')


@pytest.mark.parametrize(
    "glob", ["/**a**a**a**a**a**b", "/*a*a*a*a*a*b", "/" + "**?" * 1000 + "b", "/" + "[ab]**" * 680, "/**" * 1300 + "x"]
)
def test_no_glob_takes_long(glob: str) -> None:
    begin = time.process_time()
    for name in ("a" * 4000, "a/" * 2000, "/" * 4000):
        Glob(glob).matches(f"/{name}")
    assert time.process_time() - begin < 3 * 0.05
