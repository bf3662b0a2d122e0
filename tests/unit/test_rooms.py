#  SPDX-License-Identifier: MIT
"""The rooms and their walls: who may import whom, what touches nothing, where a thing is said, and where its test is.

ARCHITECTURE.md draws the same picture; the tables are in tests/rooms.py.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from rooms import (
    ALL,
    DECIDES,
    FLOORS,
    GRAPH,
    LATE,
    MACHINE,
    NAMED,
    RECURSIVE,
    RUNTIME,
    TOP,
    UNIT,
    UNTESTED,
    imports,
    room,
)

# Floors


def test_everything_has_a_floor_and_every_floor_is_there() -> None:
    found = {path.name.removesuffix(".py") for path in RUNTIME.iterdir()} - {"__init__", "__pycache__"}
    assert found == {name for floor in FLOORS for name in floor}
    assert len(FLOORS) <= 6


def test_every_package_is_packed() -> None:
    packed = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(packed) == sorted(name for name, path in ALL.items() if path.name == "__init__.py")


def test_imports_go_down() -> None:
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    wrong = [
        f"{name} imports {target}"
        for name, targets in GRAPH.items()
        for target in targets
        if room(name) and room(target) and room(name) != room(target) and level[room(name)] <= level[room(target)]
    ]
    assert not wrong


def test_no_circle() -> None:
    """Of files, what only type checkers import included."""
    left = {name: set(targets) - {name} for name, targets in GRAPH.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        for name in free:
            del left[name]
    assert not left


def test_the_runtime_knows_the_words_and_not_the_generator() -> None:
    own = {
        "extension_manifests": {"extension_manifests"},
        "extension_generator": {"extension_manifests", "extension_generator"},
        "extension_runtime": {"extension_manifests", "extension_runtime", "systemd", "iniparse"},
    }
    for name, path in ALL.items():
        tops = {target.partition(".")[0] for target, _, _ in imports(path)} - {"_json"}
        assert tops <= sys.stdlib_module_names | own[name.partition(".")[0]], name


# What decides


@pytest.mark.parametrize("name", DECIDES)
def test_what_decides_touches_nothing(name: str) -> None:
    path = ALL[name]
    assert not {target.partition(".")[0] for target, _, _ in imports(path)} & MACHINE
    called = {node.func.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
              and isinstance(node.func, ast.Name)}  # fmt: skip
    assert not called & {"open", "input", "print", "exec", "eval"}


def test_what_decides_builds_on_what_decides() -> None:
    """At run time, that is: types may come from anywhere."""
    for name in DECIDES:
        top = [node for node in ast.parse(ALL[name].read_text()).body if isinstance(node, ast.ImportFrom)]
        targets = {f"{node.module}.{alias.name}" for node in top for alias in node.names} | {
            n.module or "" for n in top
        }
        assert targets & set(ALL) <= {*DECIDES, "extension_manifests"}, name


# What is foreign


def test_nothing_calls_itself() -> None:
    """An image, a mount table or a manifest is as deep as whoever made it likes, and Python's stack is not."""
    found = set()
    for name, path in ALL.items():
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            called = {node.func for node in ast.walk(function) if isinstance(node, ast.Call)}
            own = {call.id for call in called if isinstance(call, ast.Name)}
            own |= {call.attr for call in called if isinstance(call, ast.Attribute)
                    and isinstance(call.value, ast.Name) and call.value.id in ("self", "cls")}  # fmt: skip
            if function.name in own:
                found.add(f"{name}.{function.name}")
    assert found == set(RECURSIVE)


# Where things are said


def strings(path: Path) -> Iterator[tuple[str, int]]:
    """The string constants of a file with their lines, but for docstrings."""
    tree = ast.parse(path.read_text())
    docs = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.value, node.lineno


@pytest.mark.parametrize("program", NAMED)
def test_who_calls_a_program(program: str) -> None:
    wrong = [
        f"{name}:{line}"
        for name, path in ALL.items()
        for text, line in strings(path)
        if text == program and not name.startswith(NAMED[program])
    ]
    assert not wrong


def test_where_our_folder_is_said() -> None:
    wrong = [
        f"{name}:{line}"
        for name, path in ALL.items()
        for text, line in strings(path)
        if "/run/extension" in text and "/run/extensions" not in text
    ]
    assert {entry.partition(":")[0] for entry in wrong} <= {"extension_manifests.escape", "extension_runtime.paths"}


def test_where_classes_are_said() -> None:
    wrong = [
        f"{name}:{line}"
        for name, path in ALL.items()
        for text, line in strings(path)
        if text in ("sysext", "confext") or text.startswith(("SYSEXT_", "CONFEXT_")) or "extension-release.d" in text
    ]
    assert {entry.partition(":")[0] for entry in wrong} == {"extension_manifests.classes"}


def test_no_two_classes_have_one_name() -> None:
    found: dict[str, str] = {}
    for name, path in ALL.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert node.name not in found, f"{node.name} in {name} and {found[node.name]}"
                found[node.name] = name


# Late imports


def test_who_imports_late() -> None:
    late = {name for name, path in ALL.items() if any(inside for _, _, inside in imports(path))}
    assert late == set(LATE)
    assert all(LATE.values())


def test_nothing_imports_typing_to_run() -> None:
    """It takes longer to import than a merge takes: TYPE_CHECKING is a constant that type checkers know."""
    for name, path in ALL.items():
        tree = ast.parse(path.read_text())
        checked = {
            node
            for outer in ast.walk(tree)
            if isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING"
            for node in ast.walk(outer)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "typing":
                assert node in checked, name
        constants = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign)]
        assert not checked or "TYPE_CHECKING = False" in constants, name


# Tests


def mirror(name: str) -> Path:
    """Where the tests of a module are."""
    parts = name.split(".")
    folder = {"extension_manifests": ["manifests"], "extension_generator": ["generator"], "extension_runtime": []}
    return UNIT.joinpath(*folder[parts[0]], *parts[1:-1], f"test_{parts[-1]}.py")


def test_every_module_has_its_test() -> None:
    without = {n for n, path in ALL.items() if path.name != "__init__.py" and not mirror(n).exists()}
    assert without == UNTESTED


def test_every_mirrored_test_has_its_module() -> None:
    rooms = {path.name for path in RUNTIME.iterdir() if path.is_dir()} | {"manifests", "generator"}
    present = {path for folder in rooms for path in (UNIT / folder).glob("test_*.py")}
    assert present <= {mirror(name) for name in ALL} | {UNIT / "generator/test_sandbox.py"}
