#  SPDX-License-Identifier: MIT
"""Tells PID 1 what a unit is doing (sd_notify(3))."""

from __future__ import annotations

import os


def notify(text: str) -> None:
    """Tell PID 1 what is going on (sd_notify(3)); outside of a unit nobody listens."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        try:
            out.sendto(text.encode(errors="backslashreplace"), "\0" + path[1:] if path.startswith("@") else path)
        except OSError:
            return  # only what is shown by systemctl status is lost
