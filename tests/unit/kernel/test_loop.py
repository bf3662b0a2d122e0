#  SPDX-License-Identifier: MIT
"""A loop device is asked for until one is free, and what goes wrong names the image."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from struct import unpack_from

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.kernel import loop

GET_FREE = 0x4C82
CONFIGURE = 0x4C0A


class Kernel:
    """Files in the place of devices; `busy`: what the next attempts to configure one fail with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.busy: list[int] = []
        self.missing: set[str] = set()
        self.no_free = 0
        self.asked = 0
        self.waits: list[int] = []
        self.configured: list[tuple[str, bytes]] = []
        self.open = os.open
        monkeypatch.setattr(os, "open", self._open)
        monkeypatch.setattr(fcntl, "ioctl", self._ioctl)
        monkeypatch.setattr(loop, "_wait", self.waits.append)

    def _open(self, path: str, flags: int) -> int:
        assert path.startswith("/dev/loop")
        if path in self.missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.open(self.folder / path.replace("/", "_"), flags | os.O_CREAT, 0o600)

    def _ioctl(self, fd: int, request: int, argument: bytes = b"") -> int:
        name = os.readlink(f"/proc/self/fd/{fd}").rpartition("/")[2].replace("_", "/")
        if request == GET_FREE:
            assert name == "/dev/loop-control"
            if self.no_free:
                raise OSError(self.no_free, os.strerror(self.no_free))
            self.asked += 1
            return self.asked
        assert request == CONFIGURE
        if self.busy:
            number = self.busy.pop(0)
            raise OSError(number, os.strerror(number))
        self.configured.append((name, argument))
        return 0


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def refused(text: str) -> None:
    before = descriptors()
    with pytest.raises(ImageError) as raised:
        loop.attach(0, "/srv/a.raw")
    assert str(raised.value) == text
    assert descriptors() == before


def test_no_loop_devices_at_all(kernel: Kernel) -> None:
    kernel.missing.add("/dev/loop-control")
    refused("/srv/a.raw: no loop device: /dev/loop-control: No such file or directory")


def test_no_more_loop_devices(kernel: Kernel) -> None:
    kernel.no_free = errno.ENOSPC
    refused("/srv/a.raw: no free loop device: No space left on device")


def test_a_device_is_read_only_and_goes_by_itself(kernel: Kernel) -> None:
    device, path = loop.attach(77, "/srv/" + "x" * 100)
    os.close(device)
    ((name, config),) = kernel.configured
    assert path == name == "/dev/loop1"
    assert kernel.waits == []
    assert len(config) == 304  # sizeof(struct loop_config)
    assert unpack_from("=2I", config) == (77, 0)
    assert unpack_from("=I", config, 8 + 52) == (1 | 4,)  # LO_FLAGS_READ_ONLY, LO_FLAGS_AUTOCLEAR
    assert config[8 + 56 :].strip(b"\0") == b"x" * 63


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ENXIO, errno.EAGAIN])
def test_the_next_one_is_taken_when_somebody_was_faster(number: int, kernel: Kernel) -> None:
    kernel.busy = [number] * 3
    before = descriptors()
    device, path = loop.attach(0, "/srv/a.raw")
    assert descriptors() == before + 1
    os.close(device)
    assert path == "/dev/loop4"
    assert kernel.waits == [0, 1, 2]


def test_a_node_may_take_a_moment(kernel: Kernel) -> None:
    kernel.missing.update({"/dev/loop1", "/dev/loop2"})
    device, path = loop.attach(0, "/srv/a.raw")
    os.close(device)
    assert path == "/dev/loop3"


def test_a_node_that_never_comes(kernel: Kernel) -> None:
    kernel.missing.update(f"/dev/loop{number}" for number in range(300))
    refused("/srv/a.raw: /dev/loop52: no such device node")


def test_it_gives_up(kernel: Kernel) -> None:
    kernel.busy = [errno.EBUSY] * 300
    refused("/srv/a.raw: no free loop device after 200 attempts")


def test_any_other_error_is_told_at_once(kernel: Kernel) -> None:
    kernel.busy = [errno.EBUSY, errno.EPERM]
    refused("/srv/a.raw: /dev/loop2: Operation not permitted")
