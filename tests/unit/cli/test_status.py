#  SPDX-License-Identifier: MIT
"""extensionctl status: for people and as data."""

from __future__ import annotations

import json

import pytest
from cli_root import Root
from extension_runtime.cli import main


def test_status(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    root.manifest("one")
    root.manifest("lost")
    root.write("etc/extensions.d/extensions.conf", "[Usr]\nMode=ephemeral\n")
    root.merged(one={}, two={"reason": "kept at 1.0"})
    assert main.main([f"--root={root.path}"]) == 0
    text = capsys.readouterr().out
    assert "Extensions: 2 merged, 1 failed" in text
    assert "Generation: 3" in text
    assert "/usr: merged, read-only (mode auto, ephemeral from the next refresh on)" in text
    assert "two > one" in text
    assert "/etc: not merged (mode auto)" in text
    assert "Failed: lost: " in text
    assert main.main([f"--root={root.path}", "status", "--json=short"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hierarchies"][0]["layers"] == ["two", "one"]
    assert [entry["name"] for entry in found["failed"]] == ["lost"]
