#!/usr/bin/python3
"""A server with Type=notify: answers each connection with its version and its configuration; SIGHUP reads that again.

Ends with status 3 on a configuration that says "crash", and is never ready on one that says "hang".
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

VERSION = "@VERSION@"
CONFIG = "/etc/web.conf"
PORT = 8080


def read() -> str:
    with open(CONFIG, encoding="ascii") as file:
        text = file.read().strip()
    if text == "crash":
        sys.exit("the configuration is not to my taste")
    return text


def notify(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


def main() -> None:
    hangups: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _frame: hangups.append(number))
    config = read()
    if config == "hang":
        time.sleep(1000)
    listener = socket.create_server(("127.0.0.1", PORT), reuse_port=True, backlog=1000)
    notify("READY=1")
    while True:
        readable, _, _ = select.select([listener], [], [], 0.05)
        if hangups:
            hangups.clear()
            config = read()
            notify("READY=1")
        if readable:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(f"{VERSION} {config}".encode())


main()
