#  SPDX-License-Identifier: MIT
"""extensions.conf and the kernel command line."""

from __future__ import annotations

import pytest
from extension_manifests import classes, settings
from extension_manifests.errors import Diagnostic
from extension_manifests.unitfile import parse


def build(text: str = "", cmdline: str = "") -> tuple[settings.Settings, list[str]]:
    diagnostics: list[Diagnostic] = []
    made = settings.build(parse(text, "c"), cmdline, diagnostics)
    return made, [f"{item.severity} {item}" for item in diagnostics]


def test_defaults() -> None:
    made, diagnostics = build()
    assert not diagnostics
    assert (made.enabled, made.refresh_rollback, made.timeout_sec) == (True, True, 90.0)
    for name in classes.HIERARCHIES:
        hierarchy = made.hierarchy(name)
        assert (hierarchy.mode, hierarchy.import_) == ("auto", False)
        assert hierarchy.upper == f"/var/lib/extensions.mutable/{name}"


def test_values() -> None:
    made, diagnostics = build(
        "[Etc]\nMode=ephemeral\nMode=persistent\nUpper=/srv//etc/\n[Usr]\nImport=yes\n[Opt]\nMode=ephemeral\nMode=\n"
        "[Refresh]\nRollback=no\nTimeoutSec=infinity\n"
    )
    assert not diagnostics
    assert (made.etc.mode, made.etc.upper) == ("persistent", "/srv/etc")
    assert made.usr.import_
    assert made.opt.mode == "auto"
    assert not made.refresh_rollback
    assert made.timeout_sec == float("inf")


def test_wrong_values_leave_the_default_and_the_rest() -> None:
    made, diagnostics = build("[Etc]\nMode=rw\nUpper=/etc/x\n[Opt]\nMode=persistent\nUper=/x\n[Var]\nMode=auto\n")
    assert made.etc.mode == "auto"
    assert made.etc.upper == "/var/lib/extensions.mutable/etc"
    assert made.opt.mode == "persistent"
    assert diagnostics == [
        "warning c:6: Uper= is not known in [Opt] and ignored; did you mean Upper?",
        "warning c:8: [Var] is not known, Mode= in it is ignored; write one of [Usr] [Opt] [Etc] [Refresh]",
        'error c:2: Mode= "rw" is not known; write auto or read-only or ephemeral or persistent',
        "error c:3: Upper= lies below /etc, which gets merged over; write a path elsewhere, as below /var/lib",
    ]


@pytest.mark.parametrize(
    ("cmdline", "enabled"),
    [("", True), ("extensions=0", False), ("a extensions=no b", False), ("extensions", True),
     ("extensions=off extensions=1", True),
     ('"extensions=0"', False), ("extensions='0'", False), ("xextensions=0", True), ('quiet "a extensions=0"', True)],
)  # fmt: skip
def test_enabled(cmdline: str, enabled: bool) -> None:
    made, diagnostics = build("", cmdline)
    assert made.enabled is enabled
    assert not diagnostics


def test_cmdline_wins_over_files() -> None:
    made, diagnostics = build(
        "[Etc]\nMode=ephemeral\n", "extensions.etc=persistent extensions.usr=read-only extensions.x=1\n"
    )
    assert not diagnostics
    assert (made.etc.mode, made.usr.mode, made.opt.mode) == ("persistent", "read-only", "auto")


def test_wrong_cmdline_warns() -> None:
    made, diagnostics = build("", "extensions=perhaps extensions.etc=rw")
    assert made.enabled
    assert made.etc.mode == "auto"
    assert diagnostics == [
        'warning /proc/cmdline: extensions= "perhaps" is no boolean; write yes or no',
        'warning /proc/cmdline: extensions.etc= "rw" is not known; write auto or read-only or ephemeral or persistent',
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" a  b\tc\n", ["a", "b", "c"]),
        ("a='b c' \"d'e\"", ["a=b c", "d'e"]),
        ('"" x', ["", "x"]),
        ('"never ends', ["never ends"]),
    ],
)
def test_words_of_the_command_line(text: str, words: list[str]) -> None:
    assert settings.split_cmdline(text) == words
