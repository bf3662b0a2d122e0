#  SPDX-License-Identifier: MIT
"""Which of many things is the first to fail, in few tries."""

from __future__ import annotations

from math import ceil, log2

import pytest
from extension_runtime.merge.halves import first_failing


@pytest.mark.parametrize("fails", [1, 2, 3, 8, 33, 100])
def test_it_is_found_wherever_it_is_and_in_few_tries(fails: int) -> None:
    for fits in range(fails):
        for culprit in range(fits + 1, fails + 1):
            tried: list[int] = []

            def problem(count: int, tried: list[int] = tried, culprit: int = culprit) -> str:
                tried.append(count)
                return f"with {count}" if count >= culprit else ""

            number, said = first_failing(fits, fails, problem, f"with {fails}")
            assert (number, said) == (culprit, f"with {culprit}")
            assert len(tried) <= ceil(log2(fails - fits)) if fails - fits > 1 else not tried
            assert all(fits < count < fails for count in tried)


def test_the_problem_that_is_known_is_told_when_no_smaller_number_fails() -> None:
    assert first_failing(0, 1, lambda _count: "never asked", "known") == (1, "known")
    assert first_failing(0, 4, lambda _count: "", "known") == (4, "known")
