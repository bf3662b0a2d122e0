#  SPDX-License-Identifier: MIT
"""Action files: reading, precedence and globs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from action_text import FULL, read
from extension_manifests.errors import Diagnostic, ManifestError, reason_of
from extension_manifests.unitfile import Entry, parse
from extension_runtime.react import actionfile
from injected import each_error

SHIPPED = Path(__file__).resolve().parents[3] / "actions"


def test_every_key() -> None:
    found = read(FULL)
    assert found.paths == ("/usr/lib/a/*.conf", "/etc/a/", "/opt/**/x")
    assert found.on == ("merge", "refresh")
    assert found.exec == ("/usr/bin/tool", "--flag", "two words", "%n")
    assert (found.restart, found.reload, found.start) == (("a.service",), ("b.service",), ("c.service",))
    assert (found.boot, found.append, found.daemon_reload, found.order) == (True, True, True, -5)
    assert (found.exists, found.writable) == (("/usr/bin/tool",), ("/etc",))


def test_defaults_and_resets() -> None:
    found = read("[Trigger]\nPath=/a\nPath=\nPath=/b\nOn=merge\nOn=\n[Action]\nExec=/x\nOrder=3\nOrder=\n")
    assert found.paths == ("/b",)
    assert found.on == ("merge", "refresh", "unmerge")
    assert (found.order, found.boot, found.append) == (50, False, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Action]\nExec=/x\n", "/d/demo.action: nothing triggers it"),
        ("[Trigger]\nPath=/x\n", "/d/demo.action: it does nothing"),
        ("[Trigger]\nPath=x\n", '/d/demo.action:2: Path= has "x"; write an absolute path'),
        ("[Trigger]\nOn=boot\n", '/d/demo.action:2: On= has "boot"; write merge'),
        ("[Trigger]\nBoot=maybe\n", '/d/demo.action:2: Boot= is "maybe"; write yes or no'),
        ("[Action]\nExec=tool\n", '/d/demo.action:2: Exec= starts with "tool"; write the absolute path'),
        ("[Action]\nExec='/x\n", "/d/demo.action:2: Exec= has a quote that does not end"),
        ("[Action]\nRestart=nginx\n", '/d/demo.action:2: Restart= has "nginx"; write the name of a unit'),
        ("[Trigger]\nPath=/a/ [z-a]*\n", '/d/demo.action:2: Path= has "[z-a]*"; write an absolute path'),
        ("[Trigger]\nPath=/a/ /[z-a]*\n", '/d/demo.action:2: Path= has "/[z-a]*"; z-a in it is no range, write a-z'),
        ("[Trigger]\n\nPath=/b/[\n", '/d/demo.action:3: Path= has "/b/["; end the set with "]"'),
        ("[Action]\nOrder=first\n", '/d/demo.action:2: Order= is "first"; write a whole number'),
        ("[Action]\nAppend=all\n", '/d/demo.action:2: Append= is "all"; write existing or none'),
    ],
)
def test_wrong_values(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(message)):
        read(text)


@pytest.mark.parametrize("text", ["--1", "-", "+5", "1" * 10, "9" * 5000, "1_000", "\u0661", "1.5", "0x10"])
def test_an_order_that_is_no_number(text: str) -> None:
    said = f'/d/demo.action:2: Order= is "{text[:80]}"; write a whole number of at most 9 digits'
    with pytest.raises(ManifestError, match=re.escape(said)):
        read(f"[Action]\nOrder={text}\n")


@each_error
def test_whatever_happens_over_one_action_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    folder = tmp_path / "etc/extensions.d"
    folder.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (folder / f"{name}.action").write_text("[Trigger]\nPath=/x\n[Action]\nExec=/x\n")
    original = actionfile.build

    def build(name: str, path: str, entries: list[Entry], warnings: list[Diagnostic]) -> actionfile.Action:
        if name == "b":
            raise error
        return original(name, path, entries, warnings)

    monkeypatch.setattr(actionfile, "build", build)
    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "debug")
    found, diagnostics = actionfile.load(str(tmp_path))
    assert [item.name for item in found] == ["a", "c"]
    assert [str(item) for item in diagnostics] == [f"/etc/extensions.d/b.action: {reason_of(error)}"]
    assert " in build\n" in capsys.readouterr().err


def test_unknown_keys_warn() -> None:
    warnings: list[Diagnostic] = []
    entries = parse("[Trigger]\nPath=/x\nBogus=1\n[Action]\nExec=/x\n", "/p")
    actionfile.build("demo", "/p", entries, warnings)
    assert [str(item) for item in warnings] == [
        "/p:3: [Trigger] Bogus= is not known and ignored; see ACTIONS in extension(5)"
    ]


def test_precedence_masks_and_one_broken_file(tmp_path: Path) -> None:
    vendor, local = tmp_path / "usr/lib/extensions.d", tmp_path / "etc/extensions.d"
    vendor.mkdir(parents=True)
    local.mkdir(parents=True)
    good = "[Trigger]\nPath=/x\n[Action]\nExec=/vendor\nOrder=%s\n"
    for name, order in (("b", 1), ("a", 1), ("late", 9), ("masked", 1), ("replaced", 1)):
        (vendor / f"{name}.action").write_text(good % order)
    (vendor / "broken.action").write_text("[Trigger]\nPath=x\n")
    (local / "masked.action").symlink_to("/dev/null")
    (local / "replaced.action").write_text("[Trigger]\nPath=/x\n[Action]\nExec=/local\n")
    (local / "late.action.d").mkdir()
    (local / "late.action.d" / "10.conf").write_text("[Action]\nExec=/dropin\n")
    found, diagnostics = actionfile.load(str(tmp_path))
    assert [item.name for item in found] == ["a", "b", "late", "replaced"]
    assert [item.exec[0] for item in found] == ["/vendor", "/vendor", "/dropin", "/local"]
    assert [str(item) for item in diagnostics] == [
        '/usr/lib/extensions.d/broken.action:2: Path= has "x"; write an absolute path'
    ]


def test_shipped_actions_are_right() -> None:
    diagnostics: list[Diagnostic] = []
    for file in sorted(SHIPPED.iterdir()):
        actionfile.build(file.stem, str(file), parse(file.read_text(), str(file)), diagnostics)
    assert diagnostics == []
    assert {file.suffix for file in SHIPPED.iterdir()} == {".action"}


def test_a_command_has_an_end() -> None:
    longest = "/x " + "a" * (actionfile.COMMAND_MAX - 3)
    assert read(f"[Trigger]\nPath=/x\n[Action]\nExec={longest}\n").exec == ("/x", longest[3:])
    with pytest.raises(ManifestError, match=f"Exec= has more than {actionfile.COMMAND_MAX} characters; write a script"):
        read(f"[Trigger]\nPath=/x\n[Action]\nExec={longest}a\n")
