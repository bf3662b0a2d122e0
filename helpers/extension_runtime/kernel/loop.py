#  SPDX-License-Identifier: MIT
"""Loop devices: a raw image as a block device that goes by itself once nothing uses it (loop(4))."""

from __future__ import annotations

import errno
import fcntl
import os
from struct import pack

from extension_manifests.errors import ImageError

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A  # kernel 5.8
_LO_FLAGS_READ_ONLY = 1
_LO_FLAGS_AUTOCLEAR = 4
_ATTEMPTS = 200


def attach(image_fd: int, shown: str) -> tuple[int, str]:
    """Set up a read-only loop device over the readable descriptor `image_fd`.

    Returns a descriptor of the device and its path; the device is gone when the last descriptor and mount are.
    Raises ImageError, which names the image as `shown`.
    """
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(f"{shown}: no loop device: /dev/loop-control: {error.strerror}") from None
    try:
        for attempt in range(_ATTEMPTS):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            try:
                return _configure(path, image_fd, shown), path
            except OSError as error:
                # Another process took the number between the two calls, or the kernel is still clearing it; the
                # node of a new device may take a moment, too.
                if error.errno not in (errno.EBUSY, errno.ENXIO, errno.ENOENT, errno.EAGAIN):
                    raise ImageError(f"{shown}: {path}: {error.strerror}") from None
                if error.errno == errno.ENOENT and attempt > 50:
                    raise ImageError(f"{shown}: {path}: no such device node") from None
            _wait(attempt)
    except OSError as error:
        raise ImageError(f"{shown}: no free loop device: {error.strerror}") from None
    finally:
        os.close(control)
    raise ImageError(f"{shown}: no free loop device after {_ATTEMPTS} attempts")


def _wait(attempt: int) -> None:
    import time

    # Seconds; processes that started at the same time must not stay in step.
    time.sleep(0.001 + (os.getpid() % 7) * 0.0003 + min(attempt, 20) * 0.0005)


def _configure(path: str, image_fd: int, shown: str) -> int:
    device = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        flags = _LO_FLAGS_READ_ONLY | _LO_FLAGS_AUTOCLEAR
        # struct loop_config: fd, block size (0: the default), struct loop_info64, reserved (linux/loop.h)
        information = pack("=5Q4I64s64s32s2Q", 0, 0, 0, 0, 0, 0, 0, 0, flags, os.fsencode(shown)[-63:], b"", b"", 0, 0)
        fcntl.ioctl(device, _LOOP_CONFIGURE, pack("=2I", image_fd, 0) + information + bytes(64))
    except OSError:
        os.close(device)
        raise
    return device
