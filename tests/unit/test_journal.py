#  SPDX-License-Identifier: MIT
"""Messages to the journal, and their catalog."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from extension_runtime import log
from extension_runtime.pid1 import journal

CATALOG = Path(__file__).resolve().parents[2] / "catalog" / "extensionctl.catalog"


def test_each_message_is_explained_once() -> None:
    text = CATALOG.read_text()
    explained = re.findall(r"^-- ([0-9a-f]{32})$", text, re.MULTILINE)
    assert sorted(explained) == sorted(journal.MESSAGES.values())
    assert len(set(explained)) == len(explained)
    assert text.count("\nSubject: ") == len(explained)


def test_fields_reach_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    package, module = ModuleType("systemd"), ModuleType("systemd.journal")
    module.send = lambda text, **fields: sent.append((text, fields))  # type: ignore[attr-defined]
    package.journal = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd", package)
    monkeypatch.setitem(sys.modules, "systemd.journal", module)
    journal.send("merged", "merged", EXTENSION="e", GENERATION=3, UNIT="")
    fields = {"EXTENSION": "e", "GENERATION": "3", "MESSAGE_ID": journal.MERGED}
    assert sent == [("merged", {"PRIORITY": "6", "SYSLOG_IDENTIFIER": "extensionctl", **fields})]


def test_without_the_binding_it_is_said_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "systemd", None)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    journal.send("left out", "left-out", log.WARNING, EXTENSION="e")
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    journal.send("left out", "left-out", log.WARNING)
    assert capsys.readouterr().err == "left out\n<4>left out\n"
