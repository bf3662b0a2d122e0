#  SPDX-License-Identifier: MIT
"""The generator's command line. Imports little until there is something to do: most machines have nothing."""

from __future__ import annotations

import os
import sys

from extension_manifests import BASES, DIRECTORIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = """\
extensions-generator NORMAL [EARLY LATE]
extensions-generator --dry-run

Reads extension manifests and writes units to the directory NORMAL (systemd.generator(7)).

  --dry-run   print the units instead, each below its path
  --keys      print the keys of extension(5) and extensions.conf(5)
  --help      print this

EXTENSIONS_ROOT=DIR reads everything below DIR. Exit status: 0 done; 1 a manifest, the settings or a unit
is broken, the others are done; 2 wrong usage.
"""


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Runs the generator; returns its exit status."""
    if "--help" in arguments or "-h" in arguments:
        return show(HELP)
    if arguments == ["--keys"]:
        from extension_manifests.keys import listing

        return show(listing())
    dry = "--dry-run" in arguments
    directories = [argument for argument in arguments if argument != "--dry-run"]
    if any(argument.startswith("-") for argument in directories) or len(directories) not in (
        (0, 1, 3) if dry else (1, 3)
    ):
        sys.stderr.write("extensions-generator: wants 1 or 3 directories; see --help\n")
        return 2
    root = environ.get("EXTENSIONS_ROOT", "").rstrip("/")
    if environ.get("SYSTEMD_SCOPE") == "user" or not anything(root):
        return 0
    return generate(root, None if dry else directories[0], environ)


def show(text: str) -> int:
    """Prints `text`; a reader that has gone away is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Or the interpreter complains when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def anything(root: str) -> bool:
    """Whether a directory of manifests holds anything at all; when in doubt, yes."""
    for directory in DIRECTORIES:
        try:
            if os.listdir(root + directory):
                return True
        except FileNotFoundError:
            # A link that only resolves inside the root looks dangling from outside.
            if root and any(os.path.islink(root + part) for part in parents(directory)):
                return True
        except OSError:
            return True
    # An image may hide a directory, which counts all the same; and a link of a root may lead anywhere.
    return os.path.lexists(f"{root}/run/{BASES}") or (bool(root) and os.path.islink(f"{root}/run"))


def parents(path: str) -> list[str]:
    """/a, /a/b, /a/b/c of /a/b/c."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts) + 1)]


def generate(root: str, directory: str | None, environ: Mapping[str, str]) -> int:
    """Loads, renders and writes to `directory`, or prints when that is None."""
    from extension_manifests import load
    from extension_manifests.origin import Origin

    from extension_generator import emit, log, render

    # PID 1 sets SYSTEMD_SCOPE; a person who runs this by hand wants to see what it says.
    booting = not root and directory is not None and ("SYSTEMD_SCOPE" in environ or os.getppid() == 1)
    out = log.Log(environ, booting)
    origin = Origin(root)
    plan = load.load(origin, load.read_cmdline(origin, environ))
    failed = False
    for diagnostic in plan.diagnostics:
        error = diagnostic.severity == "error"
        failed = failed or error
        out.write(log.ERROR if error else log.WARNING, str(diagnostic))
    if not plan.settings.enabled:
        out.write(log.INFO, "extensions=0 on the kernel command line: no units are made")
        return 0
    units = render.render(plan)
    if directory is None:
        show(emit.listing(units))
    else:
        for problem in emit.emit(directory, units):
            failed = True
            out.write(log.ERROR, str(problem))
    return 1 if failed else 0
