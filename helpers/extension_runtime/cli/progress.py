#  SPDX-License-Identifier: MIT
"""Shows on a terminal what a unit says that it is doing (sd_notify(3), STATUS=), while it is waited for."""

from __future__ import annotations

import os
import sys
import threading

from extension_manifests.errors import printable

from extension_runtime.pid1 import commands, queries

INTERVAL = 0.2  # seconds


def run_unit(action: str, unit: str) -> commands.Completed:
    """As queries.run_unit, with the unit's status on the terminal, if standard error is one."""
    if sys.stderr is None or not sys.stderr.isatty():
        return queries.run_unit(action, unit)
    ended: list[commands.Completed] = []
    worker = threading.Thread(target=lambda: ended.append(queries.run_unit(action, unit)))
    worker.start()
    try:
        worker.join(INTERVAL)
        while worker.is_alive():
            text = queries.show([unit], ("StatusText",)).get(unit, {}).get("StatusText", "")
            _show(f"{action} {unit}: {text}" if text else f"{action} {unit}")
            worker.join(INTERVAL)
    finally:
        _show("")
        worker.join()
    return ended[0]


def _show(text: str) -> None:
    """One line that the next one replaces."""
    columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    print(f"\r\033[K{printable(text)[: columns - 1]}", end="", file=sys.stderr, flush=True)
