#  SPDX-License-Identifier: MIT
"""The one exception tree of the project, and diagnostics."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_MAX = 500  # characters


class ExtensionError(Exception):
    """Root of everything the packages raise on purpose; its text is one line for the user."""


def printable(text: str) -> str:
    """`text` with control characters and undecodable bytes written as \\xNN, so that it stays one line of a log."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _hex(char) for char in text)


def _hex(char: str) -> str:
    undecodable = "\udc80" <= char <= "\udcff"
    data = char.encode("utf-8", "surrogateescape" if undecodable else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in data)


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line: on purpose, by the machine, or by a mistake of this program."""
    if isinstance(error, ExtensionError):
        return str(error)
    if isinstance(error, OSError):
        text = error.strerror or str(error) or type(error).__name__
        name = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else error.filename
        return printable(f"{name}: {text}" if name else text)
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, RecursionError):
        return "is nested too deep"
    said = f": {error}" if str(error) else ""
    kind = type(error).__name__
    return printable(f"this should not have happened: {kind}{said}; SYSTEMD_LOG_LEVEL=debug shows where")


def decoded(data: bytes, error: Callable[[int, str], ExtensionError]) -> str:
    """The text that a file holds. Raises `error` of the line and what is wrong for anything but UTF-8 without NUL."""
    nul = data.find(b"\0")
    if nul >= 0:
        raise error(data.count(b"\n", 0, nul) + 1, "holds a NUL byte; write plain text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        raise error(line, "is not UTF-8; save the file in that encoding") from None


class Diagnostic:
    """What is wrong where, and what to write instead. Line 0 means the whole file."""

    __slots__ = ("line", "message", "path", "severity")

    def __init__(self, path: str, line: int, message: str, severity: str = "error") -> None:
        self.path = path
        self.line = line
        # A value may be as long as a file; a message is one line of a log.
        self.message = message if len(message) <= MESSAGE_MAX else message[:MESSAGE_MAX] + "..."
        self.severity = severity

    def __str__(self) -> str:
        return printable(f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}")

    def __repr__(self) -> str:
        return f"Diagnostic({self.severity}: {self})"


def warning(path: str, message: str, line: int = 0) -> Diagnostic:
    """A Diagnostic that harms nothing."""
    return Diagnostic(path, line, message, "warning")


class ManifestError(ExtensionError):
    """A manifest, drop-in, settings or action file that cannot be used; carries the diagnostic."""

    def __init__(self, path: str, line: int, message: str) -> None:
        self.diagnostic = Diagnostic(path, line, message)
        super().__init__(str(self.diagnostic))


class EmitError(ExtensionError):
    """A unit that cannot be written."""


class ImageError(ExtensionError):
    """An image, or a file in it, cannot be used; the text is one line that names the file."""
