#  SPDX-License-Identifier: MIT
"""extensionctl list: what people read."""

from __future__ import annotations

import pytest
from cli_root import Root
from extension_runtime.cli import main


def test_list_for_people(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([f"--root={root.path}", "list"]) == 0
    assert capsys.readouterr().out == "No extensions.\n"
    root.merged(one={})
    root.manifest("one")
    assert main.main([f"--root={root.path}", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "CLASS", "STATE", "VERSION", "HIERARCHIES", "REASON"]
    assert lines[1].split() == ["one", "sysext", "merged", "1.0", "/usr", "-"]
    assert lines[2:] == ["", "1 extension listed."]
    assert main.main([f"--root={root.path}", "list", "--no-legend"]) == 0
    assert capsys.readouterr().out == "one  sysext  merged  1.0  /usr  -\n"
