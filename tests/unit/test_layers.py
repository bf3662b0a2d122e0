#  SPDX-License-Identifier: MIT
"""generators/ imports the standard library and itself; helpers/ may import generators/; deciding touches no machine."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
GENERATOR = sorted((TOP / "generators").glob("extension_*/*.py"))
RUNTIME = sorted((TOP / "helpers/extension_runtime").rglob("*.py"))
# What decides: text and records in, records and text out.
PURE = ("errors", "escape", "keys", "manifest", "names", "resolve", "unitfile", "values", "version")
MACHINE = {"os", "time", "stat", "socket", "subprocess", "shutil", "tempfile", "pathlib", "ctypes"}


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports anywhere; relative ones are left out."""
    out = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            out |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            out.add(node.module.partition(".")[0])
    return out


@pytest.mark.parametrize("path", [*GENERATOR, TOP / "generators/extensions-generator"], ids=lambda path: path.name)
def test_generators_import_the_standard_library_and_themselves(path: Path) -> None:
    assert imported(path) <= sys.stdlib_module_names | {"extension_generator", "extension_manifests"}


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: path.name)
def test_helpers_may_import_generators_and_little_else(path: Path) -> None:
    # Those two are the distribution's and optional.
    allowed = sys.stdlib_module_names | {"extension_manifests", "extension_runtime", "systemd", "iniparse"}
    assert imported(path) <= allowed


@pytest.mark.parametrize("name", PURE)
def test_what_decides_touches_no_machine(name: str) -> None:
    path = TOP / f"generators/extension_manifests/{name}.py"
    assert not imported(path) & MACHINE
    assert "open(" not in path.read_text()


def test_pure_modules_import_pure_modules() -> None:
    for name in PURE:
        tree = ast.parse((TOP / f"generators/extension_manifests/{name}.py").read_text())
        # At run time, that is: types may come from anywhere.
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.level:
                wanted = [node.module] if node.module else [alias.name for alias in node.names]
                assert set(wanted) <= {*PURE, "settings"}, name
