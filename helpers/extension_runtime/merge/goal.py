#  SPDX-License-Identifier: MIT
"""What is asked of a transaction, and what it comes to."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_runtime.merge.choose import Choice
    from extension_runtime.merge.state import State
    from extension_runtime.merge.wanted import Wanted


class Order:
    """What is asked for: `verb` (merge, refresh, unmerge or rollback) and how.

    `always`: also where no change is seen.  `boot`: PID 1 has attached the images already, and nothing is waited for.
    """

    __slots__ = ("always", "boot", "dry_run", "verb")

    def __init__(self, verb: str, *, dry_run: bool = False, always: bool = False, boot: bool = False) -> None:
        self.verb = verb
        self.dry_run = dry_run
        self.always = always
        self.boot = boot


class Goal:
    """What a verb comes to: the `choices`, what is `wanted` over each hierarchy, and the `new` state.

    `changed` is false where that is what was there before.
    """

    __slots__ = ("changed", "choices", "new", "wanted")

    def __init__(self, choices: list[Choice], wanted: list[Wanted], new: State, changed: bool) -> None:
        self.choices = choices
        self.wanted = wanted
        self.new = new
        self.changed = changed
