#  SPDX-License-Identifier: MIT
"""The lab in which changes of layers are tried."""

from __future__ import annotations

from pathlib import Path

import pytest
from react_lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)
