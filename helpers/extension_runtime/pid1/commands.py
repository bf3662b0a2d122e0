#  SPDX-License-Identifier: MIT
"""The one gateway through which commands are run: argument lists, never a shell, quoted whole when one fails."""

from __future__ import annotations

import os

from extension_manifests.errors import ExtensionError
from extension_manifests.escape import BASE_ROOT


class CommandError(ExtensionError):
    """A command could not be started, ran out of time or ended with a failure."""


class Completed:
    """What a command left: its exit status (negative: the signal) and its decoded output."""

    __slots__ = ("returncode", "stderr", "stdout")

    def __init__(self, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr


def load() -> None:
    """Import what the functions here need, before a swap of the /usr that it is in."""
    import shlex  # noqa: F401
    import subprocess  # noqa: F401


def quote(argv: list[str]) -> str:
    """The command as a person would type it."""
    import shlex

    return shlex.join(argv)


def program(name: str) -> str:
    """Where to find a program that is named without a folder: in the base, where one is bound.

    What is merged may have none of that name, or one that does not work, and it is how services are brought back.
    """
    place = f"{BASE_ROOT}/usr/bin/{name}"
    return place if "/" not in name and os.access(place, os.X_OK) else name


def run(argv: list[str], *, check: bool = True, input: str | None = None, timeout: float | None = 90.0) -> Completed:
    """Run `argv` in the C locale and return what it left.  `timeout` is in seconds; see `program` for the first word.

    Raises CommandError when it cannot be started, when the time is up, and, with `check`, when it fails.
    """
    # Imported here: most merges run no command, and it costs more than the rest of them.
    import subprocess

    environment = dict(os.environ, LC_ALL="C.UTF-8", SYSTEMD_PAGER="", SYSTEMD_COLORS="0")
    try:
        process = subprocess.run(
            argv,
            executable=program(argv[0]),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{quote(argv)}: not done after {timeout:g} s") from None
    except OSError as error:
        raise CommandError(f"{quote(argv)}: {error.strerror}") from None
    completed = Completed(process.returncode, process.stdout, process.stderr)
    if check and process.returncode != 0:
        said = (process.stderr.strip() or process.stdout.strip()).splitlines()
        raise CommandError(f"{quote(argv)}: exit status {process.returncode}: {'; '.join(said[-3:])}")
    return completed
