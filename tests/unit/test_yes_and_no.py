#  SPDX-License-Identifier: MIT
"""Yes and no are read one way everywhere, that of parse_boolean() of systemd."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests import manifest, settings
from extension_manifests.unitfile import parse
from extension_runtime.cli import table
from extension_runtime.image import content, request
from extension_runtime.layers.listing import sources
from extension_runtime.layers.lookup import Layer
from extension_runtime.layers.tree import View
from extension_runtime.react import actionfile, requested
from extension_runtime.react.unitfiles import UnitFiles
from extension_runtime.react.wish import Change

TOP = Path(__file__).resolve().parents[2]
WORDS = {
    **dict.fromkeys(("1", "yes", "y", "true", "t", "on", "YES", "True"), True),
    **dict.fromkeys(("0", "no", "n", "false", "f", "off", "NO", "False"), False),
}


def in_manifest(word: str, _path: Path) -> bool:
    return manifest.build("e", "e.extension", parse(f"[Extension]\nNoExec={word}\n", "e.extension"), []).noexec


def in_settings(word: str, _path: Path) -> bool:
    return settings.build(parse(f"[Etc]\nImport={word}\n", "extensions.conf"), "", []).etc.import_


def on_the_command_line(word: str, _path: Path) -> bool:
    return settings.build([], f"extensions={word}", []).enabled


def in_an_action(word: str, _path: Path) -> bool:
    text = f"[Trigger]\nPath=/usr/x\nBoot={word}\n[Action]\nStart=a.service\n"
    return actionfile.build("a", "a.action", parse(text, "a.action"), []).boot


def in_a_unit(word: str, path: Path) -> bool:
    file = path / "lib/systemd/system/a.service"
    file.parent.mkdir(parents=True)
    file.write_text(f"[Unit]\nRefuseManualStop={word}\n")
    _old, new = sources([], [Layer("e", str(path))], None)
    return UnitFiles(View({"usr": new})).says("a.service", "RefuseManualStop")


def in_a_release_file(word: str, _path: Path) -> bool:
    return requested.reload_manager(Change("merge", added=["e"], release={"e": {requested.RELOAD_FIELD: word}}))


def in_an_attribute(word: str, _path: Path) -> bool:
    return content.strict(word.encode())


def of_colours(word: str, _path: Path) -> bool:
    return table.wants_colours(False, {"SYSTEMD_COLORS": word})


@pytest.mark.parametrize(
    "place",
    [
        in_manifest, in_settings, on_the_command_line, in_an_action, in_a_unit, in_a_release_file, in_an_attribute,
        of_colours,
    ],
)  # fmt: skip
def test_every_spelling_counts_everywhere(place: Callable[[str, Path], bool], tmp_path: Path) -> None:
    assert {word: place(word, tmp_path / word) for word in WORDS} == WORDS


def test_nothing_else_reads_them() -> None:
    """Whoever spells "true" reads or writes booleans: only the one reader does."""
    spelled = {
        str(path.relative_to(TOP))
        for folder in ("generators", "helpers")
        for path in (TOP / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == "true"
    }
    assert spelled == {"generators/extension_manifests/values.py"}


@pytest.mark.parametrize("classes", [("sysext",), ("confext",), ("sysext", "confext")])
def test_manifest_and_mount_helper_agree_on_defaults(classes: tuple[str, ...]) -> None:
    said = manifest.Manifest("e", "e.extension", classes=classes)
    asked_for = request.Request("", "e", "e", classes)
    assert (said.noexec, said.nosuid) == (asked_for.noexec, asked_for.nosuid) == (False, classes == ("confext",))
