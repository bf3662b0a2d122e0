#  SPDX-License-Identifier: MIT
"""systemd.syntax(7) to entries with line numbers, the way config_parse() of systemd's conf-parser.c reads it."""

from __future__ import annotations

from extension_manifests.errors import ManifestError

WHITE = " \t\n\r"
PROBLEMS_MAX = 100  # of one file


class Entry:
    """One assignment. `line` is where its key stands; an empty value is a reset."""

    __slots__ = ("key", "line", "path", "section", "value")

    def __init__(self, section: str, key: str, value: str, path: str, line: int) -> None:
        self.section = section
        self.key = key
        self.value = value
        self.path = path
        self.line = line

    def __repr__(self) -> str:
        return f"Entry([{self.section}] {self.key}={self.value} at {self.path}:{self.line})"

    def error(self, message: str) -> ManifestError:
        """A ManifestError at this assignment."""
        return ManifestError(self.path, self.line, message)


def parse(text: str, path: str, problems: list[ManifestError] | None = None) -> list[Entry]:
    """The assignments of `text` in order; `path` is for messages.

    Raises ManifestError at the first mistake or, given `problems`, collects them there and skips those lines; the last
    of more than PROBLEMS_MAX says that there are more."""
    entries: list[Entry] = []
    section = ""
    for line, text_line in logical_lines(text):
        stripped = text_line.strip(WHITE)
        if not stripped:
            continue
        if stripped.isprintable() or not control(stripped):
            if stripped[0] == "[":
                if stripped[-1] == "]" and len(stripped) > 2:
                    section = stripped[1:-1]
                    continue
            else:
                key, equals, value = stripped.partition("=")
                key = key.rstrip(WHITE)
                if equals and key and section:
                    entries.append(Entry(section, key, value.lstrip(WHITE), path, line))
                    continue
        # A file of nothing but mistakes is read as fast as another: what is not told is not put into words.
        if problems is None:
            raise ManifestError(path, line, mistake(stripped))
        if len(problems) < PROBLEMS_MAX:
            problems.append(ManifestError(path, line, mistake(stripped)))
        elif len(problems) == PROBLEMS_MAX:
            problems.append(ManifestError(path, line, "more lines cannot be understood and are ignored; correct them"))
    return entries


def logical_lines(text: str) -> list[tuple[int, str]]:
    """(number, line) with comments dropped and continued lines joined by a blank; the number is the first line's."""
    if text.startswith("\ufeff"):
        text = text[1:]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    out = []
    pending = ""
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line and not start:
            continue  # most lines of a file that is as large as one may be
        # Comments count before continuation: one between continued lines does not end them.
        if line.lstrip(WHITE)[:1] in ("#", ";"):
            continue
        if not start:
            start = number
        if line[-1:] == "\\" and continues(line):
            pending += line[:-1] + " "
            continue
        out.append((start, pending + line))
        pending, start = "", 0
    if start:
        out.append((start, pending))
    return out


def continues(line: str) -> bool:
    """Whether the last backslash of `line` is not itself escaped."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def control(stripped: str) -> str:
    """The first control character, which would reach a unit file; tabs and what is merely invisible may stay."""
    return next((char for char in stripped if (char < " " and char != "\t") or "\x7f" <= char < "\xa0"), "")


def mistake(stripped: str) -> str:
    """Why a line is neither a header nor, below one, an assignment; what to write instead."""
    char = control(stripped)
    if char:
        return f"the line holds the control character {char!a}; remove it"
    if stripped[0] == "[":
        return f'"{stripped[:80]}" is no section header; write [Name]'
    key, equals, _ = stripped.partition("=")
    key = key.rstrip(WHITE)
    if not equals:
        return f'"{stripped[:80]}" has no "="; write Key=value, or "#" before a comment'
    if not key:
        return 'there is no key before "="; write Key=value'
    return f"{key[:80]}= stands before the first section; write [Extension] or another section above it"
