#  SPDX-License-Identifier: MIT
"""extensionctl(1): the command line, the exit status, and the one place where errors become a line for a person.

Only argparse and what it needs is imported here; each verb brings its own imports.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from extension_manifests.errors import ExtensionError, printable, reason_of

from extension_runtime.cli import table
from extension_runtime.cli.options import DONE, FAILED, WRONG_USAGE, Options, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, NoReturn

PROGRAM = "extensionctl"
INTERRUPTED = 130
PIPE_CLOSED = 141

# Each is a module beside this one, which has its arguments() and run(); and one line of help.
VERBS = (
    ("status", "what is merged on each hierarchy, and what needs attention (default)"),
    ("list", "every known extension with its state and the reason for it"),
    ("explain", "everything that decided about one extension"),
    ("plan", "the order of layers and the steps that a refresh would take now"),
    ("check", "look for mistakes in manifests, actions, settings and images"),
    ("merge", "put the extensions on"),
    ("refresh", "bring what is merged up to date"),
    ("unmerge", "take the extensions off"),
    ("rollback", "go back to what the previous merge or refresh had"),
    ("history", "what was merged, refreshed or taken back, and why, since the start of the machine"),
)


class Formatter(argparse.HelpFormatter):
    """argparse's, which is made for every argument, without the import of shutil for the terminal's width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=(table.screen().columns or 80) - 2)


class Parser(argparse.ArgumentParser):
    """argparse with one line for an error instead of the whole usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, formatter_class=Formatter)

    def error(self, message: str) -> NoReturn:
        """Print `message` with the way to help and exit with 2."""
        self.exit(WRONG_USAGE, f"{PROGRAM}: {printable(message)}; see {self.prog} --help\n")


def _add_common(parser: argparse.ArgumentParser) -> None:
    """The options of every verb.  Without defaults here, so that one before the verb is not undone after it."""
    nothing = argparse.SUPPRESS
    parser.add_argument(
        "--root", metavar="DIR", default=nothing, help="work on the system below DIR, no PID 1 is spoken to"
    )
    parser.add_argument("--json", choices=("short", "pretty", "off"), default=nothing, help="print JSON")
    parser.add_argument(
        "--no-legend", dest="legend", action="store_false", default=nothing, help="no headings, no summary"
    )
    parser.add_argument("--no-pager", dest="pager", action="store_false", default=nothing, help="never start a pager")


def build_parser(wanted: Collection[str] = ()) -> Parser:
    """The command line as a parser, of all verbs or of the `wanted` ones, which takes a fifth of the time.

    Completion and manual are compared with the whole of it.
    """
    parser = Parser(
        prog=PROGRAM,
        description="Show and change which extension images are merged over /usr, /opt and /etc.",
        epilog="Exit status: 0 done; 1 failed, nothing changed; 2 wrong usage; 3 done, but an extension was left out. "
        "See extensionctl(1).",
        allow_abbrev=False,
    )
    _add_common(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=Parser)
    for verb, text in VERBS:
        if wanted and verb not in wanted:
            continue
        one = verbs.add_parser(verb, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
        _add_common(one)
        _module(verb).arguments(one)
    return parser


def parse(argv: list[str]) -> Options:
    """Options of the command line `argv` (without the program's name).  Raises SystemExit with 2, for --help with 0."""
    # A word that is a verb need not be the verb, but without any, everything may be asked for.
    named = {verb for verb, _ in VERBS if verb in argv}
    if all(word.startswith("-") for word in argv) and not {"-h", "--help"} & set(argv):
        named = {"status"}
    options = build_parser(named).parse_args(argv, namespace=Options())
    # argparse stores None for a verb that was not given.
    options.verb = options.verb or "status"
    options.os_release = options.os_release or ""
    options.root = _directory("--root", options.root)
    options.os_root = _directory("--os-root", options.os_root or "")
    return options


def _directory(option: str, given: str) -> str:
    """The directory `given` with an option as a real path, "" for the running system.  Raises UsageError."""
    if not given:
        return ""
    root = os.path.realpath(given)
    if not os.path.isdir(root):
        raise UsageError(f"{option}={given}: no such directory")
    return "" if root == "/" else root


def _module(verb: str) -> Any:
    return importlib.import_module(f"extension_runtime.cli.{verb}")


def find(verb: str) -> Callable[[Options], int]:
    """The function that does `verb`."""
    found: Callable[[Options], int] = _module(verb).run
    return found


def complain(text: str) -> None:
    """One line on standard error, if there is one."""
    try:
        print(printable(f"{PROGRAM}: {text}"), file=sys.stderr)
    except (OSError, ValueError):
        pass


def _drop_unwritten() -> None:
    """Point a standard output that takes nothing any more to /dev/null, so that the last flush is quiet."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def _run(argv: list[str]) -> int:
    options = parse(argv)
    code = find(options.verb)(options)
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def main(argv: list[str]) -> int:
    """Run the command line `argv` and return the exit status.  A traceback is for SYSTEMD_LOG_LEVEL=debug only."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(argv)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_unwritten()
        return PIPE_CLOSED
    except UsageError as error:
        complain(str(error))
        return WRONG_USAGE
    except ExtensionError as error:
        complain(str(error))
        return FAILED
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
        _drop_unwritten()
        return FAILED
    except Exception as error:
        if os.environ.get("SYSTEMD_LOG_LEVEL") == "debug":
            raise
        complain(reason_of(error))
        return FAILED
