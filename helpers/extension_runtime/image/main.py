#  SPDX-License-Identifier: MIT
"""`mount.extension`: what mount(8) runs for the type "extension", and so what PID 1 runs for an image's mount unit.

mount.extension SOURCE TARGET [-sfnv] [-t TYPE] [-o OPTIONS]

TARGET is [ROOT]/run/extension/NAME.  Options of ours begin with "ext."; those of mount(8) are taken and have no effect:
an image is always read-only, and nothing in it counts as a device or can be run there.  Neither has SOURCE: mount(8)
makes a path of a name that is one in its working directory, so that "tmp" would be /tmp.  The image is ext.image=.
"""

from __future__ import annotations

from extension_manifests.errors import ExtensionError, printable
from extension_manifests.escape import IMAGE_ROOT, decode
from extension_manifests.names import name_problem
from extension_manifests.options import PREFIX

from extension_runtime import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 32  # "mount failure", mount(8)
_WHERE = f"{IMAGE_ROOT}/"


class CallError(ExtensionError):
    """mount.extension was called with what it does not understand."""


class Call:
    """One call of mount.extension, read."""

    __slots__ = ("fake", "options", "target")

    def __init__(self, target: str, options: list[str], fake: bool) -> None:
        self.target = target
        self.options = options
        self.fake = fake


def parse(arguments: Sequence[str]) -> Call:
    """Read the arguments as mount(8) gives them: options may stand anywhere.  Raises CallError."""
    plain: list[str] = []
    options: list[str] = []
    fake = False
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            plain += rest
            break
        if not argument.startswith("-") or argument == "-":
            plain.append(argument)
            continue
        for number, letter in enumerate(argument[1:], 2):
            if letter in "otN":
                value = argument[number:] or next(rest, None)
                if value is None:
                    raise CallError(f"-{letter} wants a value")
                if letter == "o":
                    options += value.split(",")
                break
            if letter == "f":
                fake = True
            elif letter not in "snvrwi":
                raise CallError(printable(f"unknown option -{letter}"))
    if len(plain) != 2:
        raise CallError("want SOURCE TARGET [-sfnv] [-o OPTIONS]")
    return Call(plain[1], options, fake)


def ours(options: Sequence[str]) -> dict[str, str]:
    """Our options without "ext.", decoded.  Raises CallError."""
    found: dict[str, str] = {}
    for option in options:
        key, _, value = option.partition("=")
        if not key.startswith(PREFIX):
            continue
        try:
            found[key.removeprefix(PREFIX)] = decode(value)
        except ValueError:
            raise CallError(printable(f"{option}: a backslash in it begins no \\xNN")) from None
    return found


def split_target(target: str) -> tuple[str, str]:
    """The root and the extension's name that the mount point `target` stands for.  Raises CallError."""
    root, where, name = target.rstrip("/").rpartition(_WHERE)
    if not where or not name or "/" in name or not target.startswith("/"):
        raise CallError(printable(f"{target}: extensions are mounted at {_WHERE}NAME only"))
    # A name is part of paths from here on: ".." would be one, too.
    problem = name_problem(name)
    if problem:
        raise CallError(printable(f"{target}: {problem}"))
    return root, name


def run(arguments: Sequence[str]) -> tuple[int, str]:
    """Do what the arguments ask for; returns the exit status and a line to print, or ""."""
    call = parse(arguments)
    if call.fake or "remount" in call.options:
        return 0, ""
    from extension_runtime.image import attach, request
    from extension_runtime.paths import Paths

    root, name = split_target(call.target)
    try:
        settings = ours(call.options)
        if settings.get("error"):
            raise CallError(printable(settings["error"]))
        wanted = request.of_options(root, name, settings)
    except (CallError, request.RequestError) as error:
        attach.fail(Paths(root), name, str(error))
        raise
    record = attach.attach(wanted)
    if record.state == "failed":
        return FAILED, record.reason
    return 0, f"skipped: {record.reason}" if record.state == "skipped" else ""


def main(arguments: Sequence[str]) -> int:
    """The entry point.  0: mounted (or nothing to do); 32: not, and one line on stderr says why."""
    try:
        status, text = run(arguments)
    except ExtensionError as error:
        status, text = FAILED, str(error)
    except OSError as error:
        status, text = FAILED, printable(f"{error.filename or 'mount.extension'}: {error.strerror or error}")
    if text:
        log.line(text, log.ERROR if status else log.NOTICE)
    return status
