#  SPDX-License-Identifier: MIT
"""What a verb says of itself: a result, or an error."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError


class TransactionError(ExtensionError):
    """The verb failed; what was merged before still is."""


class Result:
    """What a verb did: `exit_code` as in extensionctl(1), `messages` and `steps` a line each."""

    __slots__ = ("exit_code", "messages", "steps")

    def __init__(self, exit_code: int, messages: list[str], steps: list[str]) -> None:
        self.exit_code = exit_code
        self.messages = messages
        self.steps = steps
