#  SPDX-License-Identifier: MIT
"""How an image is mounted, step by step, and that nothing is left open when a step fails.  Nothing is mounted."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import mount
from extension_runtime.kernel import loop, syscalls

RAW = {
    "squashfs": b"hsqs" + bytes(36) + (4096).to_bytes(8, "little") + bytes(4096),
    "ext4": bytes(1024 + 4) + (4).to_bytes(4, "little") + bytes(48) + b"\x53\xef" + bytes(4096),
}
READ_ONLY = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV


class Kernel:
    """Writes down what it is asked for; `fails`: the call that fails, and with what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.fails: dict[str, OSError] = {}
        for name in ("open_tree", "fsopen", "fsmount"):
            monkeypatch.setattr(syscalls, name, self._opening(name))
        for name in ("mount_setattr", "fsconfig_string", "fsconfig_flag", "fsconfig_create"):
            monkeypatch.setattr(syscalls, name, self._doing(name))
        monkeypatch.setattr(loop, "attach", self._attach)

    def _note(self, name: str, *arguments: object) -> None:
        self.calls.append(" ".join([name, *map(str, arguments)]))
        if name in self.fails:
            raise self.fails[name]

    def _opening(self, name: str) -> object:
        def call(first: object, *_others: object, **_more: object) -> int:
            self._note(
                name, *([first] if isinstance(first, str) and first else []), *(_others if name == "fsmount" else ())
            )
            return os.open("/dev/null", os.O_RDONLY)

        return call

    def _doing(self, name: str) -> object:
        def call(_fd: int, *arguments: str, **more: int) -> None:
            self._note(name, *arguments, *more.values())

        return call

    def _attach(self, image_fd: int, shown: str) -> tuple[int, str]:
        assert os.read(image_fd, 1) is not None
        self._note("loop", shown)
        return os.open("/dev/null", os.O_RDONLY), "/dev/loop7"


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


@pytest.fixture
def none_left_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


def raw(folder: Path, data: bytes) -> tuple[str, int]:
    (folder / "a.raw").write_bytes(data)
    fd = os.open(folder / "a.raw", os.O_PATH)
    try:
        return mount.mount_raw(fd, READ_ONLY, "/srv/a.raw")
    finally:
        os.close(fd)


@pytest.mark.usefixtures("none_left_open")
@pytest.mark.parametrize(
    ("name", "flags"),
    [("squashfs", []), ("ext4", ["fsconfig_flag noload", "fsconfig_string errors remount-ro"])],
)
def test_a_raw_image_is_mounted_as_what_it_is_and_read_only(
    name: str, flags: list[str], kernel: Kernel, tmp_path: Path
) -> None:
    found, tree = raw(tmp_path, RAW[name])
    os.close(tree)
    assert found == name
    assert kernel.calls == [
        "loop /srv/a.raw",
        f"fsopen {name}",
        "fsconfig_string source /dev/loop7",
        "fsconfig_flag ro",
        *flags,
        "fsconfig_create",
        f"fsmount {READ_ONLY}",
    ]


@pytest.mark.usefixtures("none_left_open")
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty; an image is"),
        (b"#!", "is a script; an image is"),
        (RAW["squashfs"][:900], "is truncated: 900 bytes"),
    ],
)
def test_what_is_no_image_gets_no_device(data: bytes, text: str, kernel: Kernel, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"^/srv/a.raw: {text}"):
        raw(tmp_path, data)
    assert kernel.calls == []


@pytest.mark.usefixtures("none_left_open")
@pytest.mark.parametrize(
    ("call", "number", "text"),
    [
        ("fsopen", errno.ENODEV, "/srv/a.raw: this kernel has no ext4; load its module"),
        ("fsconfig_flag", errno.EINVAL, "/srv/a.raw: no sound ext4 file system: said\\x0athis"),
        ("fsconfig_create", errno.EINVAL, "/srv/a.raw: no sound ext4 file system: said\\x0athis"),
        ("fsmount", errno.EPERM, "/srv/a.raw: no sound ext4 file system: said\\x0athis"),
    ],
)
def test_a_step_that_fails(call: str, number: int, text: str, kernel: Kernel, tmp_path: Path) -> None:
    kernel.fails[call] = OSError(number, "said\nthis")
    with pytest.raises(ImageError) as raised:
        raw(tmp_path, RAW["ext4"])
    assert str(raised.value) == text
    assert kernel.calls[-1].startswith(call)


@pytest.mark.usefixtures("none_left_open")
def test_a_directory_is_mounted_alone_and_private(kernel: Kernel) -> None:
    os.close(mount.mount_directory(7, READ_ONLY))
    assert kernel.calls == ["open_tree", f"mount_setattr {READ_ONLY} {syscalls.MS_PRIVATE}"]
    kernel.fails["mount_setattr"] = OSError(errno.EINVAL, "no")
    with pytest.raises(OSError, match="no"):
        mount.mount_directory(7, READ_ONLY)


@pytest.mark.usefixtures("none_left_open")
def test_nothing_is_an_empty_directory_that_stays_so(kernel: Kernel) -> None:
    os.close(mount.mount_nothing())
    assert kernel.calls[0] == "fsopen tmpfs"
    assert {"fsconfig_string mode 0555", "fsconfig_string nr_inodes 1", "fsconfig_flag ro"} < set(kernel.calls)
    everything = READ_ONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC
    assert kernel.calls[-2:] == ["fsconfig_create", f"fsmount {everything}"]
    kernel.fails["fsconfig_create"] = OSError(errno.EINVAL, "no")
    with pytest.raises(OSError, match="no"):
        mount.mount_nothing()


def test_the_reason_of_an_error() -> None:
    assert mount.reason_of(OSError(2, "fsopen x: gone")) == "fsopen x: gone"
    assert mount.reason_of(OSError("words only")) == "words only"
