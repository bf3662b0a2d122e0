#  SPDX-License-Identifier: MIT
"""The /proc of a test."""

from __future__ import annotations

from pathlib import Path

import pytest
from stale_proc import Proc


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)
