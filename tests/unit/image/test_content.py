#  SPDX-License-Identifier: MIT
"""What an image brings, what it must not bring, and the verdict on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import content
from extension_runtime.image.host import Host


@pytest.mark.parametrize(
    ("value", "strict"), [(b"0", False), (b"false\0", False), (b"No", False), (b"1", True), (b"", True), (b"x", True)]
)
def test_strict(value: bytes, strict: bool) -> None:
    assert content.strict(value) is strict


FOLDER = "usr/lib/extension-release.d"
ANY = Host("debian")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the image in `tmp_path`."""
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


def put(image: Path, path: str, text: str = "ID=_any\n") -> Path:
    file = image / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_hierarchies_are_those_of_the_classes(tmp_path: Path, tree: int) -> None:
    assert content.hierarchies(tree, ("sysext", "confext"), "a") == []
    for name in ("etc", "opt", "usr", "srv"):
        (tmp_path / name).mkdir()
        assert content.hierarchies(tree, ("sysext", "confext"), "a") == [], "an empty one is none"
    for name in ("etc", "opt", "usr", "srv"):
        put(tmp_path, f"{name}/file")
    assert content.hierarchies(tree, ("confext", "sysext"), "a") == ["usr", "opt", "etc"]
    assert content.hierarchies(tree, ("confext",), "a") == ["etc"]


def test_a_hierarchy_is_a_real_directory(tmp_path: Path, tree: int) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "opt").symlink_to("usr")
    with pytest.raises(ImageError, match=r"^a: opt in it is a link; make it a real directory$"):
        content.hierarchies(tree, ("sysext",), "a")
    assert content.hierarchies(tree, ("confext",), "a") == []


@pytest.mark.parametrize("folder", ["usr/lib/extensions.d", "usr/local/lib/extensions.d", "etc/extensions.d"])
def test_an_image_brings_no_manifests(folder: str, tmp_path: Path, tree: int) -> None:
    (tmp_path / folder).mkdir(parents=True)
    content.refuse_forbidden(tree, ("sysext",), "a")
    put(tmp_path, f"{folder}/readme")
    with pytest.raises(ImageError, match=f"^a: carries /{folder}; an image must not bring extension manifests$"):
        content.refuse_forbidden(tree, ("sysext",), "a")
    (tmp_path / folder / "readme").unlink()
    (tmp_path / folder).rmdir()
    (tmp_path / folder).symlink_to("nowhere")
    with pytest.raises(ImageError, match="must not bring extension manifests"):
        content.refuse_forbidden(tree, ("confext",), "a")


def test_a_sysext_leaves_the_os_release_alone(tmp_path: Path, tree: int) -> None:
    put(tmp_path, "usr/lib/os-release")
    content.refuse_forbidden(tree, ("confext",), "a")
    with pytest.raises(ImageError, match=r"^a: carries /usr/lib/os-release; a sysext must leave the host's alone$"):
        content.refuse_forbidden(tree, ("sysext",), "a")


def test_the_release_file_of_the_very_name_counts(tmp_path: Path, tree: int) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.app", "ID=one\n")
    put(tmp_path, f"{FOLDER}/extension-release.app_1", "ID=two\n")
    put(tmp_path, f"{FOLDER}/extension-release.", "ID=none\n")
    put(tmp_path, f"{FOLDER}/extension-release.a\nb", "ID=none\n")
    (tmp_path / FOLDER / "extension-release.link").symlink_to("extension-release.app")
    (tmp_path / FOLDER / "extension-release.folder").mkdir()
    assert content.read_release(tree, "sysext", "app_1", "a") == {"ID": "two"}
    assert content.read_release(tree, "sysext", "app_2", "a") == {"ID": "one"}
    assert content.read_release(tree, "sysext", "link", "a") == {"ID": "one"}
    with pytest.raises(ImageError, match=r"missing \(there is extension-release.app, extension-release.app_1\);"):
        content.read_release(tree, "sysext", "folder_1", "a")


def test_a_file_that_is_not_strict_stands_in(tmp_path: Path, tree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.other", "ID=other\n")
    said = {"user.extension-release.strict": b"0"}
    # Not every file system has attributes of users.
    monkeypatch.setattr(os, "getxattr", lambda _path, name: said[name])
    assert content.read_release(tree, "sysext", "app", "a") == {"ID": "other"}
    said["user.extension-release.strict"] = b"1"
    with pytest.raises(ImageError, match="missing"):
        content.read_release(tree, "sysext", "app", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no data; write at least ID="),
        ("# ID=a\n", "holds no data; write at least ID="),
        ('ID="a', ':1: the quote in ID= never ends; write ID="..."'),
        ("\0", ":1: holds a NUL byte; write plain text"),
        ("x" * 70000, "has 70000 bytes; at most 65536 are read"),
    ],
)
def test_a_release_file_that_cannot_be_used(text: str, message: str, tmp_path: Path, tree: int) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.app", text)
    between = "" if message.startswith(":") else ": "
    with pytest.raises(ImageError) as raised:
        content.read_release(tree, "sysext", "app", "a")
    assert str(raised.value) == f"a: /{FOLDER}/extension-release.app{between}{message}"


def test_a_release_file_that_leads_nowhere(tmp_path: Path, tree: int) -> None:
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "extension-release.app").symlink_to("nowhere")
    with pytest.raises(ImageError, match=f"^a: /{FOLDER}/extension-release.app: No such file or directory$"):
        content.read_release(tree, "sysext", "app", "a")


def test_a_loop_of_links_is_an_error(tmp_path: Path, tree: int) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/lib").symlink_to("lib")
    with pytest.raises(ImageError, match=r"^a: /usr/lib/extensions.d: Too many levels of symbolic links$"):
        content.refuse_forbidden(tree, ("sysext",), "a")


def test_the_verdict_on_a_good_image(tmp_path: Path, tree: int) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.app", "ID=_any\nIMAGE_VERSION=7\x1b\n")
    put(tmp_path, "etc/extension-release.d/extension-release.app", "ID=_any\nIMAGE_VERSION=8\n")
    verdict = content.judge(tree, ("sysext", "confext"), "app", "a", ANY)
    assert (verdict.problem, verdict.mismatch) == (None, "")
    assert (verdict.hierarchies, verdict.version) == (("usr", "etc"), "7\\x1b")


def test_the_verdict_on_an_image_for_another_host(tmp_path: Path, tree: int) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.app", "ID=_any\n")
    put(tmp_path, "etc/extension-release.d/extension-release.app", "ID=fedora\nIMAGE_VERSION=8\n")
    verdict = content.judge(tree, ("sysext", "confext"), "app", "a", ANY)
    assert isinstance(verdict.problem, content.MismatchError)
    assert verdict.mismatch == "a: made for ID=fedora, this host is ID=debian (confext)"
    assert (verdict.hierarchies, verdict.version) == (("usr", "etc"), "8")


def test_the_verdict_on_an_image_that_cannot_be_used(tmp_path: Path, tree: int) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.app", "ID=fedora\n")
    put(tmp_path, "etc/extensions.d/b.extension")
    verdict = content.judge(tree, ("sysext",), "app", "a", ANY)
    assert "must not bring extension manifests" in str(verdict.problem)
    assert (verdict.mismatch, verdict.hierarchies) == ("", ("usr",))


def test_what_is_outside_of_the_hierarchies_counts_for_nothing(tmp_path: Path, tree: int) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.a")
    for path in ("etc/a.conf", "lib/systemd/a", "bin/a", "srv/a"):
        put(tmp_path, path)
    for name in ("proc", "lost+found", "opt"):
        (tmp_path / name).mkdir()
    for name, target in {"sbin": "usr/bin", "lib64": "/usr/lib", "run": "../usr", "home": "srv"}.items():
        (tmp_path / name).symlink_to(target)
    found = content.outside(tree, ("sysext",), "a")
    assert found == ["bin", "etc", "home", "lib", "run", "srv"]
    assert content.outside(tree, ("sysext", "confext"), "a") == ["bin", "home", "lib", "run", "srv"]
    verdict = content.judge(tree, ("sysext",), "a", "/a", ANY)
    assert verdict.problem is None
    assert verdict.remarks == [
        "/bin, /etc, /home, /lib, /run, /srv in the image count for nothing; put /bin, /lib below /usr, "
        "Class=sysext confext for /etc"
    ]
    assert content.remedy_outside(["var"], ("sysext",)) == "/var in the image counts for nothing"


def test_somebody_may_not_mind_for_whom_it_is_made(tmp_path: Path, tree: int) -> None:
    put(tmp_path, f"{FOLDER}/extension-release.a", "ID=other\n")
    verdict = content.judge(tree, ("sysext",), "a", "/a", ANY, any_host=True)
    assert (verdict.problem, verdict.mismatch) == (None, "")
    assert verdict.excused == "made for ID=other, this host is ID=debian (sysext)"
    assert content.judge(tree, ("sysext",), "a", "/a", Host("other"), any_host=True).excused == ""
