#  SPDX-License-Identifier: MIT
"""What gives rights is found wherever it lies, and an image that promised to have none is refused with its path."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import programs
from extension_runtime.image.request import Request

PLAIN, SUID, SGID, RUN = "", "is a set-user-ID file", "is a set-group-ID file", programs.EXECUTABLE


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[int]:
    for top in ("usr", "etc"):
        (tmp_path / top).mkdir()
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    before = len(os.listdir("/proc/self/fd"))
    yield fd
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(fd)


def put(root: Path, name: str, mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("mode", "what"),
    [
        (0o644, []), (0o4644, [SUID]), (0o2644, [SGID]), (0o6644, [SUID]), (0o755, [RUN]), (0o645, [RUN]),
        (0o4711, [SUID, RUN]), (0o2755, [SGID, RUN]), (0o1644, []),
    ],
)  # fmt: skip
def test_files(tmp_path: Path, tree: int, mode: int, what: list[str]) -> None:
    put(tmp_path, "usr/a/b c/d\n", mode)
    assert list(programs.found(tree, "usr", executable=True)) == [("usr/a/b c/d\n", one) for one in what]
    assert list(programs.found(tree, "usr")) == [("usr/a/b c/d\n", one) for one in what if one != RUN]


def test_folders_and_links_give_no_rights(tmp_path: Path, tree: int) -> None:
    (tmp_path / "usr/mail").mkdir()
    (tmp_path / "usr/mail").chmod(0o2775)
    (tmp_path / "usr/link").symlink_to("/bin/su")
    (tmp_path / "usr/loop").symlink_to(".")
    os.mkfifo(tmp_path / "usr/fifo", 0o755)
    assert list(programs.found(tree, "usr", executable=True)) == []


def test_capabilities(tmp_path: Path, tree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    capable = put(tmp_path, "usr/ping")
    put(tmp_path, "usr/strange")
    asked: list[str] = []

    def getxattr(path: str, name: str, *, follow_symlinks: bool) -> bytes:
        assert (name, follow_symlinks) == ("security.capability", False)
        asked.append(os.path.basename(path))
        if os.path.samefile(path, capable):
            return b"x"
        raise OSError(errno.ENODATA, "No data available")

    monkeypatch.setattr(os, "getxattr", getxattr)
    assert list(programs.found(tree, "usr")) == [("usr/ping", "is a file with capabilities")]
    assert asked == ["ping", "strange"]


def test_what_cannot_be_looked_at_is_not_taken_for_harmless(
    tmp_path: Path, tree: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImageError, match=r"^/opt: cannot be looked through: No such file or directory$"):
        list(programs.found(tree, "opt"))
    put(tmp_path, "usr/file")

    def broken(_path: str, _name: str, *, follow_symlinks: bool) -> bytes:
        raise OSError(errno.EIO, "x")

    monkeypatch.setattr(os, "getxattr", broken)
    with pytest.raises(ImageError, match=r"^/usr: cannot be looked through: Input/output error$"):
        list(programs.found(tree, "usr"))


def test_folders_as_deep_as_paths_go_are_looked_through_and_deeper_ones_are_not(tmp_path: Path, tree: int) -> None:
    try:
        deepen(tmp_path / "usr", 1500)
        assert list(programs.found(tree, "usr")) == []
        deepen(tmp_path / "usr", 2500)
        with pytest.raises(ImageError, match=r"cannot be looked through: File name too long$"):
            list(programs.found(tree, "usr"))
    finally:
        # What tidies up after tests goes by recursion.
        subprocess.run(["rm", "-rf", tmp_path / "usr"], check=True)


def deepen(folder: Path, depth: int) -> None:
    """Make folders below `folder`, one in the other."""
    fd = os.open(folder, os.O_PATH)
    for _ in range(depth):
        with suppress(FileExistsError):
            os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)


@pytest.mark.parametrize(
    ("name", "mode", "noexec", "nosuid", "reason"),
    [
        ("usr/x", 0o4755, False, False, ""),
        ("usr/x", 0o4755, False, True, "/img: /usr/x: is a set-user-ID file, and NoSuid=yes takes no image with one"),
        ("usr/x", 0o2755, True, True, "/img: /usr/x: is a set-group-ID file, and NoSuid=yes takes no image with one"),
        ("usr/x", 0o755, True, True, "/img: /usr/x: is an executable file, and NoExec=yes takes no image with one"),
        ("usr/x", 0o755, False, True, ""),
        # The mount over /etc is nosuid.
        ("etc/x", 0o4755, False, True, ""),
        ("etc/x", 0o4755, True, True, "/img: /etc/x: is an executable file, and NoExec=yes takes no image with one"),
        ("etc/x", 0o644, True, True, ""),
        # What is not merged is not looked at.
        ("opt/x", 0o4755, True, True, ""),
    ],
)
def test_promises(tmp_path: Path, tree: int, name: str, mode: int, noexec: bool, nosuid: bool, reason: str) -> None:
    put(tmp_path, name, mode)
    asked = Request("", "a", "a", ("sysext", "confext"), noexec=noexec, nosuid=nosuid)
    try:
        programs.refuse(tree, ("usr", "etc"), asked, "/img")
        said = ""
    except ImageError as error:
        said = str(error)
    assert said == reason
