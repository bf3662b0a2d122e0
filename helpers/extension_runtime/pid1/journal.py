#  SPDX-License-Identifier: MIT
"""Structured messages to the journal.

With systemd-python each message has its fields and its identifier, which the catalog explains; without it, or without a
journal, the text goes to standard error.
"""

from __future__ import annotations

import os
import sys

from extension_manifests.errors import printable

from extension_runtime import log

MERGED = "ba09fb60c3e04189a310e91a43a054ee"
REFRESHED = "1b755f1ec9774cdeb23afe7dcc3691f7"
UNMERGED = "281438a6511e4a6bbdf1ab6886990c5b"
ROLLED_BACK = "26de2441bd404f2aa0bc53013abb6d35"
LEFT_OUT = "b5a264f2127e402a8dba72ca9dd7fc37"
ACTION_FAILED = "5cdc55af9498406284db2f82832ca4fa"
STALE_VIEW = "2457e1ca8d6948329bc3994c3c17e11a"
MESSAGES = {
    "merged": MERGED,
    "refreshed": REFRESHED,
    "unmerged": UNMERGED,
    "rolled-back": ROLLED_BACK,
    "left-out": LEFT_OUT,
    "action-failed": ACTION_FAILED,
    "stale-view": STALE_VIEW,
}
"""What is told, to the MESSAGE_ID= that catalog/extensionctl.catalog explains."""

LIBS = ("lib64", "lib")


def _reach_distribution() -> None:
    """Let systemd-python be found by an interpreter that was started isolated (-I -S), behind the standard library.

    It is that of the interpreter's own /usr, which is the base's while something is merged.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    usr = sys.base_prefix
    for folder in (f"{usr}/lib/python3/dist-packages", *(f"{usr}/{lib}/python{version}/site-packages" for lib in LIBS)):
        if folder not in sys.path and os.path.isdir(folder):
            sys.path.append(folder)


def load() -> None:
    """Import what `send` needs, before a swap of the /usr that it is in.

    The C part alone: systemd.journal imports logging and, when it sends, what reads source files.
    """
    _reach_distribution()
    try:
        import systemd._journal  # noqa: F401
    except ImportError:
        return


def send(text: str, message: str = "", priority: int = log.INFO, **fields: object) -> None:
    """Tell the journal `text`; `message` is a key of MESSAGES.

    Fields by convention: EXTENSION=, GENERATION= (a number), UNIT= (the unit spoken of), ACTION=, REASON=, VERB=.
    Empty ones are left out.  Never raises: what cannot be told must not fail what was done.
    """
    given = {"MESSAGE": text, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "extensionctl"}
    if message:
        given["MESSAGE_ID"] = MESSAGES[message]
    given.update({key: str(value) for key, value in fields.items() if value not in ("", None)})
    # A second line of a message would look like an entry of somebody else's.
    given = {key: printable(value) for key, value in given.items()}
    try:
        load()
        from systemd import _journal

        _journal.sendv(*(f"{key}={value}".encode() for key, value in given.items()))
    except (ImportError, OSError, ValueError):
        log.line(text, priority)
