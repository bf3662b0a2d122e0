#  SPDX-License-Identifier: MIT
"""extensionctl plan: the order of layers and the steps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_root import Root
from extension_runtime.cli import main


def test_plan_says_the_order_and_the_steps(
    root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    root.manifest("a")
    root.manifest("b")
    main.main(["plan", f"--root={root.path}"])
    assert ran[0][2]["dry_run"] is True
    assert "Layers: b > a\n  1. first" in capsys.readouterr().out


def test_plan_as_data_and_without_the_order(
    root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    root.manifest("a")
    root.manifest("b")
    assert main.main(["plan", f"--root={root.path}", "--json=short"]) == 3
    assert json.loads(capsys.readouterr().out) == {
        "layers": ["b", "a"],
        "steps": ["first", "second"],
        "messages": ["a message"],
    }
    assert main.main(["plan", f"--root={root.path}", "--no-legend"]) == 3
    assert capsys.readouterr().out == "  1. first\n  2. second\na message\n"
    assert len(ran) == 2
