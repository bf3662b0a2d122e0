#  SPDX-License-Identifier: MIT
"""Whatever is raised over one thing becomes one line about it, and a trace for who asked for traces."""

from __future__ import annotations

import pytest
from extension_manifests.errors import ImageError
from extension_runtime import boundary

HAPPENED = "this should not have happened: ValueError: bad; SYSTEMD_LOG_LEVEL=debug shows where"


def raised(error: Exception) -> Exception:
    """`error` as it is when it comes from somewhere."""
    try:
        raise error
    except Exception as found:
        return found


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImageError("/a: is bad"), "/a: is bad"),
        (OSError(5, "Input/output error", "/b"), "/b: Input/output error"),
        (OSError(5, "Input/output error", b"/b\xff"), "/b\ufffd: Input/output error"),
        (OSError(5, "Input/output error"), "it: Input/output error"),
        (OSError(), "it: OSError"),
        (MemoryError(), "it: needs more memory than there is"),
        (RecursionError("maximum"), "it: is nested too deep"),
        (ValueError("bad"), f"it: {HAPPENED}"),
        (ValueError(), f"it: {HAPPENED}".replace(": bad", "")),
        (ValueError("a\nb"), f"it: {HAPPENED}".replace("bad", "a\\x0ab")),
    ],
)
def test_the_reason_is_one_line(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SYSTEMD_LOG_LEVEL", raising=False)
    assert boundary.reason(raised(error), "it") == reason
    assert boundary.reason(raised(error)) == reason.removeprefix("it: ")
    assert capsys.readouterr().err == ""


def test_a_trace_is_told_at_debug_level_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "debug")
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    boundary.reason(raised(ValueError("bad")), "it")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"<7>it: {HAPPENED}"
    assert lines[1].startswith(f"<7>  {__file__}:")
    assert lines[1].endswith(" in raised")
    boundary.reason(raised(ImageError("on purpose")), "it")
    assert capsys.readouterr().err == ""


def test_a_trace_has_an_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def deeper(number: int) -> int:
        return deeper(number + 1) + 1

    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "7")
    try:
        deeper(0)
    except RecursionError as error:
        boundary.reason(error)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 * boundary.FRAMES + 2
    assert sum(" more ..." in line for line in lines) == 1
