#  SPDX-License-Identifier: MIT
"""What lies below a directory is opened as if that were "/"."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.kernel import chase, syscalls


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root below a folder that has what a link could lead out to."""
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("text")
    (root / "link").symlink_to("/a/b")
    (root / "out").symlink_to("../../outside")
    (root / "nowhere").symlink_to("/missing/place")
    (root / "loop").symlink_to("loop")
    return root


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    before = len(os.listdir("/proc/self/fd"))
    fd = chase.open_root(str(root))
    yield fd
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


def place(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("mode", "word"),
    [
        (stat.S_IFREG | 0o644, "a regular file"),
        (stat.S_IFDIR, "a directory"),
        (stat.S_IFLNK, "a link"),
        (stat.S_IFIFO, "a FIFO"),
        (stat.S_IFSOCK, "a socket"),
        (stat.S_IFCHR, "a character device"),
        (stat.S_IFBLK, "a block device"),
        (0o644, "a special file"),
    ],
)
def test_kinds_in_words(mode: int, word: str) -> None:
    assert chase.kind(mode) == word


def test_a_root_is_a_directory(root: Path) -> None:
    with pytest.raises(ImageError, match=f"^{root}/a/b/file: Not a directory$"):
        chase.open_root(f"{root}/a/b/file")
    with pytest.raises(ImageError, match=r"^/none\\x0a: No such file or directory$"):
        chase.open_root("/none\n")


@pytest.mark.parametrize(
    ("path", "inside"),
    [("", ""), ("/", ""), ("..", ""), ("link", "/a/b"), ("/link/../b/file", "/a/b/file"), ("//a/./b/", "/a/b")],
)
def test_links_are_followed_inside(path: str, inside: str, root: Path, root_fd: int) -> None:
    assert place(chase.locate(root_fd, path)) == f"{root}{inside}"


@pytest.mark.parametrize(
    ("path", "folder", "number"),
    [
        ("out", False, errno.ENOENT),
        ("missing", False, errno.ENOENT),
        ("loop", False, errno.ELOOP),
        ("a/b/file", True, errno.ENOTDIR),
        ("a/b/file/below", False, errno.ENOTDIR),
    ],
)
def test_what_cannot_be_located(path: str, folder: bool, number: int, root_fd: int) -> None:
    with pytest.raises(OSError, match=r"openat2 ") as raised:
        chase.locate(root_fd, path, folder=folder)
    assert raised.value.errno == number


@pytest.mark.parametrize(("failures", "fine"), [(63, True), (64, False)])
def test_a_rename_elsewhere_is_waited_out(
    failures: int, fine: bool, root: Path, root_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = syscalls.openat2, [failures]

    def busy(path: str, flags: int, resolve: int, dir_fd: int) -> int:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EAGAIN, "openat2")
        return real(path, flags, resolve, dir_fd)

    monkeypatch.setattr(syscalls, "openat2", busy)
    if fine:
        assert place(chase.locate(root_fd, "a")) == f"{root}/a"
        return
    with pytest.raises(BlockingIOError):
        chase.locate(root_fd, "a")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a", "a directory"),
        ("/link/file", "a regular file"),
        ("link", "a link"),
        ("loop", "a link"),
        ("nowhere", "a link"),
        ("nowhere/x", ""),
        ("missing", ""),
        ("missing/x", ""),
        ("a/b/file/x", ""),
    ],
)
def test_an_entry_is_what_stands_there(path: str, kind: str, root_fd: int) -> None:
    found = chase.entry(root_fd, path)
    assert (chase.kind(found.st_mode) if found else "") == kind


def test_an_entry_behind_a_loop_is_an_error(root_fd: int) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        chase.entry(root_fd, "loop/x")


def test_the_real_folder(root: Path, root_fd: int) -> None:
    assert chase.real_folder(root_fd, "link") == f"{root}/a/b"
    with pytest.raises(NotADirectoryError):
        chase.real_folder(root_fd, "link/file")


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("", ""),
        ("link", "/a/b"),
        ("link/file", "/a/b/file"),
        ("link/x/y", "/a/b/x/y"),
        ("//missing//x/", "/missing/x"),
    ],
)
def test_the_real_path_keeps_what_is_missing(path: str, inside: str, root: Path) -> None:
    assert chase.real_path(str(root), path) == f"{root}{inside}"
    assert not (root / "missing").exists()


def test_the_real_path_of_the_machine() -> None:
    assert chase.real_path("", "") == "/"
    assert chase.real_path("", "none/x") == "/none/x"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nowhere", "nowhere: is a link to nowhere inside the root; correct or remove it"),
        ("out/x", "out: is a link to nowhere inside the root; correct or remove it"),
        ("loop/x", "loop/x: Too many levels of symbolic links"),
        ("a/b/file/x", "a/b/file/x: Not a directory"),
    ],
)
def test_the_real_path_leads_nowhere(path: str, text: str, root: Path) -> None:
    with pytest.raises(ImageError, match=f"^{root}/{text}$"):
        chase.real_path(str(root), path)


def test_a_listing_is_sorted(root: Path, root_fd: int) -> None:
    for name in ("c", "B", ".d"):
        (root / "a" / name).write_text("")
    assert chase.listing(root_fd, "link/..") == [".d", "B", "b", "c"]
    with pytest.raises(NotADirectoryError):
        chase.listing(root_fd, "a/b/file")
    with pytest.raises(FileNotFoundError):
        chase.listing(root_fd, "missing")


@pytest.mark.parametrize("limit", [5, 100])
def test_text_is_read_up_to_the_limit(limit: int, root: Path, root_fd: int) -> None:
    (root / "a/b/file").write_text("größ"[:3] + "e")
    assert chase.read_text(root_fd, "link/file", "shown", limit) == "gröe"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"123456", "shown: has 6 bytes; at most 5 are read"),
        (b"a\n\0", "shown:2: holds a NUL byte; write plain text"),
        (b"\n\n\xff", "shown:3: is not UTF-8; save the file in that encoding"),
    ],
)
def test_what_is_no_text(data: bytes, text: str, root: Path, root_fd: int) -> None:
    (root / "a/b/file").write_bytes(data)
    with pytest.raises(ImageError, match=f"^{text}$"):
        chase.read_text(root_fd, "a/b/file", "shown", 5)


def test_what_is_no_file_is_not_opened(root: Path, root_fd: int) -> None:
    os.mkfifo(root / "fifo")
    for path, word in (("fifo", "a FIFO"), ("a", "a directory")):
        with pytest.raises(ImageError, match=rf"^sh\\x0aown: is {word}; put a regular file there$"):
            chase.read_text(root_fd, path, "sh\nown", 5)
    with pytest.raises(FileNotFoundError):
        chase.read_text(root_fd, "missing", "shown", 5)


def test_a_file_that_is_more_than_it_says() -> None:
    proc = chase.open_root("/proc")  # where files say that they are empty
    try:
        with pytest.raises(ImageError, match=r"^shown: has more than 5 bytes; no more are read$"):
            chase.read_text(proc, "version", "shown", 5)
        with pytest.raises(ImageError, match=r"^shown: cannot be read: Input/output error$"):
            chase.read_text(proc, "self/mem", "shown", 5)
    finally:
        os.close(proc)
