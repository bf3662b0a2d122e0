#  SPDX-License-Identifier: MIT
"""Links are followed inside a root, and what is merged is read as if it were not."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from extension_manifests import origin
from extension_manifests.origin import Origin
from pytest_mock import MockerFixture
from requirements import require_root


def link(root: Path, path: str, target: str) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root below a folder that has what a link could lead out to."""
    (tmp_path / "outside").write_text("outside")
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/b/file").write_text("inside")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("target", "real"),
    [
        ("a/b/file", "/a/b/file"),
        ("/a/b/file", "/a/b/file"),
        ("//a/.//b/../b/file", "/a/b/file"),
        ("../../../a/b/file", "/a/b/file"),
        ("/a/b/..", "/a"),
        ("/", "/"),
        ("..", "/"),
        ("/dev/null", "/dev/null"),
    ],
)
def test_a_link_is_resolved_as_if_the_root_were_the_machine(root: Path, target: str, real: str) -> None:
    link(root, "link", target)
    assert Origin(str(root)).chase("/link") == real


def test_a_base_is_where_a_name_starts(root: Path) -> None:
    link(root, "a/up", "../a/b/file")
    assert Origin(str(root)).chase("file", "/a/b") == "/a/b/file"
    assert Origin(str(root)).chase("up", "/a") == "/a/b/file"
    assert Origin(str(root)).chase("", "/a") == "/a"


def test_it_never_leads_out(root: Path) -> None:
    link(root, "up", "../outside")
    link(root, "absolute", str(root.parent / "outside"))
    for name in ("/up", "/absolute", "/../outside"):
        with pytest.raises(FileNotFoundError):
            Origin(str(root)).chase(name)


@pytest.mark.parametrize(("length", "fine"), [(origin.LINKS_MAX, True), (origin.LINKS_MAX + 1, False)])
def test_a_chain_of_links_ends(root: Path, length: int, fine: bool) -> None:
    for number in range(length - 1):
        link(root, f"l{number}", f"l{number + 1}")
    link(root, f"l{length - 1}", "a")
    if fine:
        assert Origin(str(root)).chase("/l0") == "/a"
        return
    with pytest.raises(OSError, match="symbolic links") as raised:
        Origin(str(root)).chase("/l0")
    assert (raised.value.errno, raised.value.filename) == (errno.ELOOP, "/l0")


def test_what_lies_below_a_file_is_no_directory(root: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Origin(str(root)).chase("/a/b/file/below")


def test_escapes_of_the_mount_table() -> None:
    assert origin.unescape("a\\040b\\011c\\012d\\134e") == "a b\tc\nd\\e"
    assert origin.unescape("\\134040") == "\\040"
    assert origin.unescape("plain") == "plain"


@pytest.mark.parametrize(
    ("fstype", "source", "number"),
    [
        ("overlay", "extensions:usr:12", 12),
        ("overlay", "extensions:usr:x", None),
        ("overlay", "extensions:12", None),
        ("overlay", "overlay", None),
        ("ext4", "extensions:usr:12", None),
    ],
)
def test_our_overlays_tell_their_generation(fstype: str, source: str, number: int | None) -> None:
    assert origin.generation(fstype, source) == number


# Merged; that the mount table says so is tested where there are mounts (tests/namespace/test_origin.py).


class Merged:
    """A root whose /usr is merged, of a base alone, and whose /etc has an upper, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base = path / "base"
        self.upper = path / "upper"
        for folder in (
            self.base / "usr",
            self.base / "etc/d",
            self.upper / "d",
            path / "usr",
            path / "etc",
            path / "var",
        ):
            folder.mkdir(parents=True)

    def origin(self, *mounts: str) -> Origin:
        found = Origin(str(self.path))
        found.merged = {
            "/usr": (str(self.base / "usr"),),
            "/etc": (str(self.upper), str(self.base / "etc")),
        }
        found._mounts = set(mounts)
        return found

    def whiteout(self, name: str) -> None:
        os.mknod(self.upper / name, stat.S_IFCHR, 0)


@pytest.fixture
def merged(tmp_path: Path) -> Merged:
    return Merged(tmp_path)


def put(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_merged_hierarchy_is_its_base(merged: Merged) -> None:
    put(merged.path / "usr/both", "layer")
    put(merged.path / "usr/layer", "layer")
    base = put(merged.base / "usr/both", "base")
    found = merged.origin()
    assert found.real("/usr/both") == str(base)
    assert found.chase("/usr/both") == "/usr/both"
    assert found.listing("/usr") == ["both"]
    assert found.folders("/usr") == (str(merged.base / "usr"),)
    assert found.entry("/usr/layer") is None
    assert found.entry("/usr/both/below") is None
    with pytest.raises(FileNotFoundError):
        found.real("/usr/layer")


def test_links_turn_into_a_hierarchy_and_out_of_it(merged: Merged) -> None:
    link(merged.path, "lib", "usr/lib")
    link(merged.path, "usr/local", "/tmp/x")
    link(merged.base, "usr/local", "../var/usrlocal")
    put(merged.path / "var/usrlocal/f")
    link(merged.path, "var/usrlocal/back", "/lib/g")
    put(merged.base / "usr/lib/g")
    put(merged.base / "etc/up")
    link(merged.base, "usr/lib/out", "../../etc/up")
    found = merged.origin()
    assert found.real("/usr/local/f") == str(merged.path / "var/usrlocal/f")
    assert found.real("/usr/local/back") == str(merged.base / "usr/lib/g")
    assert found.chase("/usr/local/back") == "/usr/lib/g"
    assert found.real("/lib/out") == str(merged.base / "etc/up")
    assert found.real("/usr/..") == str(merged.path)
    assert found.real("/usr") == str(merged.base / "usr")
    assert found.real("/var") == str(merged.path / "var")
    assert found.place(origin.MASK) == origin.MASK


def test_what_people_wrote_lies_over_the_base(merged: Merged) -> None:
    for name in ("d/both", "d/base", "d/removed", "removed", "gone/f"):
        put(merged.base / "etc" / name, "base")
    put(merged.upper / "d/both", "upper")
    put(merged.upper / "d/upper", "upper")
    put(merged.upper / "new/f", "upper")
    for name in ("d/removed", "removed", "gone"):
        merged.whiteout(name)
    found = merged.origin()
    assert found.listing("/etc/d") == ["base", "both", "upper"]
    assert found.listing("/etc") == ["d", "new"]
    assert found.listing("/etc/new") == ["f"]
    assert found.real("/etc/d/both") == str(merged.upper / "d/both")
    assert found.real("/etc/d/base") == str(merged.base / "etc/d/base")
    assert found.real("/etc/new/f") == str(merged.upper / "new/f")
    assert found.folders("/etc/d") == (str(merged.upper / "d"), str(merged.base / "etc/d"))
    assert found.folders("/etc/new") == (str(merged.upper / "new"),)
    for name in ("d/removed", "removed", "gone/f", "new/g", "never"):
        assert found.entry(f"/etc/{name}") is None
        with pytest.raises(FileNotFoundError):
            found.real(f"/etc/{name}")
    with pytest.raises(NotADirectoryError):
        found.real("/etc/d/upper/below")
    with pytest.raises(NotADirectoryError):
        found.listing("/etc/d/upper")


def test_a_file_in_the_place_of_a_folder_and_the_other_way_round(merged: Merged) -> None:
    put(merged.base / "etc/x/f")
    put(merged.upper / "x")
    put(merged.base / "etc/y")
    put(merged.upper / "y/f")
    found = merged.origin()
    with pytest.raises(NotADirectoryError):
        found.real("/etc/x/f")
    assert found.folders("/etc/y") == (str(merged.upper / "y"),)
    assert found.listing("/etc/y") == ["f"]


def test_opaque_and_renamed_folders(merged: Merged) -> None:
    require_root()  # for attributes that are trusted
    for name in ("opaque/old", "old/f", "old/deep/g", "d/near/h"):
        put(merged.base / "etc" / name)
    put(merged.upper / "opaque/new")
    (merged.upper / "moved/deep").mkdir(parents=True)
    (merged.upper / "d/far").mkdir()
    (merged.upper / "lost").mkdir()
    os.setxattr(merged.upper / "opaque", "trusted.overlay.opaque", b"y")
    os.setxattr(merged.upper / "moved", "trusted.overlay.redirect", b"/old")
    os.setxattr(merged.upper / "d/far", "trusted.overlay.redirect", b"near")
    os.setxattr(merged.upper / "lost", "trusted.overlay.redirect", b"/nowhere")
    found = merged.origin()
    assert found.listing("/etc/opaque") == ["new"]
    assert found.listing("/etc/moved") == ["deep", "f"]
    assert found.real("/etc/moved/deep/g") == str(merged.base / "etc/old/deep/g")
    assert found.listing("/etc/d/far") == ["h"]
    assert found.listing("/etc/lost") == []


def test_what_is_mounted_below_a_hierarchy_is_as_it_is(merged: Merged) -> None:
    put(merged.path / "usr/local/lib/f", "mounted")
    put(merged.base / "usr/local/lib/f", "covered")
    put(merged.path / "etc/file", "mounted")
    put(merged.upper / "file", "covered")
    found = merged.origin("/usr/local", "/etc/file")
    assert found.real("/usr/local/lib/f") == str(merged.path / "usr/local/lib/f")
    assert found.real("/etc/file") == str(merged.path / "etc/file")
    assert found.real("/usr/local/..") == str(merged.base / "usr")


def test_what_a_folder_comes_to_is_kept_with_what_was_wrong(merged: Merged, mocker: MockerFixture) -> None:
    put(merged.base / "etc/d/f")
    put(merged.base / "etc/d/g")
    found = merged.origin()
    chased = mocker.spy(Origin, "chase")
    for _ in range(2):
        assert found.find("/etc/d/f") == "/etc/d/f"
        assert found.real("/etc/d/g") == str(merged.base / "etc/d/g")
        for missing in ("/etc/never/f", "/etc/d/f/g"):
            with pytest.raises((FileNotFoundError, NotADirectoryError)):
                found.real(missing)
        assert found.find("/") == "/"
        assert found.find("/etc/") == "/etc"
    assert [call.args[1] for call in chased.call_args_list].count("/etc/d") == 1
    assert [call.args[1] for call in chased.call_args_list].count("/etc/never") == 1


def test_a_deep_path_is_no_deep_recursion(merged: Merged) -> None:
    with pytest.raises(FileNotFoundError):
        merged.origin().real("/etc" + "/x" * 2000)
    assert merged.origin().chase("/usr" + "/." * 2000) == "/usr"


def test_others_than_root_see_what_is_merged(tmp_path: Path, mocker: MockerFixture) -> None:
    """The bases are below a folder that only root may open."""
    mocker.patch("os.listdir", side_effect=PermissionError(errno.EACCES, "no"))
    assert Origin(str(tmp_path)).merged == {}
    assert Origin().merged == {}


def test_an_origin_stays_itself(tmp_path: Path) -> None:
    one = Origin(str(tmp_path))
    assert origin.origin_of(one) is one
    assert origin.origin_of(str(tmp_path)).root == str(tmp_path)
    assert origin.origin_of("/").root == ""


def test_folders_of_bases_without_a_mount_say_nothing(tmp_path: Path) -> None:
    """As are left on a root whose /run is no tmpfs, when the machine that merged it was switched off."""
    (tmp_path / "usr").mkdir()
    (tmp_path / "run/extensionctl/base/usr").mkdir(parents=True)
    (tmp_path / "etc").symlink_to("nowhere")
    assert Origin(str(tmp_path)).merged == {}
