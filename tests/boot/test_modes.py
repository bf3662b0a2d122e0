"""Each mode of /etc, across refreshes, a change of mode, unmerge and reboot: one tree, booted once in every mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from images import directory
from machine import Boot, Machine

READ_ONLY = "Read-only file system"
# Persistent twice: what it kept is only seen after a reboot.
BOOTS = ("auto", "read-only", "ephemeral", "persistent", "persistent again")

_booted: dict[str, dict[str, Boot]] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What `inside/modes.py` saw, by the name of the boot."""
    if suite not in _booted:
        _booted[suite] = _boots(suite, tmp_path_factory.mktemp(suite))
    return {name: boot.facts() for name, boot in _booted[suite].items()}


def _boots(suite: str, place: Path) -> dict[str, Boot]:
    boots = {}
    with Machine(suite, place) as machine:
        config = {"etc/hello.conf": "greeting=yes\n"}
        directory(machine.root / "var/lib/confexts/hello-config", "hello-config", config, "confext")
        machine.write("etc/extensions.d/hello-config.extension", "[Extension]\nClass=confext\n")
        machine.write("etc/issue.net", "as it came\n")
        for name in BOOTS:
            mode = name.partition(" ")[0]
            # Not in /etc, where an upper of the persistent mode would hide a change from outside.
            machine.write("usr/lib/extensions.d/extensions.conf", f"[Etc]\nMode={mode}\n")
            boots[name] = machine.boot("modes.py", mode)
            if boots[name].rc:
                break
    return boots


@pytest.mark.parametrize("boot", BOOTS)
def test_the_configuration_is_there_throughout(facts: dict[str, dict[str, Any]], boot: str) -> None:
    seen = facts[boot]
    for scene in ("boot", "reloaded", "refreshed", "changed to ephemeral", "back", "merged"):
        assert seen[scene]["config"], scene
        assert seen[scene]["extensions"] == {"hello-config": "merged"}, scene
        assert seen[scene]["failed"] == [], scene
    assert seen["refreshed"]["config"] == f"greeting={boot.partition(' ')[0]}\n"
    assert seen["unmerged"]["config"] is None
    for verb in ("reload", "forced", "to ephemeral", "come back", "unmerge", "merge"):
        assert seen[verb]["rc"] == 0, seen[verb]


@pytest.mark.parametrize("boot", ["auto", "read-only"])
def test_nothing_can_be_written(facts: dict[str, dict[str, Any]], boot: str) -> None:
    seen = facts[boot]
    assert [seen[key] for key in ("write", "change", "rewrite", "write back")] == [READ_ONLY] * 4


def test_auto_is_writable_once_nothing_is_merged(facts: dict[str, dict[str, Any]]) -> None:
    assert facts["auto"]["unmerged"]["marks"] == dict.fromkeys(("auto", "read-only", "ephemeral", "persistent"))


@pytest.mark.parametrize("boot", ["ephemeral", "persistent", "persistent again"])
def test_what_was_written_stays_across_refreshes(facts: dict[str, dict[str, Any]], boot: str) -> None:
    seen, mark = facts[boot], boot.partition(" ")[0]
    assert [seen[key] for key in ("write", "change", "rewrite", "write back")] == [""] * 4
    for scene in ("reloaded", "refreshed", "back"):
        assert seen[scene]["marks"][mark] == "written\n", scene
        assert seen[scene]["changed"] == "written\n", scene


@pytest.mark.parametrize("boot", BOOTS)
def test_any_mode_can_become_ephemeral(facts: dict[str, dict[str, Any]], boot: str) -> None:
    assert facts[boot]["write ephemeral"] == ""


@pytest.mark.parametrize("boot", BOOTS)
def test_the_base_is_never_written(facts: dict[str, dict[str, Any]], boot: str) -> None:
    unmerged = facts[boot]["unmerged"]
    assert set(unmerged["marks"].values()) == {None}
    assert unmerged["changed"] == "as it came\n"


def test_ephemeral_is_gone_after_a_reboot(facts: dict[str, dict[str, Any]]) -> None:
    assert facts["persistent"]["boot"]["marks"]["ephemeral"] is None
    assert facts["persistent"]["boot"]["changed"] == "as it came\n"


def test_persistent_is_there_after_a_reboot(facts: dict[str, dict[str, Any]]) -> None:
    boot = facts["persistent again"]["boot"]
    assert boot["marks"]["persistent"] == "written\n"
    assert boot["changed"] == "written\n"
