#  SPDX-License-Identifier: MIT
"""Which file or directory an image's name stands for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import find, host

SYSEXT = ("sysext",)
NATIVE = host.architecture()


def put(root: Path, *paths: str) -> None:
    """Make files (or, with a slash at the end, directories that are not empty) below `root`."""
    for path in paths:
        if path.endswith("/"):
            (root / path / "usr").mkdir(parents=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("x")


def found(root: Path, name: str, classes: tuple[str, ...] = SYSEXT) -> tuple[str, str, str, str]:
    with find.find(str(root), name, classes) as picked:
        there = os.fstat(picked.fd)
        assert there.st_ino == os.stat(os.path.realpath(f"{root}{picked.path}")).st_ino
        return picked.path, picked.kind, picked.name, picked.version


FORMS = [
    (["var/lib/extensions/foo/"], ("/var/lib/extensions/foo", "directory", "foo", "")),
    (["var/lib/extensions/foo.raw"], ("/var/lib/extensions/foo.raw", "raw", "foo", "")),
    (["var/lib/extensions/foo.v/foo_1/"], ("/var/lib/extensions/foo.v/foo_1", "directory", "foo", "1")),
    (["run/extensions/foo.raw.v/foo_1.raw"], ("/run/extensions/foo.raw.v/foo_1.raw", "raw", "foo", "1")),
    # in one place, in this order
    (
        ["etc/extensions/foo/", "etc/extensions/foo.raw", "etc/extensions/foo.v/foo_1/"],
        ("/etc/extensions/foo", "directory", "foo", ""),
    ),
    (
        ["etc/extensions/foo.raw", "etc/extensions/foo.v/foo_1/", "etc/extensions/foo.raw.v/foo_1.raw"],
        ("/etc/extensions/foo.raw", "raw", "foo", ""),
    ),
    # over places, in the order of places
    (["var/lib/extensions/foo/", "run/extensions/foo.raw"], ("/run/extensions/foo.raw", "raw", "foo", "")),
    (["run/extensions/foo/", "etc/extensions/foo.v/foo_1/"], ("/etc/extensions/foo.v/foo_1", "directory", "foo", "1")),
    # what holds nothing of the right form is passed over
    (["run/extensions/foo.v/bar_1/", "var/lib/extensions/foo/"], ("/var/lib/extensions/foo", "directory", "foo", "")),
    (
        ["run/extensions/foo.v/foo_1.raw", "var/lib/extensions/foo/"],
        ("/var/lib/extensions/foo", "directory", "foo", ""),
    ),
    (["run/extensions/foo", "var/lib/extensions/foo/"], ("/var/lib/extensions/foo", "directory", "foo", "")),
    (["run/extensions/foo.raw/", "var/lib/extensions/foo/"], ("/var/lib/extensions/foo", "directory", "foo", "")),
    # versions and architectures
    (
        [f"etc/extensions/foo.v/foo_{version}/" for version in ("1", "2", "10", f"9_{NATIVE}", "11_alpha", "12+0-3")],
        ("/etc/extensions/foo.v/foo_10", "directory", "foo", "10"),
    ),
]


@pytest.mark.parametrize(("paths", "expected"), FORMS)
def test_forms(tmp_path: Path, paths: list[str], expected: tuple[str, str, str, str]) -> None:
    put(tmp_path, *paths)
    assert found(tmp_path, "foo") == expected


def test_places_of_classes(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/confexts/foo/")
    with pytest.raises(ImageError, match="no such image"):
        find.find(str(tmp_path), "foo", SYSEXT)
    for place in ("/usr/lib/confexts", "/usr/local/lib/confexts", "/var/lib/confexts", "/run/confexts"):
        if place != "/usr/lib/confexts":
            put(tmp_path, f"{place[1:]}/foo/")
        assert found(tmp_path, "foo", ("confext",))[0] == f"{place}/foo"
    assert found(tmp_path, "foo", ("confext", "sysext"))[0] == "/run/confexts/foo"
    put(tmp_path, "var/lib/extensions/foo/")
    assert found(tmp_path, "foo", ("confext", "sysext"))[0] == "/var/lib/extensions/foo"


def test_absolute(tmp_path: Path) -> None:
    put(tmp_path, "srv/a/", "srv/b_1.raw", "srv/c", "srv/d.v/d_1/", "srv/e.raw.v/e_2.raw", "srv/f.v/g_3.img")
    assert found(tmp_path, "/srv/a") == ("/srv/a", "directory", "a", "")
    assert found(tmp_path, "//srv/./a/") == ("/srv/a", "directory", "a", "")
    assert found(tmp_path, "/srv/b_1.raw") == ("/srv/b_1.raw", "raw", "b_1", "")
    assert found(tmp_path, "/srv/c") == ("/srv/c", "raw", "c", "")
    assert found(tmp_path, "/srv/d.v/") == ("/srv/d.v/d_1", "directory", "d", "1")
    assert found(tmp_path, "/srv/e.raw.v") == ("/srv/e.raw.v/e_2.raw", "raw", "e", "2")
    assert found(tmp_path, "/srv/f.v/g___.img") == ("/srv/f.v/g_3.img", "raw", "g", "3")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/srv/none", "/srv/none: no such image"),
        ("/srv/file/below", "no such image"),
        ("/srv/v.v", "holds no v_VERSION for this architecture"),
        ("/srv/fifo", "/srv/fifo: is a FIFO"),
        ("/srv/file.v", "is a regular file; what ends in .v"),
        ("/", "no name of an image"),
        ("", "no name of an image"),
        ("..", "no name of an image"),
        ("a/b", "neither a name nor an absolute path"),
        ("../a", "neither a name nor an absolute path"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        ("/srv/" + "a" * 300, "255 bytes"),
        ("é" * 150, "255 bytes"),
    ],
)
def test_refused(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path, "srv/file", "srv/file.v", "srv/v.v/other/")
    os.mkfifo(tmp_path / "srv/fifo")
    with pytest.raises(ImageError, match=text) as raised:
        find.find(str(tmp_path), name, SYSEXT)
    assert str(raised.value).isprintable()


def test_every_place_is_named(tmp_path: Path) -> None:
    put(tmp_path, "etc/extensions/foo", "run/extensions/foo.raw/", "var/lib/extensions/foo.v/foo_1_alpha/")
    with pytest.raises(ImageError) as raised:
        find.find(str(tmp_path), "foo", SYSEXT)
    text = str(raised.value)
    for part in (
        "foo.raw.v/ in /etc/extensions, /run/extensions, /var/lib/extensions",
        "/etc/extensions/foo: is a regular file; a raw image is named foo.raw",
        "/run/extensions/foo.raw: is a directory",
        "/var/lib/extensions/foo.v: holds no foo_VERSION for this architecture",
    ):
        assert part in text


def test_an_empty_directory_masks(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/extensions/foo/", "run/extensions/foo.raw")
    (tmp_path / "etc/extensions/foo").mkdir(parents=True)
    with pytest.raises(find.MaskedError, match="/etc/extensions/foo: is an empty directory"):
        find.find(str(tmp_path), "foo", SYSEXT)


def test_a_link_to_dev_null_does_not_mask(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/extensions/foo/", "etc/extensions/other", "dev/other")
    (tmp_path / "etc/extensions/foo.raw").symlink_to("/dev/null")
    if os.geteuid() == 0:
        os.mknod(tmp_path / "dev/null", 0o020666, os.makedev(1, 3))
        assert found(tmp_path, "foo")[0] == "/var/lib/extensions/foo"
        (tmp_path / "var/lib/extensions/foo/usr").rmdir()
        (tmp_path / "var/lib/extensions/foo").rmdir()
        with pytest.raises(ImageError, match=r"foo.raw: is /dev/null; to mask an image, make an empty directory foo"):
            find.find(str(tmp_path), "foo", SYSEXT)


@pytest.mark.parametrize("name", ["foo", "foo.raw", "foo.v"])
def test_a_link_to_nothing_is_an_error(tmp_path: Path, name: str) -> None:
    put(tmp_path, "var/lib/extensions/foo/", "etc/extensions/other")
    (tmp_path / "etc/extensions" / name).symlink_to("nothing")
    with pytest.raises(ImageError, match=f"/etc/extensions/{name}: is a link to a place that does not exist"):
        find.find(str(tmp_path), "foo", SYSEXT)


def test_links_stay_inside_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    put(outside, "image/")
    put(root, "srv/image/", "etc/extensions/other")
    link = root / "etc/extensions/foo"
    link.symlink_to("/srv/image")
    with find.find(str(root), "foo", SYSEXT) as picked:
        assert os.fstat(picked.fd).st_ino == os.stat(root / "srv/image").st_ino
    for target in (str(outside / "image"), "../../../outside/image"):
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(ImageError, match="does not exist inside the root"):
            find.find(str(root), "foo", SYSEXT)
    link.unlink()
    link.symlink_to("foo")
    with pytest.raises(ImageError, match="/etc/extensions/foo: Too many levels of symbolic links"):
        find.find(str(root), "foo", SYSEXT)


def test_a_name_that_is_no_directory(tmp_path: Path) -> None:
    put(tmp_path, "etc/extensions", "var/lib/extensions/foo/")
    assert found(tmp_path, "foo")[0] == "/var/lib/extensions/foo"


def test_what_is_no_image_in_a_place_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "etc/extensions/other")
    os.mkfifo(tmp_path / "etc/extensions/foo")
    with pytest.raises(
        ImageError, match=r"^/etc/extensions/foo: is a FIFO; an image is a directory or a raw file system$"
    ):
        find.find(str(tmp_path), "foo", SYSEXT)


@pytest.mark.parametrize("folder", ["foo.v/foo_1", "foo.raw.v/foo_1.raw"])
def test_a_version_that_is_no_image_is_an_error(folder: str, tmp_path: Path) -> None:
    place = tmp_path / "etc/extensions" / folder
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    with pytest.raises(ImageError, match=rf"^/etc/extensions/{folder}: is a FIFO; "):
        find.find(str(tmp_path), "foo", SYSEXT)


def test_a_version_that_goes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "etc/extensions/foo.v/foo_1/")
    listed = os.listdir

    def before(path: str) -> list[str]:
        return [*listed(path), "foo_2"]

    monkeypatch.setattr(os, "listdir", before)
    with pytest.raises(ImageError, match=r"^/etc/extensions/foo.v/foo_2: is gone; it was there a moment ago$"):
        find.find(str(tmp_path), "foo", SYSEXT)


def test_folders_are_those_of_the_classes_in_the_order_of_classes() -> None:
    both = find.folders(["confext", "sysext"])
    assert both == find.folders(["sysext"]) + find.folders(["confext"])
    assert find.folders([]) == ()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    put(tmp_path, "srv/a/")
    picked = find.find(str(tmp_path), "/srv/a", SYSEXT)
    picked.close()
    picked.close()
    assert picked.fd == -1
