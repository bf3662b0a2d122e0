#  SPDX-License-Identifier: MIT
"""The globs of Path= in actions: the one place that knows what matches them, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable

from extension_runtime.react import actionfile


def matcher(glob: str) -> Callable[[str], bool]:
    """What the product matches paths with."""
    expression = re.compile(actionfile.pattern(glob), re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def means(glob: str, path: str) -> bool:
    """Whether `glob` matches `path` by what extension(5) says, slowly: the set of places in `path` that are reached."""
    places = {0}
    at = 0
    while at < len(glob) and places:
        char = glob[at]
        if glob.startswith("**", at):
            places = {end for place in places for end in range(place, len(path) + 1)}
            at += 2
        elif char == "*":
            places = {
                end for place in places for end in range(place, len(path) + 1) if "/" not in path[place:end]
            }  # fmt: skip
            at += 1
        elif char == "?":
            places = {place + 1 for place in places if path[place : place + 1] not in ("", "/")}
            at += 1
        else:
            places = {place + 1 for place in places if path[place : place + 1] == char}
            at += 1
    return len(path) in places or (glob.endswith("/") and bool(places))
