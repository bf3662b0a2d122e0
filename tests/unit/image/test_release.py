#  SPDX-License-Identifier: MIT
"""Which images are made for which hosts, and which release file says so."""

from __future__ import annotations

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import release
from extension_runtime.image.host import Host

DEBIAN = Host("debian", (), "12")
UBUNTU = Host("ubuntu", ("debian", "other"), "24.04")
ROLLING = Host("arch")
LEVELS = Host("debian", (), "12", sysext_level="2", confext_level="3")
LEVEL_ONLY = Host("debian", (), "", sysext_level="2")
INITRD = Host("debian", (), "12", scope="initrd")
NAMELESS = Host("")

# host, class, release data, part of the reason (None: it matches); in the order of the algorithm
TABLE = [
    # no release data
    (DEBIAN, "sysext", {}, "no data"),
    # scope: the default is "system portable"
    (DEBIAN, "sysext", {"ID": "_any", "SYSEXT_SCOPE": "system"}, None),
    (DEBIAN, "sysext", {"ID": "_any", "SYSEXT_SCOPE": "portable"}, "SYSEXT_SCOPE=portable"),
    (DEBIAN, "sysext", {"ID": "_any", "SYSEXT_SCOPE": ""}, "SYSEXT_SCOPE="),
    (DEBIAN, "sysext", {"ID": "_any", "SYSEXT_SCOPE": "initrd portable  system"}, None),
    (DEBIAN, "sysext", {"ID": "_any", "CONFEXT_SCOPE": "initrd"}, None),
    (DEBIAN, "confext", {"ID": "_any", "CONFEXT_SCOPE": "initrd"}, "CONFEXT_SCOPE=initrd"),
    (INITRD, "sysext", {"ID": "_any"}, "this is initrd"),
    (INITRD, "sysext", {"ID": "_any", "SYSEXT_SCOPE": "initrd"}, None),
    (INITRD, "sysext", {"ID": "_any", "SYSEXT_SCOPE": "initrdx"}, "this is initrd"),
    # the scope comes before the architecture, the architecture before the ID
    (DEBIAN, "sysext", {"SYSEXT_SCOPE": "initrd", "ARCHITECTURE": "s390x"}, "SYSEXT_SCOPE"),
    (DEBIAN, "sysext", {"ARCHITECTURE": "s390x"}, "ARCHITECTURE=s390x"),
    (DEBIAN, "sysext", {"ID": "_any", "ARCHITECTURE": "s390x"}, "ARCHITECTURE=s390x"),
    (DEBIAN, "sysext", {"ID": "_any", "ARCHITECTURE": "x86-64"}, None),
    (DEBIAN, "sysext", {"ID": "_any", "ARCHITECTURE": "_any"}, None),
    (DEBIAN, "sysext", {"ID": "_any", "ARCHITECTURE": ""}, None),
    (DEBIAN, "sysext", {"ID": "_any", "ARCHITECTURE": "x86_64"}, "ARCHITECTURE=x86_64"),
    # ID
    (DEBIAN, "sysext", {"VERSION_ID": "12"}, "no ID="),
    (DEBIAN, "sysext", {"ID": "", "VERSION_ID": "12"}, "no ID="),
    (DEBIAN, "sysext", {"ID": "_any", "VERSION_ID": "11", "SYSEXT_LEVEL": "9"}, None),
    (NAMELESS, "sysext", {"ID": "_any"}, None),
    (NAMELESS, "sysext", {"ID": "debian"}, "ID=debian"),
    (DEBIAN, "sysext", {"ID": "fedora", "VERSION_ID": "12"}, "ID=fedora, this host is ID=debian"),
    (UBUNTU, "sysext", {"ID": "debian", "VERSION_ID": "24.04"}, None),
    (UBUNTU, "sysext", {"ID": "debian", "VERSION_ID": "12"}, "VERSION_ID=12"),
    (UBUNTU, "sysext", {"ID": "other", "VERSION_ID": "24.04"}, None),
    (DEBIAN, "sysext", {"ID": "ubuntu", "VERSION_ID": "12"}, "ID=ubuntu"),
    # a host with neither version nor level takes any
    (ROLLING, "sysext", {"ID": "arch"}, None),
    (ROLLING, "sysext", {"ID": "arch", "VERSION_ID": "1", "SYSEXT_LEVEL": "1"}, None),
    # both have a level: only that counts
    (LEVELS, "sysext", {"ID": "debian", "SYSEXT_LEVEL": "2", "VERSION_ID": "99"}, None),
    (LEVELS, "sysext", {"ID": "debian", "SYSEXT_LEVEL": "1", "VERSION_ID": "12"}, "SYSEXT_LEVEL=1"),
    (LEVELS, "confext", {"ID": "debian", "CONFEXT_LEVEL": "3"}, None),
    (LEVELS, "confext", {"ID": "debian", "CONFEXT_LEVEL": "2"}, "CONFEXT_LEVEL=2"),
    (LEVELS, "confext", {"ID": "debian", "SYSEXT_LEVEL": "2"}, "VERSION_ID=(none)"),
    # one has none: the version
    (LEVELS, "sysext", {"ID": "debian", "VERSION_ID": "12"}, None),
    (LEVELS, "sysext", {"ID": "debian"}, "VERSION_ID=(none)"),
    (LEVELS, "sysext", {"ID": "debian", "SYSEXT_LEVEL": "", "VERSION_ID": "12"}, None),
    (DEBIAN, "sysext", {"ID": "debian", "SYSEXT_LEVEL": "2", "VERSION_ID": "12"}, None),
    (DEBIAN, "sysext", {"ID": "debian", "SYSEXT_LEVEL": "2"}, "VERSION_ID=(none)"),
    (DEBIAN, "sysext", {"ID": "debian", "VERSION_ID": "11"}, "VERSION_ID=11, this host is VERSION_ID=12"),
    (DEBIAN, "sysext", {"ID": "debian", "VERSION_ID": "12.0"}, "VERSION_ID=12.0"),
    # otherwise: the host has a level only, the image none
    (LEVEL_ONLY, "sysext", {"ID": "debian", "VERSION_ID": "7"}, None),
    (LEVEL_ONLY, "sysext", {"ID": "debian", "SYSEXT_LEVEL": "1"}, "SYSEXT_LEVEL=1"),
    (LEVEL_ONLY, "confext", {"ID": "debian", "CONFEXT_LEVEL": "1"}, None),
]


@pytest.mark.parametrize(("host", "class_", "data", "reason"), TABLE)
def test_match(host: Host, class_: str, data: dict[str, str], reason: str | None) -> None:
    said = release.match(data, host, class_)
    if reason is None:
        assert said is None
    else:
        assert said is not None and reason in said


def test_a_reason_stays_one_line() -> None:
    said = release.match({"ID": "a\nb\x1b"}, DEBIAN, "sysext")
    assert said is not None and said.isprintable()


@pytest.mark.parametrize(
    ("name", "candidates", "chosen"),
    [
        ("foo", {"foo": False}, "foo"),
        ("foo", {"foo": False, "bar": True}, "foo"),
        ("foo_1", {"foo_1": False, "foo": False}, "foo_1"),
        ("foo_1.2", {"foo": False}, "foo"),
        ("foo+3-1", {"foo": False}, "foo"),
        ("foo_1+3", {"foo": False}, "foo"),
        ("foo+3_1", {"foo": False}, "foo"),
        ("foo", {"bar": True}, "bar"),
        ("foo_1", {"bar": True, "baz": False}, "bar"),
    ],
)
def test_choose(name: str, candidates: dict[str, bool], chosen: str) -> None:
    assert release.choose(name, candidates, "dir") == chosen


@pytest.mark.parametrize(
    ("name", "candidates", "text"),
    [
        ("foo", {}, "dir/extension-release.foo: missing"),
        ("foo", {"bar": False}, r"there is extension-release.bar"),
        ("foo", {"foo_1": False}, "missing"),
        ("foo-1", {"foo": False}, "missing"),
        ("foo", {"bar": True, "baz": True}, "more than one could stand in: bar, baz"),
        ("foo_1", {"foo": False, "baz": True}, "more than one"),
    ],
)
def test_choose_refuses(name: str, candidates: dict[str, bool], text: str) -> None:
    with pytest.raises(ImageError, match=text):
        release.choose(name, candidates, "dir")
