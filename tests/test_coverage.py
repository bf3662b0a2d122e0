#  SPDX-License-Identifier: MIT
"""What decides and touches nothing can be tested in every case: no line of it is left out by the unit tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rooms import ALL, DECIDES, TOP

LEFT_OUT = """
[run]
branch = False
[report]
exclude_also =
    if TYPE_CHECKING:
    def __repr__
    raise AssertionError
"""


def test_every_line_of_what_decides_is_run(tmp_path: Path) -> None:
    files = [str(ALL[name].relative_to(TOP)) for name in DECIDES]
    settings, data, report = tmp_path / "settings", tmp_path / "data", tmp_path / "report.json"
    settings.write_text(LEFT_OUT)
    coverage = [sys.executable, "-m", "coverage"]
    run = [*coverage, "run", f"--rcfile={settings}", f"--data-file={data}", f"--include={','.join(files)}", "-m"]
    tests = ["pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/unit", "tests/asserts"]
    ran = subprocess.run([*run, *tests], cwd=TOP, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    told = [*coverage, "json", "-q", f"--rcfile={settings}", f"--data-file={data}", f"-o{report}"]
    subprocess.run(told, cwd=TOP, capture_output=True, text=True, check=True)
    found = json.loads(report.read_text())["files"]
    assert set(found) == set(files)
    assert {name: entry["missing_lines"] for name, entry in found.items() if entry["missing_lines"]} == {}
