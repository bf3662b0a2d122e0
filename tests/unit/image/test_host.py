#  SPDX-License-Identifier: MIT
"""What is read of a host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import host


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib").mkdir(parents=True)
    return tmp_path


def test_fields(root: Path) -> None:
    (root / "etc/os-release").write_text(
        'ID=ubuntu\nID_LIKE="debian other"\nVERSION_ID="24.04"\nSYSEXT_LEVEL=2\nCONFEXT_LEVEL=3\n'
    )
    found = host.read(str(root))
    assert (found.id, found.id_like, found.version_id) == ("ubuntu", ("debian", "other"), "24.04")
    assert (found.sysext_level, found.confext_level, found.scope) == ("2", "3", "system")
    assert found.architecture == host.architecture()


def test_usr_lib_when_etc_has_none(root: Path) -> None:
    (root / "usr/lib/os-release").write_text("ID=a\n")
    assert host.read(str(root)).id == "a"
    (root / "etc/os-release").write_text("ID=b\n")
    assert host.read(str(root)).id == "b"


def test_a_link_stays_inside_the_root(root: Path) -> None:
    (root / "usr/lib/os-release").write_text("ID=inside\n")
    (root / "etc/os-release").symlink_to("/usr/lib/os-release")
    assert host.read(str(root)).id == "inside"
    (root / "etc/os-release").unlink()
    (root / "etc/os-release").symlink_to("../../../../../../../usr/lib/os-release")
    assert host.read(str(root)).id == "inside"


def test_initrd(root: Path) -> None:
    (root / "etc/initrd-release").write_text("ID=a\n")
    assert host.read(str(root)).scope == "initrd"


def test_nothing_at_all(root: Path) -> None:
    found = host.read(str(root))
    assert (found.id, found.version_id) == ("", "")


def test_no_root() -> None:
    with pytest.raises(ImageError, match="/nonexistent/root: No such file"):
        host.read("/nonexistent/root")


def test_a_fifo_does_not_block(root: Path) -> None:
    os.mkfifo(root / "etc/os-release")
    with pytest.raises(ImageError, match="/etc/os-release: is a FIFO"):
        host.read(str(root))


def test_what_is_no_text(root: Path) -> None:
    (root / "etc/os-release").write_bytes(b"ID=a\nX=\xff\n")
    with pytest.raises(ImageError, match="/etc/os-release:2: is not UTF-8"):
        host.read(str(root))
    (root / "etc/os-release").write_bytes(b"ID=a\n\0\n")
    with pytest.raises(ImageError, match="/etc/os-release:2: holds a NUL byte"):
        host.read(str(root))
    with open(root / "etc/os-release", "wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(ImageError, match="/etc/os-release: has 104857600 bytes"):
        host.read(str(root))


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("x86_64", "x86-64"),
        ("i686", "x86"),
        ("aarch64", "arm64"),
        ("armv7l", "arm"),
        ("ppc64le", "ppc64-le"),
        ("riscv64", "riscv64"),
        ("s390x", "s390x"),
        ("loongarch64", "loongarch64"),
    ],
)
def test_architecture(machine: str, name: str) -> None:
    assert host.architecture(machine) == name


def test_a_loop_of_links(root: Path) -> None:
    (root / "etc/os-release").symlink_to("os-release")
    with pytest.raises(ImageError, match=r"^/etc/os-release: Too many levels of symbolic links$"):
        host.read(str(root))


def test_the_level_is_that_of_the_class() -> None:
    found = host.of({"ID": "a", "SYSEXT_LEVEL": "1", "CONFEXT_LEVEL": "2"}, "initrd")
    assert (found.level("sysext"), found.level("confext"), found.scope) == ("1", "2", "initrd")
    assert host.architecture("unheard-of") == "unheard-of"
