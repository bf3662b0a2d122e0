#  SPDX-License-Identifier: MIT
"""The steps of a transaction that concern services, around the swap."""

from __future__ import annotations

from extension_runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from extension_runtime.transaction import Transaction


class Reactions:
    """What the change from one state to the next asks of services."""

    def __init__(self, transaction: Transaction, old: dict[str, Any], new: dict[str, Any]) -> None:
        pass

    def before(self) -> Iterator[Step]:
        """Steps before the swap."""
        yield from ()

    def after(self) -> Iterator[Step]:
        """Steps after the swap."""
        yield from ()
