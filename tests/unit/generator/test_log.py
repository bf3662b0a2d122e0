#  SPDX-License-Identifier: MIT
"""Where the generator logs to, and what one line looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_generator.log import DEBUG, ERROR, INFO, WARNING, Log


def logged(environ: dict[str, str], booting: bool, kmsg: Path) -> None:
    log = Log(environ, booting, str(kmsg))
    for priority, text in ((ERROR, "bad"), (WARNING, "odd"), (INFO, "fine"), (DEBUG, "much")):
        log.write(priority, text)


def line(priority: int, text: str) -> str:
    return f"<{priority}>extensions-generator[{os.getpid()}]: {text}\n"


@pytest.mark.parametrize("environ", [{}, {"SYSTEMD_LOG_TARGET": "console"}, {"SYSTEMD_LOG_TARGET": "auto"}])
def test_standard_error_by_hand(environ: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kmsg = tmp_path / "kmsg"
    kmsg.touch()
    logged(environ, False, kmsg)
    assert capfd.readouterr().err == line(3, "bad") + line(4, "odd") + line(6, "fine")
    assert kmsg.read_text() == ""


@pytest.mark.parametrize(
    ("environ", "booting"),
    [
        ({}, True),
        ({"SYSTEMD_LOG_TARGET": "journal-or-kmsg"}, True),
        ({"SYSTEMD_LOG_TARGET": "journal"}, True),
        ({"SYSTEMD_LOG_TARGET": "kmsg"}, False),
    ],
)
def test_kernel_log(environ: dict[str, str], booting: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kmsg = tmp_path / "kmsg"
    kmsg.touch()
    logged(environ, booting, kmsg)
    # With the facility, or the kernel counts the line as its user's.
    assert line(24 + 3, "bad") not in capfd.readouterr().err
    assert kmsg.read_text().startswith("<")
    assert kmsg.read_text().rstrip("\n").endswith("fine")


def test_falls_back_when_there_is_no_kernel_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logged({}, True, tmp_path / "missing/kmsg")
    assert line(3, "bad") in capfd.readouterr().err


def test_falls_back_when_the_kernel_log_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    logged({}, True, Path("/dev/full"))
    assert capfd.readouterr().err == line(3, "bad") + line(4, "odd") + line(6, "fine")


def test_records_fit_the_kernel(tmp_path: Path) -> None:
    kmsg = tmp_path / "kmsg"
    kmsg.touch()
    Log({}, True, str(kmsg)).write(ERROR, "é" * 5000)
    assert kmsg.stat().st_size < 976
    assert kmsg.read_text().endswith("é...\n")


@pytest.mark.parametrize(
    ("level", "count"),
    [("debug", 4), ("info", 3), ("warning", 2), ("err", 1), ("3", 1), ("7", 4), ("emerg", 0), ("null", 0), ("odd", 3)],
)
def test_levels(level: str, count: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logged({"SYSTEMD_LOG_LEVEL": level}, False, tmp_path)
    assert capfd.readouterr().err.count("\n") == count


def test_null_target(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logged({"SYSTEMD_LOG_TARGET": "null"}, True, tmp_path)
    assert capfd.readouterr().err == ""
