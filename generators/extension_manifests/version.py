#  SPDX-License-Identifier: MIT
"""Version order as `systemd-analyze compare-versions` has it (strverscmp_improved() of systemd, UAPI.10)."""

from __future__ import annotations

DIGITS = frozenset("0123456789")
ALPHA = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
VALID = DIGITS | ALPHA | frozenset("~-^.")


def compare(a: str, b: str) -> int:
    """-1, 0 or 1: `a` is older than, the same as, or newer than `b`."""
    i = j = 0
    # Both ends carry a sentinel that no set above holds.
    a += "\0"
    b += "\0"
    while True:
        while a[i] != "\0" and a[i] not in VALID:
            i += 1
        while b[j] != "\0" and b[j] not in VALID:
            j += 1
        if a[i] == "~" or b[j] == "~":
            if a[i] != b[j]:
                return -1 if a[i] == "~" else 1
            i += 1
            j += 1
        if a[i] == "\0" or b[j] == "\0":
            return sign(ord(a[i]), ord(b[j]))
        for separator in "-^.":
            if a[i] == separator or b[j] == separator:
                if a[i] != b[j]:
                    return -1 if a[i] == separator else 1
                i += 1
                j += 1
        kind = DIGITS if a[i] in DIGITS or b[j] in DIGITS else ALPHA
        end_a, end_b = span(a, i, kind), span(b, j, kind)
        order = compare_segments(a[i:end_a], b[j:end_b], kind is DIGITS)
        if order:
            return order
        i, j = end_a, end_b


def span(text: str, start: int, kind: frozenset[str]) -> int:
    while text[start] in kind:
        start += 1
    return start


def compare_segments(a: str, b: str, numeric: bool) -> int:
    if not numeric:
        return (a > b) - (a < b)
    if not a or not b:
        return bool(a) - bool(b)
    a = a.lstrip("0")
    b = b.lstrip("0")
    return sign(len(a), len(b)) or (a > b) - (a < b)


def sign(a: int, b: int) -> int:
    return (a > b) - (a < b)


class Rank:
    """A sort key; functools.cmp_to_key() would bring in a dozen modules at boot."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: Rank) -> bool:
        return compare(self.text, other.text) < 0


def ordered(names: list[str]) -> list[str]:
    """`names` from oldest to newest; what compares equal is in plain text order."""
    return sorted(sorted(names), key=Rank)
