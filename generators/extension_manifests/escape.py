#  SPDX-License-Identifier: MIT
"""All escaping: unit names (systemd-escape(1)), specifiers and quotes of unit files, options of mount units."""

from __future__ import annotations

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
UNIT_PLAIN = LETTERS | frozenset(":_.")
OPTION_PLAIN = LETTERS | frozenset("/:._=+@-")
IMAGE_ROOT = "/run/extension"
BASE_ROOT = "/run/extensionctl/base"
"""Where the running machine's hierarchies are bound without extensions; for root only."""


class _Escapes(dict[int, str]):
    """For str.translate(): one byte a character (latin-1), all but what is `kept` as \\xNN, each made when it is met:
    whoever imports this may need none of them."""

    __slots__ = ("kept",)

    def __init__(self, kept: frozenset[str], **others: str) -> None:
        super().__init__({ord(char): text for char, text in others.items()})
        self.kept = kept

    def __missing__(self, code: int) -> str:
        char = chr(code)
        text = self[code] = char if char in self.kept else f"\\x{code:02x}"
        return text


UNIT_TABLE = _Escapes(UNIT_PLAIN, **{"/": "-"})
OPTION_TABLE = _Escapes(OPTION_PLAIN)


def _translate(text: str, table: dict[int, str]) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text.translate(table)


def escape(text: str) -> str:
    """As `systemd-escape TEXT`: "/" becomes "-", what a unit name must not hold becomes \\xNN."""
    escaped = _translate(text, UNIT_TABLE)
    return "\\x2e" + escaped[1:] if text.startswith(".") else escaped


def unescape(text: str) -> str:
    """As `systemd-escape --unescape TEXT`. Raises ValueError for a backslash that starts no \\xNN."""
    return decode(text.replace("-", "/"))


def decode(text: str) -> str:
    """Undoes `option` (and the \\xNN of `escape`). Raises ValueError for a backslash that starts no \\xNN."""
    head, *rest = text.split("\\")
    out = bytearray(head.encode("utf-8", "surrogateescape"))
    for piece in rest:
        digits = piece[1:3]
        if piece[:1] != "x" or len(digits) != 2 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            raise ValueError(f"no \\xNN at \\{piece[:3]}")
        out.append(int(digits, 16))
        out += piece[3:].encode("utf-8", "surrogateescape")
    return out.decode("utf-8", "surrogateescape")


def unit_name_from_path(path: str, suffix: str) -> str:
    """As `systemd-escape --path --suffix=SUFFIX PATH`; `suffix` has no dot. Raises ValueError for a path with ".."."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"{path} is not normalized")
    return (escape("/".join(parts)) if parts else "-") + "." + suffix


def mount_unit(name: str) -> str:
    """The unit that attaches the image of extension `name`."""
    return unit_name_from_path(f"{IMAGE_ROOT}/{name}", "mount")


def service_unit(name: str) -> str:
    """The unit that stands for extension `name` once it is merged; a valid name needs no escaping in an instance."""
    return f"extension@{name}.service"


def percent(text: str) -> str:
    """`text` as a literal where a unit file expands specifiers."""
    return text.replace("%", "%%")


def quote(text: str) -> str:
    """`text` as one word of a unit file's list, specifiers escaped."""
    if text and OPTION_PLAIN.issuperset(text):
        return text
    return '"' + percent(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def option(text: str) -> str:
    """`text` as the value of a mount option: no comma, quote, blank or "%" is left, so neither PID 1 nor mount(8)
    sees anything to interpret. `decode` undoes it."""
    return _translate(text, OPTION_TABLE)


def line_value(text: str) -> str:
    """`text` as the right side of an assignment: a backslash at its end would continue the line."""
    trailing = len(text) - len(text.rstrip("\\"))
    return text + " " if trailing % 2 else text
