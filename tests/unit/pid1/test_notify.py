#  SPDX-License-Identifier: MIT
"""PID 1 hears what a unit says, and nothing happens where nobody listens."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from extension_runtime.pid1.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_it_is_heard(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    path = f"@extensionctl-test-{os.getpid()}" if abstract else "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path.replace("@", "\0"))
        server.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("STATUS=größe\nREADY=1")
        assert server.recv(100).decode() == "STATUS=größe\nREADY=1"


@pytest.mark.parametrize("path", ["", "missing", "@extensionctl-nobody", "x" * 300])
def test_nobody_listens(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
    assert os.listdir(tmp_path) == []


def test_a_socket_of_another_kind_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind("notify")
        server.listen()
        monkeypatch.setenv("NOTIFY_SOCKET", "notify")
        notify("READY=1")
