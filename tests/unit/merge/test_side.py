#  SPDX-License-Identifier: MIT
"""Both sides have the methods that a transaction calls, with the same arguments and nothing else in public."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MERGE = Path(__file__).resolve().parents[3] / "helpers/extension_runtime/merge"


def methods(module: str, name: str) -> dict[str, list[str]]:
    """The public methods of a class, with the names of their arguments, but for an underscore before them."""
    tree = ast.parse((MERGE / f"{module}.py").read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.name: [argument.arg.lstrip("_") for argument in node.args.args]
        for node in found.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


@pytest.mark.parametrize(("module", "name"), [("live", "Live"), ("elsewhere", "Elsewhere")])
def test_each_side_is_one(module: str, name: str) -> None:
    assert methods(module, name) == methods("side", "Side")
