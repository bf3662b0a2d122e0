#  SPDX-License-Identifier: MIT
"""How the verbs that change what is merged do it: on the running machine through PID 1, else right here."""

from __future__ import annotations

import importlib
import os
import sys
import time

from extension_manifests.errors import ExtensionError, printable

import extension_runtime
from extension_runtime.cli import progress, table
from extension_runtime.cli.options import DONE, FAILED, LEFT_OUT, Options, may_read, note
from extension_runtime.paths import Paths
from extension_runtime.pid1 import commands, queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from extension_runtime.cli.facts import Extension
    from extension_runtime.merge.result import Result


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """The option that all of these verbs have."""
    parser.add_argument("--dry-run", action="store_true", help="print the steps and take none")


def do(options: Options, live: Callable[[Options], int]) -> int:
    """Do the verb: by `live` on the running machine, right here for another root and a dry run."""
    if options.dry_run or options.root:
        return here(options)
    queries.require_running(options.verb)
    _load(options)
    return live(options)


def here(options: Options) -> int:
    """Do the verb in this process, or only print its steps."""
    result = transact(options, options.verb, dry_run=options.dry_run)
    if options.json != "off":
        return say(options, result.exit_code, result.messages, result.steps)
    if options.dry_run:
        return _print(result.exit_code, [*step_lines(result), *message_lines(result)])
    return say(options, result.exit_code, result.messages)


def transact(options: Options, verb: str, *, dry_run: bool) -> Result:
    """Run the transaction in this process.  Raises ExtensionError, also for an ordinary user."""
    from extension_runtime.merge import transaction

    folder = Paths(options.root).run
    if not may_read(folder) or (not dry_run and os.geteuid() != 0):
        raise ExtensionError(f"{options.verb} needs root, for what is merged is kept in {folder}; use sudo")
    return transaction.run(verb, options.root, dry_run=dry_run, always=options.always, log=note)


def step_lines(result: Result) -> list[str]:
    return [printable(f"{number:3}. {step}") for number, step in enumerate(result.steps, 1)]


def message_lines(result: Result) -> list[str]:
    return [printable(message) for message in result.messages]


def _print(code: int, lines: list[str]) -> int:
    """Print and return `code`: what was done stays done, also when nobody reads about it."""
    try:
        for line in lines:
            print(line)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def say(options: Options, code: int, messages: Sequence[str], steps: Sequence[str] = ()) -> int:
    """Print what a verb left to say, with what it left out and why, and return `code`."""
    left_out = _left_out(options.root) if code == LEFT_OUT else []
    if options.json != "off":
        data = [extension.data() for extension in left_out]
        found = {"exit_code": code, "messages": list(messages), "steps": list(steps), "left_out": data}
        return _print(code, [table.json_text(found, options.json)])
    words = {"failed": "left out", "merged": "not updated"}
    lines = [*messages, *(f"{words[e.state]}: {e.name}: {e.reason}" for e in left_out)]
    return _print(code, [printable(line) for line in lines])


def _load(options: Options) -> None:
    """Import what the reply may need, before a swap of the /usr that it is in."""
    importlib.import_module("extension_runtime.cli.facts")
    commands.load()
    if options.json != "off":
        table.json_text(None, options.json)


def _left_out(root: str) -> list[Extension]:
    """What is behind the exit status 3: what failed, and what stayed at its last good version."""
    from extension_runtime.cli import facts

    extensions = facts.gather(root).extensions()
    return [e for state in ("failed", "merged") for e in extensions if e.state == state and e.reason]


def property_of(unit: str, name: str) -> str:
    return queries.show([unit], (name,)).get(unit, {}).get(name, "")


def through_unit(options: Options, action: str, unit: str) -> int:
    """Start or stop `unit`, say what it logged, and return the exit status of its process."""
    before = property_of(unit, "InvocationID")
    began = time.time()
    ended = progress.run_unit(action, unit)
    after = queries.show([unit], ("LoadState", "InvocationID", "ExecMainStatus", "Result")).get(unit, {})
    if after.get("LoadState") == "not-found":
        raise ExtensionError(f"PID 1 does not know {unit}; run make install, then systemctl daemon-reload")
    ran = action == "stop" or after.get("InvocationID", "") != before
    lines = queries.log_of(after.get("InvocationID", "") if ran else "", began)
    if ran and action == "start" and after.get("ExecMainStatus") == str(LEFT_OUT):
        return say(options, LEFT_OUT, lines)
    # systemctl stop is content when ExecStop= fails.
    if ended.returncode == 0 and after.get("Result", "success") == "success":
        return say(options, DONE, lines)
    if not ran:
        # It never started: what systemctl said is all there is to say.
        return say(options, FAILED, ended.stderr.splitlines())
    return say(options, FAILED, [*lines, f"{unit}: {after.get('Result') or 'failed'}; see systemctl status {unit}"])


def transient(options: Options, arguments: list[str]) -> int:
    """Run a verb that no unit stands for in a service: it must not depend on this terminal or mount namespace."""
    helper = os.path.join(os.path.dirname(extension_runtime.__path__[0]), "extensions-merge")
    ended = queries.run_transient([helper, *arguments])
    return say(options, ended.returncode, (ended.stdout + ended.stderr).splitlines())
