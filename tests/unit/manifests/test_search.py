#  SPDX-License-Identifier: MIT
"""Precedence, masks, drop-ins, links below a root, and files that are no text."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from extension_manifests import search, textfile
from extension_manifests.errors import ManifestError
from pytest_mock import MockerFixture
from requirements import require_root

ETC, RUN, LOCAL, LIB = (directory[1:] for directory in search.DIRECTORIES)


def put(root: Path, path: str, text: str = "[Extension]\n") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def find(root: Path, suffix: str = ".extension") -> dict[str, search.Found]:
    found, diagnostics = search.find(str(root), suffix)
    assert not diagnostics
    return {item.name: item for item in found}


def dropins(item: search.Found) -> list[str]:
    return [part.path for part in item.dropins]


def test_first_directory_wins(tmp_path: Path) -> None:
    for folder in (LIB, LOCAL, RUN, ETC):
        put(tmp_path, f"{folder}/a.extension")
        assert find(tmp_path)["a"].path == f"/{folder}/a.extension"


@pytest.mark.parametrize("target", ["/dev/null", "../../dev/null"])
def test_masks(tmp_path: Path, target: str) -> None:
    for name in ("empty", "link", "blank"):
        put(tmp_path, f"{LIB}/{name}.extension")
    put(tmp_path, f"{ETC}/empty.extension", "")
    put(tmp_path, f"{ETC}/blank.extension", "\n")
    (tmp_path / ETC / "link.extension").symlink_to(target)
    found = find(tmp_path)
    assert {name: item.masked for name, item in found.items()} == {"blank": False, "empty": True, "link": True}
    assert found["link"].problem is None


def test_a_mask_above_can_be_overridden_by_a_file_further_up(tmp_path: Path) -> None:
    put(tmp_path, f"{RUN}/a.extension", "")
    put(tmp_path, f"{ETC}/a.extension")
    assert not find(tmp_path)["a"].masked


def test_dropins_merge_by_base_name(tmp_path: Path) -> None:
    put(tmp_path, f"{LIB}/a.extension")
    put(tmp_path, f"{LIB}/a.extension.d/20.conf")
    put(tmp_path, f"{ETC}/a.extension.d/20.conf")
    put(tmp_path, f"{LIB}/a.extension.d/30.conf")
    put(tmp_path, f"{ETC}/extension.d/30.conf")
    put(tmp_path, f"{RUN}/extension.d/10.conf")
    put(tmp_path, f"{RUN}/a.extension.d/40.conf")
    put(tmp_path, f"{ETC}/a.extension.d/40.conf", "")
    put(tmp_path, f"{ETC}/a.extension.d/readme")
    put(tmp_path, f"{ETC}/a.extension.d/.hidden.conf")
    put(tmp_path, f"{LIB}/b.extension")
    found = find(tmp_path)
    assert dropins(found["a"]) == [
        f"/{RUN}/extension.d/10.conf",
        f"/{ETC}/a.extension.d/20.conf",
        f"/{LIB}/a.extension.d/30.conf",
    ]
    assert dropins(found["b"]) == [f"/{RUN}/extension.d/10.conf", f"/{ETC}/extension.d/30.conf"]


def test_settings_may_be_dropins_alone(tmp_path: Path) -> None:
    put(tmp_path, f"{LIB}/extensions.conf.d/10.conf")
    found, _ = search.find(str(tmp_path), "extensions.conf")
    assert len(found) == 1
    assert found[0].masked
    assert dropins(found[0]) == [f"/{LIB}/extensions.conf.d/10.conf"]


def test_settings_are_one_file(tmp_path: Path) -> None:
    put(tmp_path, f"{LIB}/extensions.conf")
    put(tmp_path, f"{LIB}/other-extensions.conf")
    found, _ = search.find(str(tmp_path), "extensions.conf")
    assert [item.path for item in found] == [f"/{LIB}/extensions.conf"]


def test_links_stay_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(root, "srv/manifests/a.extension", "[Extension]\nImage=inside\n")
    put(tmp_path, "srv/manifests/a.extension", "[Extension]\nImage=outside\n")
    (root / "etc").mkdir()
    (root / ETC).symlink_to("/srv/manifests")
    (root / "srv/manifests/up.extension").symlink_to("../../../../../../srv/manifests/a.extension")
    found = find(root)
    for name in ("a", "up"):
        ((path, text),) = search.texts(found[name])
        assert path == f"/{ETC}/{name}.extension"
        assert "inside" in text


def test_broken_directories_are_told(tmp_path: Path) -> None:
    put(tmp_path, ETC, "a file")
    (tmp_path / "run").mkdir()
    (tmp_path / RUN).symlink_to("extensions.d")
    found, diagnostics = search.find(str(tmp_path), ".extension")
    assert not found
    assert [str(diagnostic) for diagnostic in diagnostics] == [
        f"/{ETC}: cannot be listed: Not a directory",
        f"/{RUN}: cannot be listed: Too many levels of symbolic links",
    ]


def test_locks_of_editors_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, f"{ETC}/a.extension")
    (tmp_path / ETC / ".#a.extension").symlink_to("someone@host.1:2")
    assert list(find(tmp_path)) == ["a"]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_PATH)
        server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


def make_dangling(path: Path) -> None:
    path.symlink_to("/nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, "is a directory; put a regular file there"),
        (make_fifo, "is a FIFO; put a regular file there"),
        (make_socket, "is a socket; put a regular file there"),
        (make_dangling, "is a link to nowhere; remove it or create its target"),
        (make_loop, "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b"[Extension]\nImage=a\0\n"), "2: holds a NUL byte; write plain text"),
        (lambda path: path.write_bytes(b"[A]\n\n\xff=1\n"), "3: is not UTF-8; save the file in that encoding"),
        (lambda path: path.write_bytes(b"#" * (textfile.SIZE_MAX + 1)),
         "is larger than 1 MiB; that is no text for this program"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_told_once(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    (tmp_path / ETC).mkdir(parents=True)
    make(tmp_path / ETC / "a.extension")
    with pytest.raises(ManifestError) as caught:
        search.texts(find(tmp_path)["a"])
    between = ":" if message[0].isdigit() else ": "
    assert str(caught.value) == f"/{ETC}/a.extension{between}{message}"


def test_devices_are_not_opened(tmp_path: Path) -> None:
    require_root()
    (tmp_path / ETC).mkdir(parents=True)
    os.mknod(tmp_path / ETC / "tape.extension", 0o020600, os.makedev(9, 0))
    os.mknod(tmp_path / ETC / "null.extension", 0o020666, os.makedev(1, 3))
    found = find(tmp_path)
    assert found["null"].masked
    with pytest.raises(ManifestError, match="is a device"):
        search.texts(found["tape"])


def test_unreadable(tmp_path: Path, mocker: MockerFixture) -> None:
    put(tmp_path, f"{ETC}/a.extension")
    # Root may read everything, so a mode would not do.
    mocker.patch("extension_manifests.textfile.os.open", side_effect=PermissionError(13, "Permission denied"))
    with pytest.raises(ManifestError, match="cannot be read: Permission denied"):
        search.texts(find(tmp_path)["a"])
