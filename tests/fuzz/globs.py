#  SPDX-License-Identifier: MIT
"""What the globs of Path= in actions and of Hides= in manifests mean."""

from __future__ import annotations


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
