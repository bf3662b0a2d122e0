#  SPDX-License-Identifier: MIT
"""Property tests leave nothing behind: a checkout may be read-only, and no run decides what the next one tries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import settings

TOP = Path(__file__).resolve().parents[2]


def test_no_examples_are_kept() -> None:
    assert settings().database is None


def test_a_place_that_cannot_be_written_to_is_no_matter(tmp_path: Path) -> None:
    """For root, too, which can write to a folder whatever its mode: there is a file where the folder would be made."""
    (tmp_path / ".hypothesis").touch()
    test = TOP / "tests/unit/image/test_formats.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={TOP}", "-k", "own_error"]
    ran = subprocess.run(
        [*command, "-c", TOP / "pyproject.toml", test], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout
