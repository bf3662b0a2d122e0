#  SPDX-License-Identifier: MIT
"""Reads NAME.action files: what a changed path triggers.

Searched, masked and extended by drop-ins as manifests are.  Keys:

[Trigger] Path=   globs of absolute merged paths; "*" and "?" stop at a slash, "**" does not; a path that ends in "/"
                  means everything below it.  Repeated keys and words add.
          On=     merge refresh unmerge, any of them (default all); a rollback counts as a refresh.
          Boot=   whether the merge at boot triggers it, too (default no: the boot's own units do most of it).
          ConditionPathExists=        all must exist, or nothing is done and nothing said (a tool that is not there)
          ConditionPathIsReadWrite=   all must be writable, or it is left out and that is said
[Action]  DaemonReload=  PID 1 reads its units again
          Start= Restart= Reload=     units; those that do not run are neither restarted nor reloaded
          Exec=   a command: an absolute path and arguments, quoted as in systemd.service(5), with no shell, no
                  specifiers and no variables.  The matched paths are its standard input, one on each line.
          Append= existing: the matched paths that exist are appended to the arguments (none: no run); none (default)
          Order=  a number (default 50): lower ones run first, of equal ones by name.
"""

from __future__ import annotations

from extension_manifests import search
from extension_manifests.errors import Diagnostic, ManifestError
from extension_manifests.names import is_unit
from extension_manifests.unitfile import Entry, parse
from extension_manifests.values import boolean

SUFFIX = ".action"
VERBS = ("merge", "refresh", "unmerge")
LISTS = {
    ("Trigger", "Path"): "paths",
    ("Trigger", "On"): "on",
    ("Trigger", "ConditionPathExists"): "exists",
    ("Trigger", "ConditionPathIsReadWrite"): "writable",
    ("Action", "Start"): "start",
    ("Action", "Restart"): "restart",
    ("Action", "Reload"): "reload",
}
SINGLE = ("Boot", "DaemonReload", "Exec", "Append", "Order")


class Action:
    """One action.  Attributes are the keys of the file; `exec` is the argument list, empty for none."""

    __slots__ = (
        "append", "boot", "daemon_reload", "exec", "exists", "name", "on", "order", "path", "paths", "reload",
        "restart", "start", "writable",
    )  # fmt: skip

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.paths: tuple[str, ...] = ()
        self.on: tuple[str, ...] = VERBS
        self.boot = False
        self.exists: tuple[str, ...] = ()
        self.writable: tuple[str, ...] = ()
        self.daemon_reload = False
        self.start: tuple[str, ...] = ()
        self.restart: tuple[str, ...] = ()
        self.reload: tuple[str, ...] = ()
        self.exec: tuple[str, ...] = ()
        self.append = False
        self.order = 50

    def __repr__(self) -> str:
        return f"Action({self.name})"


def load(root: str) -> tuple[list[Action], list[Diagnostic]]:
    """The actions of `root`, in the order they run, and what is wrong with others; a wrong one hurts no other."""
    found, diagnostics = search.find(root, SUFFIX)
    actions = []
    for item in found:
        if item.masked:
            continue
        try:
            entries = [entry for path, text in search.texts(root, item) for entry in parse(text, path)]
            actions.append(build(item.name, item.path, entries, diagnostics))
        except ManifestError as error:
            diagnostics.append(error.diagnostic)
    return sorted(actions, key=lambda action: (action.order, action.name)), diagnostics


def build(name: str, path: str, entries: list[Entry], warnings: list[Diagnostic]) -> Action:
    """The Action of `entries`.  Raises ManifestError for the first wrong value; unknown keys go to `warnings`."""
    action = Action(name, path)
    for entry in entries:
        attribute = LISTS.get((entry.section, entry.key))
        if attribute is not None:
            before = getattr(action, attribute) if attribute != "on" or action.on is not VERBS else ()
            words = tuple(_checked(word, attribute, entry) for word in entry.value.split())
            setattr(action, attribute, (*before, *words) if words else ())
        elif entry.section == ("Trigger" if entry.key == "Boot" else "Action") and entry.key in SINGLE:
            _set(action, entry)
        elif not (entry.section.startswith("X-") or entry.key.startswith("X-")):
            message = f"[{entry.section}] {entry.key}= is not known and ignored; see ACTIONS in extension(5)"
            warnings.append(Diagnostic(entry.path, entry.line, message, "warning"))
    action.on = action.on or VERBS
    if not action.paths:
        raise ManifestError(path, 0, "nothing triggers it; write Path= with absolute paths into [Trigger]")
    if not (action.exec or action.start or action.restart or action.reload or action.daemon_reload):
        raise ManifestError(path, 0, "it does nothing; write Exec=, Restart=, Reload= or Start= into [Action]")
    return action


def _checked(word: str, attribute: str, entry: Entry) -> str:
    if attribute == "on" and word not in VERBS:
        raise entry.error(f'On= has "{word}"; write merge, refresh or unmerge')
    if attribute in ("paths", "exists", "writable") and not word.startswith("/"):
        raise entry.error(f'{entry.key}= has "{word}"; write an absolute path')
    if attribute in ("start", "restart", "reload") and not is_unit(word):
        raise entry.error(f'{entry.key}= has "{word}"; write the name of a unit, as foo.service')
    return word


def _set(action: Action, entry: Entry) -> None:
    value = entry.value
    if entry.key == "Exec":
        action.exec = split(entry)
    elif entry.key == "Order":
        if value and not value.lstrip("-").isdigit():
            raise entry.error(f'Order= is "{value}"; write a whole number')
        action.order = int(value or 50)
    elif entry.key == "Append":
        if value not in ("", "none", "existing"):
            raise entry.error(f'Append= is "{value}"; write existing or none')
        action.append = value == "existing"
    else:
        try:
            flag = boolean(value) if value else False
        except ValueError:
            raise entry.error(f'{entry.key}= is "{value}"; write yes or no') from None
        if entry.key == "Boot":
            action.boot = flag
        else:
            action.daemon_reload = flag


def split(entry: Entry) -> tuple[str, ...]:
    """The words of Exec=, quotes taken off.  Raises ManifestError."""
    if not entry.value:
        return ()
    import shlex

    try:
        words = tuple(shlex.split(entry.value))
    except ValueError:
        raise entry.error("Exec= has a quote that does not end; close it") from None
    if not words[0].startswith("/"):
        raise entry.error(f'Exec= starts with "{words[0]}"; write the absolute path of the program')
    return words


def pattern(glob: str) -> str:
    """The regular expression, to be matched whole, of a glob of Path=."""
    import re

    out, position = "", 0
    while position < len(glob):
        char = glob[position]
        if glob.startswith("**", position):
            out += ".*"
            position += 2
            continue
        if char == "[" and "]" in glob[position + 2 :]:
            end = glob.index("]", position + 2)
            inner = glob[position + 1 : end].replace("\\", "\\\\")
            out += f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            position = end + 1
            continue
        out += "[^/]*" if char == "*" else "[^/]" if char == "?" else re.escape(char)
        position += 1
    return out + ".*" if glob.endswith("/") else out


def fixed_part(glob: str) -> str:
    """The folder or file that everything the glob matches is at or below."""
    cut = min((glob.index(char) for char in "*?[" if char in glob), default=len(glob))
    return glob[:cut].rpartition("/")[0] if cut < len(glob) else glob.rstrip("/")
