"""The interpreter lives in the /usr that is swapped: nothing is imported behind the first swap of a running machine."""

from __future__ import annotations

from typing import Any

import pytest
from images import directory, hello
from machine import Boot, Machine

UNITS = (
    "refresh with a restart", "refresh that is taken back", "refresh with one left out", "rollback", "refresh of all",
    "unmerge", "merge",
)  # fmt: skip
COMMANDS = (
    "the command refresh, in short", "the command unmerge, in short", "the command merge, in short",
    "the command refresh", "the command refresh --always", "the command rollback", "the command unmerge",
)  # fmt: skip
BROKEN = "#!/bin/sh\nexit 3\n"

_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What `inside/imports.py` saw, by scene."""
    if suite not in _booted:
        with Machine(suite, tmp_path_factory.mktemp(suite)) as machine:
            directory(machine.root / "var/lib/extensions/hello", "hello", hello("1"))
            directory(machine.root / "var/lib/hello-2", "hello", hello("2"))
            directory(machine.root / "var/lib/hello-3", "hello", {**hello("3"), "usr/bin/hello": BROKEN})
            directory(machine.root / "var/lib/hello-4", "hello", hello("4"))
            machine.write("etc/extensions.d/hello.extension", "[Extension]\n")
            machine.write("etc/extensions.d/lost.extension", "[Extension]\n")  # it has no image
            _booted[suite] = machine.boot("imports.py")
    return _booted[suite].facts()


@pytest.mark.parametrize("scene", [*UNITS, *COMMANDS])
def test_nothing_is_imported_behind_the_first_swap(facts: dict[str, dict[str, Any]], scene: str) -> None:
    assert facts[scene]["imported"] == "", facts[scene]


def test_the_scenes_did_what_they_are_called(facts: dict[str, dict[str, Any]]) -> None:
    versions = {name: seen["version"] for name, seen in facts.items()}
    assert versions["refresh with a restart"] == "2"
    assert versions["refresh that is taken back"] == "2"
    assert "hello.service" in facts["refresh that is taken back"]["out"]
    assert versions["refresh with one left out"] == "4"
    assert versions["rollback"] == "2"
    assert versions["unmerge"] is None and versions["merge"] == "4"
    assert facts["refresh with one left out"]["rc"] == facts["the command refresh --always"]["rc"] == 3
    assert facts["refresh that is taken back"]["rc"] == 1
    assert "lost: " in facts["the command refresh"]["out"]
    assert versions["the command unmerge"] is None
