#  SPDX-License-Identifier: MIT
"""Finds, in few tries, with which of many things a trial begins to fail.  Decides only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def first_failing(fits: int, fails: int, problem: Callable[[int], str], known: str) -> tuple[int, str]:
    """The smallest number of things that fail, and how: the last of them is the one that cannot stay.

    The first `fits` of them are known to be good together, the first `fails` to fail with the problem `known`;
    `problem` tries a number of them and returns "" where that is good.
    """
    while fails - fits > 1:
        middle = (fits + fails) // 2
        tried = problem(middle)
        if tried:
            fails, known = middle, tried
        else:
            fits = middle
    return fails, known
