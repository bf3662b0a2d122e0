#  SPDX-License-Identifier: MIT
"""Messages to the journal, and their catalog."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from extension_runtime import log
from extension_runtime.pid1 import journal

CATALOG = Path(__file__).resolve().parents[3] / "catalog" / "extensionctl.catalog"


def test_each_message_is_explained_once() -> None:
    text = CATALOG.read_text()
    explained = re.findall(r"^-- ([0-9a-f]{32})$", text, re.MULTILINE)
    assert sorted(explained) == sorted(journal.MESSAGES.values())
    assert len(set(explained)) == len(explained)
    assert text.count("\nSubject: ") == len(explained)


def test_fields_reach_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[bytes, ...]] = []
    package, module = ModuleType("systemd"), ModuleType("systemd._journal")
    module.sendv = lambda *fields: sent.append(fields)  # type: ignore[attr-defined]
    package._journal = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd", package)
    monkeypatch.setitem(sys.modules, "systemd._journal", module)
    journal.send("merged \udcff", "merged", EXTENSION="e", GENERATION=3, UNIT="")
    fields = [b"EXTENSION=e", b"GENERATION=3", f"MESSAGE_ID={journal.MERGED}".encode(), b"MESSAGE=merged \\xff"]
    assert [sorted(one) for one in sent] == [sorted([*fields, b"PRIORITY=6", b"SYSLOG_IDENTIFIER=extensionctl"])]


def test_without_the_binding_it_is_said_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "systemd", None)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    journal.send("left out", "left-out", log.WARNING, EXTENSION="e")
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    journal.send("left out", "left-out", log.WARNING)
    assert capsys.readouterr().err == "left out\n<4>left out\n"


def test_the_binding_of_the_distribution_is_looked_for_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = ["/run/base/usr/lib/python3/dist-packages"]
    monkeypatch.setattr(sys, "base_prefix", "/run/base/usr")
    monkeypatch.setattr(os.path, "isdir", folders.__contains__)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setitem(sys.modules, "systemd", None)
    journal.load()
    journal.load()
    assert sys.path == [str(tmp_path), *folders]


def test_a_journal_that_cannot_be_reached_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_fields: bytes) -> None:
        raise OSError(2, "No such file or directory")

    package, module = ModuleType("systemd"), ModuleType("systemd._journal")
    module.sendv = refuse  # type: ignore[attr-defined]
    package._journal = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd", package)
    monkeypatch.setitem(sys.modules, "systemd._journal", module)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    journal.send("merged", "merged")
    assert capsys.readouterr().err == "merged\n"
