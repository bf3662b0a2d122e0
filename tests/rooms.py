#  SPDX-License-Identifier: MIT
"""The rooms and their walls as tables, and what tests read of the code.

A new package is a line in FLOORS; an exception is a line with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
RUNTIME = TOP / "helpers/extension_runtime"
MANIFESTS = TOP / "generators/extension_manifests"
GENERATOR = TOP / "generators/extension_generator"
UNIT = TOP / "tests/unit"

FLOORS = (
    ("kernel", "steps", "layers", "log", "jsontext"),
    ("paths", "files", "boundary", "pid1", "inputs"),
    ("image", "overlay", "react", "stale"),
    ("namespaces",),
    ("merge",),
    ("cli",),
)
"""Lowest first.  Imports go down only: packages of one floor do not know each other."""

DECIDES = (
    *(f"extension_runtime.image.{name}" for name in ("formats", "osrelease", "release", "versions")),
    *(f"extension_runtime.layers.{name}" for name in ("compare", "harm", "lookup", "vital")),
    *(f"extension_runtime.pid1.{name}" for name in ("properties", "units")),
    *(f"extension_runtime.react.{name}" for name in ("affected", "requested", "unitfiles", "wish")),
    *(f"extension_runtime.merge.{name}" for name in ("choose", "goal", "halves", "ledger", "sound", "state", "wanted")),
    *(
        f"extension_manifests.{path.stem}"
        for path in sorted(MANIFESTS.glob("*.py"))
        if path.stem not in ("__init__", "load", "origin", "search", "textfile")
    ),
)
"""Text and records in, text and records out."""
MACHINE = {
    "os", "time", "stat", "socket", "subprocess", "shutil", "tempfile", "pathlib", "ctypes", "fcntl", "signal",
}  # fmt: skip

LATE = {
    "extension_generator.main": "most machines have no manifest: nothing but the interpreter is to be loaded for them",
    "extension_manifests.values": "most manifests have no globs",
    "extension_manifests.resolve": "most machines have so few manifests that their order needs no heap",
    "extension_runtime.cli.change": "only what is done right here needs the merge, only what was left out the facts",
    "extension_runtime.cli.check": "manifests are checked more often than images",
    "extension_runtime.cli.table": "a terminal's needs: pager, wide characters, JSON",
    "extension_runtime.image.content": "only an image whose release file has another name asks for an attribute",
    "extension_runtime.image.inspect": "only root looks into raw images, and only `check` has it do so",
    "extension_runtime.image.main": "a wrong command line is told before anything is loaded",
    "extension_runtime.jsontext": "the package json, where an interpreter lacks its C parts",
    "extension_runtime.kernel.loop": "only who finds a loop device taken has to wait",
    "extension_runtime.merge.main": "each verb brings its own: a reload of one extension needs no merge",
    "extension_runtime.merge.transaction": "the side that is needed, and what only a verb that does something needs",
    "extension_runtime.overlay.exchange": "only kernels before 6.5 have a gap to be timed",
    "extension_runtime.pid1.commands": "most merges run no command, and subprocess costs more than the rest of them",
    "extension_runtime.pid1.journal": "systemd-python is the distribution's, and may be missing",
    "extension_runtime.pid1.notify": "outside of a unit nobody listens, and socket is as much as all of a merge",
    "extension_runtime.react.actionfile": "only commands need their words split",
}
"""Who imports inside of functions, and why."""

NAMED = {
    "systemctl": "extension_runtime.pid1",
    "journalctl": "extension_runtime.pid1",
    "busctl": "extension_runtime.pid1",
    "systemd-run": "extension_runtime.pid1",
}
"""Programs, to the one package whose files may name them as a word of a command."""

RECURSIVE = {
    "extension_runtime.cli.check.file_problems": "a folder of the command line, and what is in it, and no deeper",
    "extension_runtime.layers.outline.traits": "the method calls the function of its name",
    "extension_runtime.merge.state._plain": "records of our own, which are as deep as they are written here",
    "extension_runtime.react.unitfiles.says": "the method calls the function of its name",
}
"""Functions that call themselves, and why that has an end: what is foreign is as deep as others like."""

UNTESTED: set[str] = set()
"""Modules that have no test file of their own yet.  This list only shrinks."""


def modules(*folders: Path) -> dict[str, Path]:
    """Dotted name to file of every module below the packages `folders`."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


ALL = modules(MANIFESTS, GENERATOR, RUNTIME)


def imports(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(dotted name, line, whether inside of a function) of everything that a file imports, for type checkers, too."""
    tree = ast.parse(path.read_text())
    late = {node for outer in ast.walk(tree) if isinstance(outer, ast.FunctionDef) for node in ast.walk(outer)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, node in late
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write an absolute import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in ALL else node.module or "", node.lineno, node in late


GRAPH = {name: {target for target, _, _ in imports(path) if target in ALL} for name, path in ALL.items()}


def room(name: str) -> str:
    """The package or top module of the runtime that a module is in, "" for others."""
    parts = name.split(".")
    return parts[1] if parts[0] == "extension_runtime" and len(parts) > 1 else ""
