#  SPDX-License-Identifier: MIT
"""The entry point of the units: runs one verb on the running machine and tells the journal about it."""

from __future__ import annotations

import signal

from extension_manifests.errors import ExtensionError, printable

from extension_runtime import boundary, log
from extension_runtime.pid1.notify import notify
from extension_runtime.steps import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.steps import Step


USAGE = "usage: extensions-merge merge [--boot] | refresh [--always] | unmerge | rollback | react [--stop] NAME"


def main(arguments: list[str]) -> int:
    """Run the verb in `arguments` and return the exit status as extensionctl(1) has it."""
    verb, *rest = arguments or [""]
    flags = [word for word in rest if word.startswith("--")]
    names = [word for word in rest if not word.startswith("--")]
    allowed = {"merge": ["--boot"], "refresh": ["--always"], "unmerge": [], "rollback": [], "react": ["--stop"]}
    wrong = verb not in allowed or any(flag not in allowed[verb] for flag in flags)
    if wrong or len(names) != (1 if verb == "react" else 0):
        log.line(USAGE, log.ERROR)
        return 2
    # What is half done is taken back when PID 1 loses patience; SIGKILL is what the next run puts right.
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        if verb == "react":
            return _react(names[0], "--stop" in flags)
        return _transaction(verb, flags)
    except (ExtensionError, Interrupted) as error:
        log.line(str(error), log.ERROR)
        return 1
    except Exception as error:
        log.line(boundary.reason(error, verb), log.ERROR)
        return 1


def _interrupted(_number: int, _frame: object) -> None:
    raise Interrupted("stopped by SIGTERM; nothing was changed")


def _transaction(verb: str, flags: list[str]) -> int:
    from extension_runtime.merge import transaction

    result = transaction.run(
        verb,
        "",
        always="--always" in flags,
        boot="--boot" in flags,
        log=lambda text: log.line(text, log.WARNING),
        before=_progress,
    )
    # The journal was told of what was done, with fields; a terminal was not.
    told = log.to_journal()
    for message in result.messages:
        if not (told and message.startswith(f"{verb} done")):
            log.line(message)
    return result.exit_code


def _progress(step: Step) -> None:
    notify(f"STATUS={printable(step.text)}")


def _react(name: str, stop: bool) -> int:
    from extension_runtime.react import one

    (one.stop_one if stop else one.reload_one)("", name)
    return 0
