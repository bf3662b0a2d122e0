#  SPDX-License-Identifier: MIT
"""Reads NAME.action files: what a changed path triggers.  They are searched and masked as manifests are."""

from __future__ import annotations

from extension_manifests import search
from extension_manifests.errors import Diagnostic, ManifestError
from extension_manifests.globs import Glob
from extension_manifests.keys import Key, gather
from extension_manifests.names import is_unit
from extension_manifests.unitfile import Entry, parse
from extension_manifests.values import boolean

from extension_runtime import boundary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extension_manifests.origin import Origin

SUFFIX = ".action"
DIGITS_MAX = 9
VERBS = ("merge", "refresh", "unmerge")
COMMAND_MAX = 32 << 10  # characters
# fmt: off
KEYS = (
    Key("Trigger", "Path", "glob*", "", "paths",
        'Globs of absolute merged paths; "*" and "?" stop at a slash, "**" does not, "/" at the end: all below it.'),
    Key("Trigger", "On", "verb*", " ".join(VERBS), "on", "Which verbs trigger it; a rollback counts as a refresh."),
    Key("Trigger", "Boot", "flag", "no", "boot",
        "Whether the merge at boot triggers it, too: the boot's own units do most of it."),
    Key("Trigger", "ConditionPathExists", "path*", "", "exists", "All must exist, or nothing is done and said."),
    Key("Trigger", "ConditionPathIsReadWrite", "path*", "", "writable",
        "All must be writable, or it is left out and that is said."),
    Key("Action", "DaemonReload", "flag", "no", "daemon_reload", "Whether PID 1 reads its units again."),
    Key("Action", "Start", "unit*", "", "start", "Units to start."),
    Key("Action", "Restart", "unit*", "", "restart", "Units to restart, if they run."),
    Key("Action", "Reload", "unit*", "", "reload", "Units to reload, if they run."),
    Key("Action", "Exec", "command", "", "exec",
        "A command, quoted as in systemd.service(5); no shell, no specifiers. It reads the paths, one on each line."),
    Key("Action", "Append", "append", "none", "append",
        "existing: the matched paths that exist are appended to the arguments (none: no run); or none."),
    Key("Action", "Order", "number", "50", "order", "Lower ones run first, of equal ones by name."),
)
# fmt: on
TABLE = {(key.section, key.name): key for key in KEYS}


class Action:
    """One action.  Attributes are those of KEYS; `exec` is the argument list, empty for none."""

    __slots__ = ("name", "path", *(key.attribute for key in KEYS))

    if TYPE_CHECKING:
        paths: tuple[str, ...]
        on: tuple[str, ...]
        boot: bool
        exists: tuple[str, ...]
        writable: tuple[str, ...]
        daemon_reload: bool
        start: tuple[str, ...]
        restart: tuple[str, ...]
        reload: tuple[str, ...]
        exec: tuple[str, ...]
        append: bool
        order: int

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        for key in KEYS:
            setattr(self, key.attribute, _default(key))

    def __repr__(self) -> str:
        return f"Action({self.name})"


def load(root: str | Origin) -> tuple[list[Action], list[Diagnostic]]:
    """The actions of `root`, in the order they run, and what is wrong with others; a wrong one hurts no other."""
    found, diagnostics = search.find(root, SUFFIX)
    actions = []
    for item in found:
        if item.masked:
            continue
        try:
            entries = [entry for path, text in search.texts(item) for entry in parse(text, path)]
            actions.append(build(item.name, item.path, entries, diagnostics))
        except ManifestError as error:
            diagnostics.append(error.diagnostic)
        except Exception as error:
            diagnostics.append(Diagnostic(item.path, 0, boundary.reason(error)))
    return sorted(actions, key=lambda action: (action.order, action.name)), diagnostics


def build(name: str, path: str, entries: list[Entry], warnings: list[Diagnostic]) -> Action:
    """The Action of `entries`.  Raises ManifestError for the first wrong value; unknown keys go to `warnings`.

    As in manifests, a value that is reset or, in a key with one value, repeated later is not looked at.
    """
    action = Action(name, path)
    gathered, strange = gather(entries, TABLE)
    for entry in strange:
        if not (entry.section.startswith("X-") or entry.key.startswith("X-")):
            message = f"[{entry.section}] {entry.key}= is not known and ignored; see ACTIONS in extension(5)"
            warnings.append(Diagnostic(entry.path, entry.line, message, "warning"))
    for place, numbered in gathered.items():
        key, given = TABLE[place], [entry for _, entry in numbered]
        if given:
            setattr(action, key.attribute, _value(key, given))
    if not action.paths:
        raise ManifestError(path, 0, "nothing triggers it; write Path= with absolute paths into [Trigger]")
    if not (action.exec or action.start or action.restart or action.reload or action.daemon_reload):
        raise ManifestError(path, 0, "it does nothing; write Exec=, Restart=, Reload= or Start= into [Action]")
    return action


def _default(key: Key) -> object:
    if key.kind.endswith("*"):
        return tuple(key.default.split())
    return CONVERTERS[key.kind](key.default) if key.default else ()


def _value(key: Key, given: list[Entry]) -> object:
    """What the entries of one key come to.  Raises ManifestError."""
    if key.kind.endswith("*"):
        return tuple(_converted(entry, key.kind[:-1], word) for entry in given for word in entry.value.split())
    return _converted(given[-1], key.kind, given[-1].value)


def _converted(entry: Entry, kind: str, text: str) -> object:
    try:
        return CONVERTERS[kind](text)
    except ValueError as error:
        raise entry.error(f"{entry.key}= {error}") from None


def _glob(text: str) -> str:
    Glob(_path(text))
    return text


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f'has "{text}"; write an absolute path')
    return text


def _verb(text: str) -> str:
    if text not in VERBS:
        raise ValueError(f'has "{text}"; write merge, refresh or unmerge')
    return text


def _unit(text: str) -> str:
    if not is_unit(text):
        raise ValueError(f'has "{text}"; write the name of a unit, as foo.service')
    return text


def _flag(text: str) -> bool:
    try:
        return boolean(text)
    except ValueError:
        raise ValueError(f'is "{text}"; write yes or no') from None


def _append(text: str) -> bool:
    if text not in ("none", "existing"):
        raise ValueError(f'is "{text}"; write existing or none')
    return text == "existing"


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > DIGITS_MAX:
        raise ValueError(f'is "{text[:80]}"; write a whole number of at most {DIGITS_MAX} digits')
    return int(text)


def _command(text: str) -> tuple[str, ...]:
    import shlex

    # What takes it apart takes four times as long for twice as much.
    if len(text) > COMMAND_MAX:
        raise ValueError(f"has more than {COMMAND_MAX} characters; write a script and call that")
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise ValueError("has a quote that does not end; close it") from None
    if not words or not words[0].startswith("/"):
        raise ValueError(f'starts with "{words[0] if words else ""}"; write the absolute path of the program')
    return words


CONVERTERS: dict[str, Callable[[str], object]] = {
    "glob": _glob,
    "path": _path,
    "verb": _verb,
    "unit": _unit,
    "flag": _flag,
    "append": _append,
    "number": _number,
    "command": _command,
}
