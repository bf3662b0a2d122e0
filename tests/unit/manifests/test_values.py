#  SPDX-License-Identifier: MIT
"""Text of one value becomes what it means."""

from __future__ import annotations

import re

import pytest
from extension_manifests import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        ("1.5", 1.5),
        ("1min 30s", 90.0),
        ("1h30m", 5400.0),
        ("200 ms", 0.2),
        ("2 weeks", 1209600.0),
    ],
)
def test_spans(text: str, seconds: float) -> None:
    assert values.span(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["s", "1 parsec", "-1", "1..2", ".", "1e9", "inf", "1" * 400])
def test_wrong_spans(text: str) -> None:
    with pytest.raises(ValueError, match="time span"):
        values.span(text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "ON", True),
        ("bool", "f", False),
        ("span", "infinity", float("inf")),
        ("span", "", 0.0),
        ("path", "/a//./b/", "/a/b"),
        ("path", "/" + "x" * 255, "/" + "x" * 255),
        ("image", "a+b~c^d@e_1-2.raw", "a+b~c^d@e_1-2.raw"),
        ("image", "/srv//a.raw", "/srv/a.raw"),
        ("class", "confext", "confext"),
        ("extension", "a.extension", "a"),
        ("unit", "a@b.service", "a@b.service"),
        ("target", "a.extension", "a.extension"),
        ("target", "a.target", "a.target"),
        ("dependency", "a.extension", "a.extension"),
        ("dependency", "a@%i", "a@%i"),
        ("policy", "root=verity+signed:=absent", "root=verity+signed:=absent"),
        ("roothash", "AB" * 16, "ab" * 16),
        ("roothash", "/x//y", "/x/y"),
        ("path", "/é" * 1365, "/é" * 1365),
        ("path", "/" * 5000 + "x", "/x"),
        ("signature", "base64:AA+/=", "base64:AA+/="),
        ("signature", "/x.p7s", "/x.p7s"),
        ("text", " as it is ", " as it is "),
        ("choice:skip fail", "fail", "fail"),
    ],
)
def test_converted(kind: str, text: str, value: values.Value) -> None:
    assert values.convert(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("bool", "maybe", '"maybe" is no boolean; write yes or no'),
        ("span", "soon", '"soon" is no time span; write seconds or as 1min 30s'),
        ("path", "a", '"a" is no absolute path; start it with "/" and leave out ".."'),
        ("path", "/a/../b", '"/a/../b" is no absolute path; start it with "/" and leave out ".."'),
        ("path", "/./", '"/./" is no absolute path; start it with "/" and leave out ".."'),
        ("path", "/" + "x" * 256, "the path is too long; a part may have 255 bytes, all of it 4095"),
        ("path", "/" + "é" * 128, "the path is too long; a part may have 255 bytes, all of it 4095"),
        ("path", "/x" * 2048, "the path is too long; a part may have 255 bytes, all of it 4095"),
        ("path", "/é" * 1366, "the path is too long; a part may have 255 bytes, all of it 4095"),
        ("image", "", '"" is no name of an image; use A-Z a-z 0-9 . _ - + ~ ^ @ only, or write an absolute path'),
        ("image", ".a", '".a" is no name of an image; use A-Z a-z 0-9 . _ - + ~ ^ @ only, or write an absolute path'),
        ("image", "a%b", '"a%b" is no name of an image; use A-Z a-z 0-9 . _ - + ~ ^ @ only, or write an absolute path'),
        ("class", "portable", '"portable" is no class; write sysext, confext or both'),
        ("extension", "a", '"a" is no extension; write a.extension'),
        ("extension", ".extension", '".extension" is no extension; write NAME.extension'),
        ("unit", "a.extension", '"a.extension" is no unit; write NAME.service'),
        ("unit", "a", '"a" is no unit; write a.service'),
        ("target", "a b", '"a b" is no unit; write NAME.target'),
        ("dependency", "a", '"a" names no unit; write a.extension'),
        ("policy", "a,b", '"a,b" is no image policy; see systemd.image-policy(7)'),
        ("roothash", "a" * 31, "is no root hash; write at least 32 hexadecimal digits or an absolute path"),
        ("roothash", "a" * 33, "is no root hash; write at least 32 hexadecimal digits or an absolute path"),
        ("roothash", "g" * 32, "is no root hash; write at least 32 hexadecimal digits or an absolute path"),
        ("signature", "base64:", "is no base64; write base64: and the encoded signature, or an absolute path"),
        ("signature", "x", '"x" is no absolute path; start it with "/" and leave out ".."'),
        ("choice:skip fail", "Skip", '"Skip" is not known; write skip or fail'),
    ],
)
def test_refused(kind: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        values.convert(kind, text)


@pytest.mark.parametrize(("text", "said"), [("yes", (True, True)), ("0", (False, False)), ("x", (True, False))])
def test_what_says_neither_leaves_the_default(text: str, said: tuple[bool, bool]) -> None:
    assert (values.says(text, True), values.says(text, False)) == said
