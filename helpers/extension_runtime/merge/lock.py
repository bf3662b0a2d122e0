#  SPDX-License-Identifier: MIT
"""The one lock of a root."""

from __future__ import annotations

import fcntl
import os
import time

from extension_runtime.files import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.paths import Paths


class Lock:
    """The one lock of a root, held over a whole verb; those who come later wait for it."""

    def __init__(self, paths: Paths, timeout: float) -> None:
        self._path = paths.lock
        self._timeout = timeout
        self._fd = -1

    def __enter__(self) -> Lock:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StateError(f"{self._path}: {error.strerror}") from None
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self._fd)
                    raise StateError(
                        f"{self._path}: another merge or refresh has not ended within {self._timeout:g} s"
                    ) from None
                time.sleep(0.005)

    def __exit__(self, *exception: object) -> None:
        os.close(self._fd)
