#  SPDX-License-Identifier: MIT
"""What the mount helper is told, read back as it was told, and which of it is a promise."""

from __future__ import annotations

from typing import Any

import pytest
from extension_manifests import options
from extension_manifests.manifest import Manifest
from hypothesis import given, settings
from hypothesis import strategies as st

PLAIN = {"image": "app", "class": "sysext", "mismatch": "skip", "noexec": "0", "nosuid": "0"}


def manifest(**keys: Any) -> Manifest:
    return Manifest("app", "/m", **keys)


def test_what_is_told_by_default() -> None:
    assert options.told(manifest()) == PLAIN
    assert options.told(manifest(classes=("confext",))) == {**PLAIN, "class": "confext", "nosuid": "1"}


def test_all_of_it() -> None:
    full = manifest(image="/a,b", classes=("confext", "sysext"), mismatch="fail", noexec=True, nosuid=True,
                    image_policy="root=verity", root_hash="00", signature="/x y.p7s")  # fmt: skip
    assert options.text(options.told(full)) == (
        "ext.image=/a\\x2cb,ext.class=sysext:confext,ext.mismatch=fail,ext.noexec=1,ext.nosuid=1,"
        "ext.policy=root=verity,ext.roothash=00,ext.signature=/x\\x20y.p7s"
    )


@settings(deadline=None, database=None)
@given(st.dictionaries(st.sampled_from(("image", "class", "signature")), st.text(min_size=1)))
def test_what_is_written_is_read_back(pairs: dict[str, str]) -> None:
    try:
        "".join(pairs.values()).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return  # no text that a file or a command line can hold
    assert options.read(options.text(pairs)) == pairs


@pytest.mark.parametrize("text", ["", "ro,nodev", "ext.image=\\zz", "x"])
def test_what_others_have_written_is_nothing(text: str) -> None:
    assert options.read(text) == {}


@pytest.mark.parametrize(
    ("policy", "content"),
    [
        ("*", True),
        ("root=unprotected", True),
        ("root=open", True),
        ("root=verity+signed+encrypted+unprotected+absent:usr=verity+signed+encrypted+unprotected+absent", True),
        ("=unprotected", True),
        ("usr=verity:=open", True),
        ("root=open:=absent", True),
        ("-", False),
        ("~", False),
        ("root", False),
        ("root=", False),
        ("root=verity", False),
        ("root=verity:=open", False),
        ("root=signed+absent:usr=unprotected", False),
        ("usr=unprotected", False),
        ("root=unprotected+read-only-on", False),
        ("root=unprotected+new", False),
        ("root=open:root=open", False),
        ("root=open:", False),
        ("root=open:nonsense", False),
        ("**", False),
    ],
)
def test_a_policy_that_is_content_asks_for_nothing(policy: str, content: bool) -> None:
    assert options.verifies("policy", policy) is not content
    assert options.promises({**PLAIN, "policy": policy}) == ([] if content else [f"ImagePolicy={policy}"])


def test_promises() -> None:
    assert options.promises({}) == options.promises(PLAIN) == options.promises({**PLAIN, "class": "confext"}) == []
    # What is merged over /etc is nosuid, whatever it is.
    assert options.promises({**PLAIN, "class": "confext", "nosuid": "1"}) == []
    assert options.promises({**PLAIN, "class": "sysext:confext", "nosuid": "1"}) == ["NoSuid=yes (sysext)"]
    assert options.promises({**PLAIN, "class": "sysext:confext", "noexec": "1"}) == [
        "NoExec=yes (sysext)",
        "NoExec=yes (confext)",
    ]
    assert options.promises({**PLAIN, "roothash": "00", "signature": "/x"}) == ["RootHash=00", "Signature=/x"]


def test_what_was_not_kept() -> None:
    kept = options.text(options.told(manifest(noexec=True)))
    assert options.unkept(manifest(), kept) == options.unkept(manifest(noexec=True), kept) == []
    assert options.unkept(manifest(noexec=True, nosuid=True), kept) == ["NoSuid=yes (sysext)"]
    both = manifest(classes=("sysext", "confext"), noexec=True)
    assert options.unkept(both, kept) == ["NoExec=yes (confext)"]
    assert options.unkept(manifest(root_hash="00"), "") == ["RootHash=00"]
    assert options.unkept(manifest(root_hash="00"), options.text(options.told(manifest(root_hash="01")))) != []
