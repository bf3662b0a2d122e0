#  SPDX-License-Identifier: MIT
"""The boundary around one thing among others: an extension, an action, a namespace, a record.

Whatever is raised while that one is handled becomes its reason, and the rest goes on:

    try:
        ...
    except Exception as error:
        its reason is boundary.reason(error, "what it was about")

A step that fails is no such thing: what it did is taken back.  What must not be taken for the fault of one, a SIGTERM,
is no Exception (steps.Interrupted).
"""

from __future__ import annotations

from extension_manifests.errors import ExtensionError, printable, reason_of

from extension_runtime import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

FRAMES = 30  # of a trace at each end: one without an end has as many as the interpreter allows


def reason(error: Exception, about: str = "") -> str:
    """One line that says why, for whatever was raised; what was not raised on purpose leaves its trace for authors."""
    text = reason_of(error)
    # What was raised on purpose names its file itself.
    named = isinstance(error, ExtensionError) or (isinstance(error, OSError) and error.filename)
    if about and not named:
        text = f"{printable(about)}: {text}"
    trace(error, text)
    return text


def trace(error: BaseException, text: str) -> None:
    """Log where `error` came from, with SYSTEMD_LOG_LEVEL=debug, if it was not raised on purpose."""
    if isinstance(error, ExtensionError) or not log.debugging():
        return
    log.line(text, log.DEBUG)
    for line in _frames(error.__traceback__):
        log.line(line, log.DEBUG)


def _frames(found: TracebackType | None) -> list[str]:
    """The calls that led to an error, the innermost last.

    The module traceback would have to be imported, and from the first swap on nothing can be.
    """
    lines = []
    while found is not None:
        code = found.tb_frame.f_code
        lines.append(printable(f"  {code.co_filename}:{found.tb_lineno} in {code.co_name}"))
        found = found.tb_next
    if len(lines) > 2 * FRAMES:
        lines[FRAMES:-FRAMES] = [f"  ... {len(lines) - 2 * FRAMES} more ..."]
    return lines
