#  SPDX-License-Identifier: MIT
"""What a verb says of itself."""

from __future__ import annotations

from extension_manifests.errors import ExtensionError
from extension_runtime.merge.result import Result, TransactionError


def test_a_result_has_an_exit_status_and_lines() -> None:
    result = Result(3, ["refresh done"], ["stage /usr"])
    assert (result.exit_code, result.messages, result.steps) == (3, ["refresh done"], ["stage /usr"])


def test_a_failure_is_told_as_one_of_ours() -> None:
    assert issubclass(TransactionError, ExtensionError)
    # Only what was taken back on purpose is told as that.
    assert getattr(TransactionError("x"), "outcome", "failed") == "failed"
