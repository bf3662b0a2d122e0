#  SPDX-License-Identifier: MIT
"""extensionctl history: a table, and as data."""

from __future__ import annotations

import json

import pytest
from cli_root import Root
from extension_runtime.cli import main


def test_history_is_a_table_with_the_reasons(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    root.merged()
    path = root.path / "run/extensionctl/state.json"
    merge = json.loads(path.read_text())
    entry = {"verb": "refresh", "result": "rolled-back", "reason": "web.service: failed", "when": 0, "generation": 3}
    path.write_text(json.dumps({**merge, "history": [entry]}))
    assert main.main(["history", f"--root={root.path}"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["WHEN", "GENERATION", "VERB", "RESULT", "REASON"]
    assert row.endswith("3           refresh  rolled-back  web.service: failed")
    assert main.main(["history", "--json=short", f"--root={root.path}"]) == 0
    assert json.loads(capsys.readouterr().out) == [entry]
