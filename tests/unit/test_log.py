#  SPDX-License-Identifier: MIT
"""A line has its priority in front where the journal reads it, and nothing fails for want of a reader."""

from __future__ import annotations

import io
import sys

import pytest
from extension_runtime import log


@pytest.mark.parametrize("stream", [None, "", "8:1"])
def test_the_priority_is_for_the_journal(
    stream: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if stream is not None:
        monkeypatch.setenv("JOURNAL_STREAM", stream)
    assert log.to_journal() is (stream is not None)
    log.line("größe")
    log.line("bad", log.ERROR)
    assert capsys.readouterr().err == ("größe\nbad\n" if stream is None else "<6>größe\n<3>bad\n")


def test_priorities_are_those_of_syslog() -> None:
    assert (log.ERROR, log.WARNING, log.NOTICE, log.INFO) == (3, 4, 5, 6)


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_what_cannot_be_told_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    log.line("lost")
