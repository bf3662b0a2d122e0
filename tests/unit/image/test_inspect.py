#  SPDX-License-Identifier: MIT
"""An image is looked at without being attached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.image import find, host, inspect
from extension_runtime.kernel import chase

DEBIAN = host.Host("debian", (), "12")


def image(root: Path, name: str, *releases: str) -> Path:
    """An image below `root` with these lines in its release files ("sysext ID=_any")."""
    place = root / "srv" / name
    (place / "usr/bin").mkdir(parents=True)
    for text in releases:
        class_, _, line = text.partition(" ")
        folder = place / ("usr/lib" if class_ == "sysext" else "etc") / "extension-release.d"
        folder.mkdir(parents=True)
        (folder / f"extension-release.{name}").write_text(line + "\nIMAGE_VERSION=7\n")
    return place


def probe(root: Path, path: str, names: tuple[str, ...] = ("sysext",)) -> inspect.Probe:
    with find.find(str(root), path, names) as picked:
        return inspect.probe(picked, names, DEBIAN)


def probe_all(root: Path, path: str) -> inspect.Probe:
    with find.find(str(root), path, ("sysext",)) as picked:
        return inspect.probe_all(picked, DEBIAN)


def test_all_of_a_directory_is_seen(tmp_path: Path) -> None:
    image(tmp_path, "a", "sysext ID=debian\nVERSION_ID=12")
    found = probe(tmp_path, "/srv/a")
    assert (found.format, found.version, found.hierarchies, found.mismatch) == ("directory", "7", ("usr",), "")


def test_an_image_for_another_host_is_sound(tmp_path: Path) -> None:
    image(tmp_path, "a", "sysext ID=fedora")
    found = probe(tmp_path, "/srv/a")
    assert found.mismatch == "/srv/a: made for ID=fedora, this host is ID=debian (sysext)"
    assert found.hierarchies == ("usr",)


def test_an_image_that_cannot_be_used(tmp_path: Path) -> None:
    image(tmp_path, "a")
    with pytest.raises(ExtensionError, match=r"^/srv/a: /usr/lib/extension-release.d/extension-release.a: missing"):
        probe(tmp_path, "/srv/a")


def test_the_classes_are_those_of_the_release_files(tmp_path: Path) -> None:
    image(tmp_path, "a", "sysext ID=_any", "confext ID=_any")
    assert probe_all(tmp_path, "/srv/a").hierarchies == ("usr", "etc")
    image(tmp_path, "b", "confext ID=_any")
    assert probe_all(tmp_path, "/srv/b").hierarchies == ("etc",)


def test_an_image_of_no_class(tmp_path: Path) -> None:
    image(tmp_path, "a")
    with pytest.raises(ExtensionError) as raised:
        probe_all(tmp_path, "/srv/a")
    assert str(raised.value) == (
        "/srv/a: has no release file; an image needs /usr/lib/extension-release.d/extension-release.a "
        "or /etc/extension-release.d/extension-release.a"
    )


def test_of_a_raw_image_only_what_it_is_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/a.raw").write_bytes(b"hsqs" + bytes(36) + (4096).to_bytes(8, "little") + bytes(4096))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for found in (probe(tmp_path, "/srv/a.raw"), probe_all(tmp_path, "/srv/a.raw")):
        assert (found.format, found.version, found.hierarchies, found.mismatch) == ("squashfs", "", (), "")


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", "is empty; "), (b"#!/bin/sh\n", "is a script; "), (b"hsqs" + b"\xff" * 5000, "is truncated: 5004 bytes")],
)
def test_a_raw_image_that_is_none(data: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/a.raw").write_bytes(data)
    with pytest.raises(ExtensionError, match=f"^/srv/a.raw: {text}"):
        probe(tmp_path, "/srv/a.raw")


def test_a_raw_image_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/a.raw").write_bytes(b"hsqs")

    def refuse(_fd: int) -> int:
        raise PermissionError(13, "Permission denied")

    with find.find(str(tmp_path), "/srv/a.raw", ("sysext",)) as picked:
        # Root may read everything, so a mode would not do.
        monkeypatch.setattr(chase, "reopen", refuse)
        with pytest.raises(ExtensionError, match=r"^/srv/a.raw: Permission denied$"):
            inspect.probe(picked, ("sysext",), DEBIAN)


def test_the_system_that_a_file_tells_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "os-release").write_text("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\nSYSEXT_LEVEL=2\n")
    monkeypatch.chdir(tmp_path)
    for path in ("os-release", f"{tmp_path}/os-release"):
        found = inspect.system_of(path)
        assert (found.id, found.id_like, found.version_id) == ("ubuntu", ("debian",), "24.04")
        assert (found.level("sysext"), found.scope, found.architecture) == ("2", "system", host.architecture())
    (tmp_path / "os-release").write_text('ID="ubuntu')
    for path, text in (
        ("os-release", 'os-release:1: the quote in ID= never ends; write ID="..."'),
        ("missing", r"missing: .*No such file or directory"),
        (".", "\\.: is a directory; put a regular file there"),
    ):
        with pytest.raises(ExtensionError, match=f"^{text}$"):
            inspect.system_of(path)
