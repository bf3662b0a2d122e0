#  SPDX-License-Identifier: MIT
"""Reads os-release(5) text, which hosts and images are described in.  Touches no file."""

from __future__ import annotations

from extension_manifests.errors import ImageError, printable

SIZE_MAX = 64 * 1024  # bytes; real ones have less than 1 KiB


def parse(text: str, shown: str) -> dict[str, str]:
    """The assignments of an os-release(5) style file; `shown` is its name for messages.

    As systemd reads it: the last assignment of a key counts, lines that are no assignment are passed over.
    Raises ImageError for a quote that never ends.
    """
    found: dict[str, str] = {}
    number = 0
    for line in text.split("\n"):
        number += 1
        key, equals, value = line.partition("=")
        key = key.strip()
        if not equals or not key or key.startswith(("#", ";")):
            continue
        value = value.strip()
        unquoted = _unquoted(value)
        if unquoted is None:
            raise ImageError(printable(f'{shown}:{number}: the quote in {key}= never ends; write {key}="..."'))
        found[key] = unquoted
    return found


def _unquoted(value: str) -> str | None:
    out: list[str] = []
    quote = ""
    position = 0
    while position < len(value):
        char = value[position]
        position += 1
        if char == "\\" and quote != "'" and position < len(value):
            follows = value[position]
            position += 1
            # Inside double quotes only these four are escaped; elsewhere a backslash takes any character.
            out.append(follows if not quote or follows in '"\\`$' else char + follows)
        elif quote and char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            out.append(char)
    return None if quote else "".join(out)
