#  SPDX-License-Identifier: MIT
"""One line of a log, with its priority when it goes to the journal (sd-daemon(3))."""

from __future__ import annotations

import os
import sys

from extension_manifests.errors import printable

ERROR, WARNING, NOTICE, INFO, DEBUG = 3, 4, 5, 6, 7


def to_journal() -> bool:
    """Whether standard error is the journal's (systemd.exec(5), $JOURNAL_STREAM)."""
    return "JOURNAL_STREAM" in os.environ


def line(text: str, priority: int = INFO) -> None:
    """Write `text` to standard error as one line; what cannot be told must not fail what is done.

    A line of its own would be an entry of its own in the journal, of whatever priority its first bytes say.
    """
    prefix = f"<{priority}>" if to_journal() else ""
    try:
        print(f"{prefix}{printable(text)}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return


def debugging() -> bool:
    """Whether what is for the authors of this program is to be told, too."""
    return os.environ.get("SYSTEMD_LOG_LEVEL", "") in ("debug", str(DEBUG))
