#  SPDX-License-Identifier: MIT
"""The parsed command line, exit statuses, and what a verb says besides its result."""

from __future__ import annotations

import os
import sys

from extension_manifests.errors import ExtensionError, printable

DONE = 0
FAILED = 1
WRONG_USAGE = 2
LEFT_OUT = 3


class UsageError(ExtensionError):
    """The command line asks for something that does not exist or does not go together; exit status 2."""


class Options:
    """The parsed command line.  `root` is absolute, or empty for the running system with its PID 1."""

    always: bool = False
    dry_run: bool = False
    files: list[str]
    force: list[str] | None = None
    json: str = "off"
    legend: bool = True
    name: str = ""
    os_release: str = ""
    os_root: str = ""
    pager: bool = True
    root: str = ""
    verb: str = "status"


def may_read(folder: str) -> bool:
    """Whether this user may read what `folder` holds, or it is not there."""
    return not os.path.isdir(folder) or os.access(folder, os.R_OK | os.X_OK, effective_ids=True)


def note(text: str) -> None:
    """One line on standard error that is no error."""
    print(printable(f"extensionctl: {text}"), file=sys.stderr)
