#  SPDX-License-Identifier: MIT
"""os-release(5) is read as systemd reads it."""

from __future__ import annotations

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import osrelease


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", {}),
        ("# ID=a\n;ID=b\n\n  \n", {}),
        ("ID=debian\nVERSION_ID=12\n", {"ID": "debian", "VERSION_ID": "12"}),
        ("ID=a\r\nX=b\r\n", {"ID": "a", "X": "b"}),
        ("ID=a\nID=b\n", {"ID": "b"}),
        ("  ID = a \n", {"ID": "a"}),
        ("NAME=\"a b\"\nX='c d'", {"NAME": "a b", "X": "c d"}),
        (r'NAME="a \"b\" \$c \n"', {"NAME": r'a "b" $c \n'}),
        (r"NAME='a\b'", {"NAME": r"a\b"}),
        (r"NAME=a\ b", {"NAME": "a b"}),
        ("NAME=a\"b c\"'d'", {"NAME": "ab cd"}),
        ("no assignment\n=x\nID=a", {"ID": "a"}),
        ("ID=", {"ID": ""}),
        ("ID=a=b", {"ID": "a=b"}),
    ],
)
def test_parse(text: str, data: dict[str, str]) -> None:
    assert osrelease.parse(text, "file") == data


def test_parse_names_file_and_line() -> None:
    with pytest.raises(ImageError, match=r"^some/file:2: .*NAME=.*never ends"):
        osrelease.parse('ID=a\nNAME="b\nX=c\n', "some/file")
