#  SPDX-License-Identifier: MIT
"""What people and programs read on standard output: tables, paragraphs, JSON, colours and the pager.

Text from images and manifests is data of others: control characters in it are shown, never sent to the terminal.
"""

from __future__ import annotations

import os
import sys

from extension_manifests.errors import printable
from extension_manifests.values import says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COLOURS = {"red": "31", "green": "32", "yellow": "33", "grey": "90", "bold": "1", "underline": "4"}
STATE_COLOURS = {"merged": "green", "ready": "yellow", "skipped": "grey", "failed": "red", "masked": "grey"}
GAP = "  "
NARROWEST_LAST = 24


def width_of(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


class Screen:
    """What standard output is: `tty`, `colours`, and its size in columns and rows (0: unlimited, it is no terminal)."""

    __slots__ = ("colours", "columns", "rows", "tty")

    def __init__(self, tty: bool, colours: bool, columns: int, rows: int) -> None:
        self.tty = tty
        self.colours = colours
        self.columns = columns
        self.rows = rows

    def paint(self, text: str, colour: str) -> str:
        """`text` in `colour`, or as it is where there are no colours or `colour` is empty."""
        if not self.colours or not colour:
            return text
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def wants_colours(tty: bool, environment: dict[str, str]) -> bool:
    """Colours on a terminal only; SYSTEMD_COLORS= decides when it is set, then NO_COLOR= and TERM=dumb switch off."""
    said = environment.get("SYSTEMD_COLORS", "")
    if said:
        return says(said, True)  # "256" and the like are colours, too
    return tty and not environment.get("NO_COLOR") and environment.get("TERM") not in (None, "", "dumb")


def screen() -> Screen:
    """The screen behind standard output; COLUMNS= and LINES= win over what the terminal says."""
    tty = sys.stdout is not None and sys.stdout.isatty()
    columns = rows = 0
    if tty:
        try:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            pass
        columns = _number("COLUMNS") or columns or 80
        rows = _number("LINES") or rows or 24
    return Screen(tty, wants_colours(tty, dict(os.environ)), columns, rows)


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def wrap(text: str, columns: int) -> list[str]:
    """`text` in lines of at most `columns`, broken between words; a word longer than a line is broken itself."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and width_of(line) + 1 + width_of(word) > columns:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while width_of(line) > columns:
            cut = columns
            while width_of(line[:cut]) > columns:
                cut -= 1
            lines.append(line[: max(cut, 1)])
            line = line[max(cut, 1) :]
    return [*lines, line]


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], to: Screen, *, legend: bool = True, state: int = -1
) -> list[str]:
    """Lines of a table.  The last column is wrapped where the terminal is too narrow; `state` is a column to colour.

    Without `legend` the headings are left out.  An empty cell is shown as "-", so that columns can be counted.
    """
    cells = [[printable(cell) or "-" for cell in row] for row in rows]
    titles = [heading.upper() for heading in headings] if legend else ["" for _ in headings]
    widths = [max([width_of(title), *(width_of(row[i]) for row in cells)]) for i, title in enumerate(titles)]
    left = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    room = to.columns - left
    lines = []
    if legend:
        lines.append(to.paint(GAP.join(_padded(titles, widths)), "underline"))
    for row in cells:
        last = wrap(row[-1], room) if to.columns and room >= NARROWEST_LAST else [row[-1]]
        padded = _padded([*row[:-1], last[0]], widths)
        if state >= 0:
            padded[state] = to.paint(padded[state], STATE_COLOURS.get(row[state], ""))
        lines.append(GAP.join(padded).rstrip())
        lines.extend(" " * left + more for more in last[1:])
    return lines


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    padded = [cell + " " * (width - width_of(cell)) for cell, width in zip(cells, widths, strict=True)]
    padded[-1] = cells[-1]
    return padded


def paragraph(key: str, values: Iterable[str], to: Screen, *, indent: int = 12) -> list[str]:
    """Lines `key: value`, the keys right-aligned as in `systemctl status`; further values stand below the first."""
    lines = []
    lead = f"{key:>{indent}}: "
    for value in values:
        room = to.columns - len(lead)
        wrapped = wrap(printable(value), room) if to.columns and room >= NARROWEST_LAST else [printable(value)]
        for part in wrapped:
            lines.append(lead + part)
            lead = " " * (indent + 2)
    return lines


def moment(seconds: float) -> str:
    """A time of the system clock, for people."""
    import time

    return time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))


def json_text(value: object, style: str) -> str:
    """`value` as JSON, `style` "short" or "pretty"."""
    import json

    if style == "pretty":
        return json.dumps(value, indent="\t", ensure_ascii=True)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def show(lines: Iterable[str], to: Screen, *, pager: bool = True) -> None:
    """Print `lines`, through a pager when they do not fit on the terminal."""
    text = "".join(line + "\n" for line in lines)
    if pager and to.tty and text.count("\n") >= to.rows and _page(text):
        return
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


def pager_command(environment: dict[str, str], *, raised: bool) -> list[str]:
    """The pager to run: $SYSTEMD_PAGER, $PAGER or less; [] for none.

    With `raised` rights (sudo, set-user-ID) only less in its secure mode: a pager can start a shell.
    """
    if raised:
        return ["less"]
    said = environment.get("SYSTEMD_PAGER", environment.get("PAGER"))
    if said is None:
        return ["less"]
    import shlex

    try:
        command = shlex.split(said)
    except ValueError:
        command = []
    return [] if command == ["cat"] else command


def _page(text: str) -> bool:
    """Show `text` in the pager; False when there is none, so that the caller prints."""
    import subprocess

    raised = "SUDO_UID" in os.environ or os.geteuid() != os.getuid()
    command = pager_command(dict(os.environ), raised=raised)
    if not command:
        return False
    environment = dict(os.environ, LESS=os.environ.get("SYSTEMD_LESS", "FRSXMK"))
    if raised:
        environment["LESSSECURE"] = "1"
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    except OSError:
        return False
    try:
        process.communicate(text.encode(errors="backslashreplace"))
    except KeyboardInterrupt:
        # less K: quits on ^C itself; wait for it, so that the terminal is put back.
        process.wait()
        raise
    return process.returncode != 127
