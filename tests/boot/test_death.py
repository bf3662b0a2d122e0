"""Power is lost at a random moment of a refresh: the next boot is a good one, on the version that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from images import directory, hello
from machine import Boot, Machine

KILLS = 3

_booted: dict[str, list[Boot]] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `inside/death.py look` saw on the boot after each loss of power."""
    if suite not in _booted:
        _booted[suite] = _boots(suite, tmp_path_factory.mktemp(suite))
    return [boot.facts() for boot in _booted[suite]]


def _boots(suite: str, place: Path) -> list[Boot]:
    boots = []
    with Machine(suite, place) as machine:
        root = machine.root
        directory(root / "var/lib/extensions/hello.v/hello_1.0", "hello", hello("1.0"))
        directory(root / "boot-images/hello_2.0", "hello", hello("2.0"))
        directory(root / "var/lib/confexts/config", "config", {"etc/hello.conf": "greeting=yes\n"}, "confext")
        machine.write("etc/extensions.d/hello.extension", "[Reload]\nRestart=hello.service\n")
        machine.write("etc/extensions.d/config.extension", "[Extension]\nClass=confext\n")
        machine.write("usr/lib/extensions.d/extensions.conf", "[Etc]\nMode=persistent\n")
        for _ in range(KILLS):
            machine.boot("death.py", "refresh", after=2.0)
            boots.append(machine.boot("death.py", "look"))
            if boots[-1].rc:
                break
            dropped = root / "var/lib/extensions/hello.v/hello_2.0"
            if dropped.exists():
                dropped.rename(root / "boot-images/hello_2.0")
    return boots


def test_every_boot_after_it_is_good(facts: list[dict[str, Any]]) -> None:
    assert len(facts) == KILLS
    for seen in facts:
        assert seen["version"] == seen["newest"]
        assert seen["said"] == seen["newest"] + "\n"
        assert seen["config"] == "greeting=yes\n"
        assert seen["mark"] == "written\n"
        assert seen["extensions"] == {"hello": "merged", "config": "merged"}
        assert seen["failed"] == []


def test_a_record_that_cannot_be_read_is_put_aside_and_the_machine_goes_on(facts: list[dict[str, Any]]) -> None:
    for seen in facts:
        for number, lost in enumerate(seen["lost"], 1):
            assert lost["list"]["rc"] == lost["refresh"]["rc"] == lost["again"]["rc"] == 0, lost
            assert "the next merge or refresh puts it aside" in lost["list"]["out"]
            assert (lost["told"], lost["told again"]) == (number, number)
            assert lost["extensions"] == {"hello": "merged", "config": "merged"}
            assert (lost["version"], lost["mark"], lost["active"]) == (seen["newest"], "written\n", "active")
            assert lost["failed"] == []
            assert sorted(lost["overlays"]) == ["/etc overlay", "/usr overlay"]


def test_a_refresh_after_it_does_nothing_and_leaks_nothing(facts: list[dict[str, Any]]) -> None:
    for seen in facts:
        assert seen["refresh"]["rc"] == 0, seen["refresh"]
        assert sorted(seen["overlays"]) == ["/etc overlay", "/usr overlay"]
        assert seen["loops"] == "0"
