#  SPDX-License-Identifier: MIT
"""What the tests of verbs share: a root, a transaction that is only noted, and a PID 1."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import extension_runtime.merge
import pytest
from cli_root import Pid1, Result, Root
from extension_runtime.cli import main
from pytest_mock import MockerFixture

FIELDS = ["name", "class", "state", "reason", "image", "version", "hierarchies", "manifest"]
FIELDS += ["overrides", "remarks", "forced"]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def listed(root: Root, capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, dict[str, Any]]]:
    """`extensionctl list --json=short` by name."""

    def run() -> dict[str, dict[str, Any]]:
        assert main.main(["list", f"--root={root.path}", "--json=short"]) == 0
        entries = json.loads(capsys.readouterr().out)
        assert all(list(entry) == FIELDS for entry in entries)
        assert all(entry["reason"] or entry["state"] == "merged" for entry in entries)
        return {entry["name"]: entry for entry in entries}

    return run


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls of transaction.run, which ends with 3."""
    calls: list[tuple[str, str, dict[str, Any]]] = []
    fake = types.ModuleType("extension_runtime.merge.transaction")

    def run(verb: str, root: str, **arguments: Any) -> Result:
        calls.append((verb, root, arguments))
        return Result(3)

    fake.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(extension_runtime.merge, "transaction", fake, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)  # whoever runs the tests
    return calls


@pytest.fixture
def systemd(mocker: MockerFixture) -> Pid1:
    return Pid1(mocker)
