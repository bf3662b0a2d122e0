#  SPDX-License-Identifier: MIT
"""Makes texts: of the words that a reader knows, of files in this repository, and spoiled at random places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random

TOP = Path(__file__).resolve().parents[2]

JUNK = [
    *" \t\n\r\\\"'%=[]{}()#;:/.,-_@~^+*?!<>|&$`0123456789aAzZxnul",
    "\0", "\x01", "\x1b", "\x7f", "\x85", "\xa0", "\u2028", "\u200b", "\ufeff", "\ufffd", "é", "ß", "İ", "٣", "²", "☃",
    "\U0001f600", "\ud800", "\udcff", "\udcc3\udca9", "\r\n", "\\\n", "\\x2d", "\\", "\\\\", "..", "//", "**", "%%",
    "%i", "\n[", "]\n", "=\n", "\n\n", "\x0b", "\x0c", "\x1c", "99999999999999999999", "-1", "1e999", "NaN",
]  # fmt: skip


@cache
def files(*patterns: str) -> tuple[str, ...]:
    """The texts of the files of this repository that fit, in the order of their paths."""
    found = sorted({path for pattern in patterns for path in TOP.glob(pattern) if path.is_file()})
    return tuple(path.read_bytes().decode(errors="replace") for path in found)


def spoil(rng: Random, text: str, words: Sequence[str], others: Sequence[str] = ()) -> str:
    """`text` with one to a few changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = int(rng.random() * (len(text) + 1))
        end = min(len(text), at + rng.choice((1, 1, 1, 2, 4, 16, 64)))
        kind = rng.random()
        if kind < 0.25:
            text = text[:at] + rng.choice(JUNK) + text[at:]
        elif kind < 0.45:
            text = text[:at] + rng.choice(JUNK) + text[end:]
        elif kind < 0.6:
            text = text[:at] + text[end:]
        elif kind < 0.7:
            text = text[:at] + text[at:end] * rng.choice((2, 3, 8, 100)) + text[end:]
        elif kind < 0.85 and words:
            text = text[:at] + rng.choice(words) + text[at if kind < 0.78 else end :]
        elif kind < 0.92:
            start = int(rng.random() * (len(text) + 1))
            text = text[:at] + text[start : start + rng.choice((1, 8, 80))] + text[end:]
        elif kind < 0.96 and others:
            other = rng.choice(others)
            start = int(rng.random() * (len(other) + 1))
            text = text[:at] + other[start : start + 200] + text[end:]
        else:
            lines = text.split("\n")
            one, two = int(rng.random() * len(lines)), int(rng.random() * len(lines))
            lines[one], lines[two] = lines[two], lines[one]
            text = "\n".join(lines)
    return text


def blow_up(rng: Random, text: str, words: Sequence[str], limit: int) -> str:
    """About `limit` characters: `text` with a piece of it, a word or a sign repeated."""
    if text and rng.random() < 0.5:
        # Where it stands: what is a list, a number or a path goes on as such.
        begin = int(rng.random() * len(text))
        end = min(len(text), begin + rng.choice((1, 2, 3, 4, 8, 16, 80)))
        if rng.random() < 0.3:
            begin = text.rfind("\n", 0, begin) + 1
            end = text.find("\n", begin) + 1 or len(text)
        return (text[:begin] + text[begin:end] * ((limit - len(text)) // (end - begin) + 1) + text[end:])[:limit]
    lines = text.split("\n")
    piece = rng.choice(
        (
            lambda: text,
            lambda: rng.choice(lines) + "\n",
            lambda: rng.choice(lines),
            lambda: rng.choice(JUNK),
            lambda: rng.choice(words) if words else "a",
            lambda: (rng.choice(words) if words else "a") + rng.choice((" ", "\n", "\\\n", "=\n", "/", "-")),
            lambda: rng.choice(JUNK) + rng.choice(JUNK),
            lambda: rng.choice(JUNK) + rng.choice(JUNK) + "\n",
        )
    )()
    piece = piece or "a"
    at = rng.choice((0, len(text), int(rng.random() * (len(text) + 1))))
    return (text[:at] + piece * (max(0, limit - len(text)) // len(piece)) + text[at:])[:limit]


def some(rng: Random, make: Callable[[], str], most: int, between: str = "") -> str:
    """Up to `most` of what `make` makes."""
    return between.join([make() for _ in range(int(rng.random() * (most + 1)))])


def word(rng: Random, words: Sequence[str], odds: float = 0.1) -> str:
    """One of `words`, sometimes rubbish instead."""
    if rng.random() < odds:
        return some(rng, lambda: rng.choice(JUNK), 6)
    return rng.choice(words)


def readable(text: str) -> str:
    """What a reader of files hands over for this: UTF-8 without NUL."""
    return text if text.isascii() and "\0" not in text else text.replace("\0", "").encode(errors="replace").decode()


def argument(text: str) -> str:
    """What the interpreter makes of this as an argument or the name of a file."""
    return text.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
