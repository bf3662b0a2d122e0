"""One boot a suite with every incident at once, beside innocent extensions: the machine is as it would be without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from images import directory, hello
from incidents import INCIDENTS, LIBRARIES, furnish
from machine import Boot, Machine

SCENES = ("boot", "refreshed", "anew", "reloaded", "merged")
# Those that need a mount where they lie are tried without a boot.
BOOTED = [incident for incident in INCIDENTS if not incident.mount]
PLACES = {"sysext": "var/lib/extensions", "confext": "var/lib/confexts"}
LIBRARY = "breaks-library"
"""It replaces a library that nobody counts among what a machine cannot do without, and mount needs."""

_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `inside/harm.py` saw."""
    if suite not in _booted:
        _booted[suite] = _boot(suite, tmp_path_factory.mktemp(suite))
    return _booted[suite].facts()


def _boot(suite: str, place: Path) -> Boot:
    with Machine(suite, place) as machine:
        root = machine.root
        furnish(root)
        for incident in BOOTED:
            image = incident.image(root / PLACES[incident.class_])
            machine.write(f"etc/extensions.d/{incident.name}.extension", f"[Extension]\nClass={incident.class_}\n")
            assert image.exists()
        directory(root / "var/lib/extensions/hello", "hello", hello("1"))
        directory(root / "var/lib/confexts/config", "config", {"etc/incident-config": "yes"}, "confext")
        there = [f"{LIBRARIES}/{name}" for name in ("libcap.so.2", "libselinux.so.1", "libseccomp.so.2")]
        libraries = {path: "no library" for path in there if os.path.lexists(root / path)}
        assert libraries
        directory(root / f"var/lib/extensions/{LIBRARY}", LIBRARY, {**libraries, "usr/share/broken": "yes"})
        machine.write("etc/extensions.d/hello.extension", "[Extension]\n")
        machine.write(f"etc/extensions.d/{LIBRARY}.extension", "[Extension]\n")
        machine.write("etc/extensions.d/config.extension", "[Extension]\nClass=confext\n")
        innocent = {incident.name: incident.innocent for incident in BOOTED}
        directory(root / "var/lib/extensions/elsewhere", "elsewhere", {"usr/share/elsewhere": "yes"}, host="ID=other\n")
        machine.write("etc/extensions.d/elsewhere.extension", "[Extension]\n")
        innocent |= {
            "elsewhere": "usr/share/elsewhere",
            "hello": "usr/bin/hello",
            "config": "etc/incident-config",
            LIBRARY: "usr/share/broken",
        }
        return machine.boot("harm.py", *(f"{name}={path}" for name, path in innocent.items()), timeout=900)


def test_the_machine_boots_and_runs_as_it_would_without_them(facts: dict[str, Any]) -> None:
    for scene in (*SCENES, "unmerged"):
        seen = facts[scene]
        assert seen["programs"] == [0] * 5, scene
        assert seen["nobody"] == 0, scene
        assert seen["passwd"].startswith("root:x:0:0:"), scene
        assert seen["kinds"] == [False, False, True], scene
        assert seen["folders"] == facts["unmerged"]["folders"], scene
    modes = {path: item[0] for path, item in facts["boot"]["folders"].items()}
    assert modes == {**dict.fromkeys(modes, "0o40755"), "/etc/sudoers.d": "0o40750"}


def test_only_units_of_what_is_left_out_have_failed(facts: dict[str, Any]) -> None:
    for scene in SCENES:
        names = {unit.partition("@")[2].partition(".")[0] for unit in facts[scene]["failed"]}
        assert not [unit for unit in facts[scene]["failed"] if unit in ("extensions-merge.service", "hello.service")]
        assert len(names) <= len(BOOTED) + 1


@pytest.mark.parametrize("incident", BOOTED, ids=str)
def test_incident(facts: dict[str, Any], incident: Any) -> None:
    out = incident.outcome == "left-out"
    for scene in SCENES:
        row = facts[scene]["rows"][incident.name]
        assert (scene, row["state"]) == (scene, "failed" if out else "merged"), row
        assert (incident.name in facts[scene]["there"]) is not out
        assert not out or f"/{incident.path}" in row["reason"]
        assert incident.name in facts[scene]["list"]
    assert not out or f"/{incident.path}" in facts["explained"][incident.name]
    assert incident.name not in facts["unmerged"]["there"]


def test_others_are_merged(facts: dict[str, Any]) -> None:
    for scene in SCENES:
        assert {"hello", "config"} <= set(facts[scene]["there"])
        assert facts[scene]["rows"]["hello"]["state"] == facts[scene]["rows"]["config"]["state"] == "merged"
        assert facts[scene]["hello"] == "1"
    for scene in ("refreshed", "anew"):
        assert facts[scene]["rc"]["rc"] == 3, facts[scene]["rc"]
    assert facts["unmerged"]["there"] == []


def test_what_no_rule_foresees_is_tried(facts: dict[str, Any]) -> None:
    for scene in SCENES:
        row = facts[scene]["rows"][LIBRARY]
        assert row["state"] == "failed"
        assert "not start any more with this image; build it without what replaces their files" in row["reason"]
        # systemd 262 loads libraries when it needs them: there it is mount alone.
        assert "/usr/bin/mount" in row["reason"]
        assert LIBRARY not in facts[scene]["there"]


def test_who_insists_has_it_until_it_is_unmerged(facts: dict[str, Any]) -> None:
    for name, why in (("folder-over-file", "/usr/share/base/data"), ("elsewhere", "made for ID=other")):
        for scene in SCENES:
            assert facts[scene]["rows"][name]["state"] in ("failed", "skipped"), scene
        assert facts["forced"]["rows"][name] == {"state": "merged", "reason": ""}
        assert name in facts["forced"]["there"]
        line = next(line for line in facts["forced"]["list"].splitlines() if line.startswith(f"{name} "))
        assert "merged by --force, until the next boot: " in line
        assert why in line
    assert facts["kept"]["rc"] == 3, facts["kept"]
    # Nothing allows what no program would start on.
    assert facts["forced"]["rows"]["link-over-lib64"]["state"] == "failed"
    assert facts["forced"]["programs"] == [0] * 5
