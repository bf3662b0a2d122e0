#  SPDX-License-Identifier: MIT
"""Trees NN-name/{etc,run,usr,proc}: the units of run.expected come out, and the log of log.expected.

`python3 tests/golden/test_golden.py` writes the expectations anew; read the difference before you commit it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GENERATOR = HERE.parent.parent / "generators/extensions-generator"
CASES = sorted(path.name for path in HERE.iterdir() if path.name[:2].isdigit())


def tree(directory: Path) -> dict[str, str]:
    """Relative path to text; a link as "-> target"."""
    out = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            out[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            out[name] = path.read_text()
    return out


def run(case: str, *directories: Path) -> tuple[int, str]:
    """Exit status and log, process numbers removed."""
    done = subprocess.run(
        [str(GENERATOR), *map(str, directories)],
        env={"EXTENSIONS_ROOT": str(HERE / case), "PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b""
    lines = done.stderr.decode().splitlines()
    for line in lines:
        assert ">extensions-generator[" in line
    return done.returncode, "".join(line[:3] + line.partition("]:")[2] + "\n" for line in lines)


@pytest.mark.parametrize("case", CASES)
def test_tree(case: str, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    status, log = run(case, first)
    expected_log = HERE / case / "log.expected"
    assert log == (expected_log.read_text() if expected_log.exists() else "")
    assert status == (1 if "<3>" in log else 0)
    assert tree(first) == tree(HERE / case / "run.expected")
    # Three directories, and a second run, give the same.
    second = [tmp_path / name for name in ("normal", "early", "late")]
    for directory in second:
        directory.mkdir()
    assert run(case, *second) == (status, log)
    assert tree(second[0]) == tree(first)
    assert tree(second[1]) == tree(second[2]) == {}


def write() -> None:
    for case in CASES:
        expected = HERE / case / "run.expected"
        shutil.rmtree(expected, ignore_errors=True)
        with tempfile.TemporaryDirectory() as scratch:
            # A directory of its own: the scratch one is for its maker alone, and the copy would be, too.
            made = Path(scratch) / "made"
            made.mkdir()
            _, log = run(case, made)
            if any(made.iterdir()):
                shutil.copytree(made, expected, symlinks=True)
        (HERE / case / "log.expected").unlink(missing_ok=True)
        if log:
            (HERE / case / "log.expected").write_text(log)


if __name__ == "__main__":
    write()
