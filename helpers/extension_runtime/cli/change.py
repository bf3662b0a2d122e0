#  SPDX-License-Identifier: MIT
"""extensionctl plan, merge, refresh, unmerge and rollback: on the running machine through PID 1, else right here."""

from __future__ import annotations

import os
import sys
import time

from extension_manifests.errors import ExtensionError, printable

from extension_runtime.cli import table
from extension_runtime.cli.options import DONE, FAILED, LEFT_OUT, Options, may_read
from extension_runtime.paths import Paths
from extension_runtime.pid1 import queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from extension_runtime.cli.facts import Extension
    from extension_runtime.merge.result import Result

MERGE_UNIT = "extensions-merge.service"
REFRESH_UNIT = "extensions-refresh.service"


def plan(options: Options) -> int:
    """Print the order of layers and the steps of a refresh; takes none."""
    from extension_manifests import load

    result = _transact(options, "refresh", dry_run=True)
    order = [m.name for m in load.load(options.root).extensions]
    if options.json != "off":
        found = {"layers": order[::-1], "steps": result.steps, "messages": result.messages}
        print(table.json_text(found, options.json))
        return result.exit_code
    screen = table.screen()
    lines = table.paragraph("Layers", [" > ".join(reversed(order)) or "none"], screen) if options.legend else []
    table.show([*lines, *_steps(result), *_messages(result)], screen, pager=options.pager)
    return result.exit_code


def merge(options: Options) -> int:
    """Put the extensions on."""
    if options.dry_run or options.root:
        return _here(options)
    queries.require_running("merge")
    if _property(MERGE_UNIT, "ActiveState") == "active":
        return _say(options, DONE, ["already merged; extensionctl refresh brings it up to date"])
    return _unit(options, "start", MERGE_UNIT)


def unmerge(options: Options) -> int:
    """Take the extensions off."""
    if options.dry_run or options.root:
        return _here(options)
    queries.require_running("unmerge")
    if _property(MERGE_UNIT, "ActiveState") != "active":
        # A refresh merges, too, and does not need that unit: stopping it would do nothing.
        return _transient(options, ["unmerge"])
    return _unit(options, "stop", MERGE_UNIT)


def refresh(options: Options) -> int:
    """Bring what is merged up to date."""
    if options.dry_run or options.root:
        return _here(options)
    queries.require_running("refresh")
    if options.always:
        return _transient(options, ["refresh", "--always"])
    if _property(REFRESH_UNIT, "LoadState") == "not-found":
        # A directory that is merged was deleted: then the kernel lists no folder that it was part of, and PID 1 sees
        # no unit there until a refresh has taken it off.
        return _transient(options, ["refresh"])
    if _property(REFRESH_UNIT, "ActiveState") in ("activating", "reloading"):
        # A refresh that is under way may have looked before the latest change: wait for it, then have one of our own.
        queries.run_unit("start", REFRESH_UNIT)
    return _unit(options, "start", REFRESH_UNIT)


def rollback(options: Options) -> int:
    """Go back to what the previous merge had."""
    if options.dry_run or options.root:
        return _here(options)
    queries.require_running("rollback")
    return _transient(options, ["rollback"])


def _here(options: Options) -> int:
    """Do the verb in this process, or only print its steps."""
    result = _transact(options, options.verb, dry_run=options.dry_run)
    if options.json != "off":
        return _say(options, result.exit_code, result.messages, result.steps)
    if options.dry_run:
        return _print(result.exit_code, [*_steps(result), *_messages(result)])
    return _say(options, result.exit_code, result.messages)


def _transact(options: Options, verb: str, *, dry_run: bool) -> Result:
    """Run the transaction in this process.  Raises ExtensionError, also for an ordinary user."""
    from extension_runtime.merge import transaction

    folder = Paths(options.root).run
    if not may_read(folder) or (not dry_run and os.geteuid() != 0):
        raise ExtensionError(f"{options.verb} needs root, for what is merged is kept in {folder}; use sudo")
    return transaction.run(verb, options.root, dry_run=dry_run, always=options.always)


def _steps(result: Result) -> list[str]:
    return [printable(f"{number:3}. {step}") for number, step in enumerate(result.steps, 1)]


def _messages(result: Result) -> list[str]:
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


def _say(options: Options, code: int, messages: Sequence[str], steps: Sequence[str] = ()) -> int:
    """Print what a verb left to say, with what it left out and why, and return `code`."""
    left_out = _left_out(options.root) if code == LEFT_OUT else []
    if options.json != "off":
        data = [extension.data() for extension in left_out]
        found = {"exit_code": code, "messages": list(messages), "steps": list(steps), "left_out": data}
        return _print(code, [table.json_text(found, options.json)])
    words = {"failed": "left out", "merged": "not updated"}
    lines = [*messages, *(f"{words[e.state]}: {e.name}: {e.reason}" for e in left_out)]
    return _print(code, [printable(line) for line in lines])


def _left_out(root: str) -> list[Extension]:
    """What is behind the exit status 3: what failed, and what stayed at its last good version."""
    from extension_runtime.cli import facts

    extensions = facts.gather(root).extensions()
    return [e for state in ("failed", "merged") for e in extensions if e.state == state and e.reason]


def _property(unit: str, name: str) -> str:
    return queries.show([unit], (name,)).get(unit, {}).get(name, "")


def _unit(options: Options, action: str, unit: str) -> int:
    """Start or stop `unit`, say what it logged, and return the exit status of its process."""
    before = _property(unit, "InvocationID")
    began = time.time()
    from extension_runtime.cli import progress

    ended = progress.run_unit(action, unit)
    after = queries.show([unit], ("LoadState", "InvocationID", "ExecMainStatus", "Result")).get(unit, {})
    if after.get("LoadState") == "not-found":
        raise ExtensionError(f"PID 1 does not know {unit}; run make install, then systemctl daemon-reload")
    ran = action == "stop" or after.get("InvocationID", "") != before
    lines = queries.log_of(after.get("InvocationID", "") if ran else "", began)
    if ran and action == "start" and after.get("ExecMainStatus") == str(LEFT_OUT):
        return _say(options, LEFT_OUT, lines)
    # systemctl stop is content when ExecStop= fails.
    if ended.returncode == 0 and after.get("Result", "success") == "success":
        return _say(options, DONE, lines)
    if not ran:
        # It never started: what systemctl said is all there is to say.
        return _say(options, FAILED, ended.stderr.splitlines())
    return _say(options, FAILED, [*lines, f"{unit}: {after.get('Result') or 'failed'}; see systemctl status {unit}"])


def _transient(options: Options, arguments: list[str]) -> int:
    """Run a verb that no unit stands for in a service: it must not depend on this terminal or mount namespace."""
    import extension_runtime
    from extension_runtime.pid1 import commands

    helper = os.path.join(os.path.dirname(extension_runtime.__path__[0]), "extensions-merge")
    argv = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--no-ask-password", "--", helper, *arguments]
    ended = commands.run(argv, check=False, timeout=queries.NO_LIMIT)
    return _say(options, ended.returncode, (ended.stdout + ended.stderr).splitlines())
