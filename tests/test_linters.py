"""The linters, run as tests over everything that is Python, the executables without a suffix included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from requirements import lacking

TOP = Path(__file__).resolve().parents[1]
FOLDERS = ("generators", "helpers", "tests", "bench", "demo", "examples")


def _executables() -> list[str]:
    """Python programs whose names do not say so."""
    found = []
    for folder in FOLDERS:
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix == ".py" or not path.is_file():
                continue
            first, _, rest = path.read_bytes().partition(b"\n")
            # What begins as a script for sh and goes on in Python has this on its third line.
            if b"python" in first or b'\n""":"\n' in rest[:100]:
                found.append(str(path.relative_to(TOP)))
    return found


def _tool(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        lacking(f"needs {name}")
    return found


def _run(*argv: str) -> None:
    ran = subprocess.run(argv, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ran.returncode == 0, "\n" + ran.stdout


def test_ruff() -> None:
    folders = [folder for folder in FOLDERS if (TOP / folder).is_dir()]
    _run(_tool("ruff"), "check", "-q", "--no-cache", *folders, *_executables())


def test_ruff_format() -> None:
    folders = [folder for folder in FOLDERS if (TOP / folder).is_dir()]
    _run(_tool("ruff"), "format", "--check", "-q", "--no-cache", *folders, *_executables())


@pytest.mark.parametrize("folder", ["product", "tests"])
def test_mypy(folder: str, tmp_path: Path) -> None:
    product = [
        "generators/extension_generator",
        "generators/extension_manifests",
        "helpers/extension_runtime",
        *_executables(),
    ]
    files = product if folder == "product" else ["tests", "bench"]
    _run(_tool("mypy"), "--cache-dir", str(tmp_path), "--no-error-summary", *files)


def test_shell_scripts_parse() -> None:
    scripts = ["setup", "tests/prepare", ".ci/run", "demo/run"]
    for script in scripts:
        if (TOP / script).exists():
            shell = (TOP / script).read_text().partition("\n")[0].removeprefix("#!")
            _run(shell, "-n", script)
