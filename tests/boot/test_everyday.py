"""One boot a suite: activation, conditions, broken ones beside good ones, reloads, removal, unmerge, uninstall."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from images import directory, hello, squashfs
from machine import CHECKOUT, Boot, Machine

ONCE = """\
[Unit]
Description=Counts how often it ran
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo ran >>/run/%s'
"""
EARLY = ONCE.replace("no\n", "no\nBefore=sysinit.target\n", 1)
MANIFESTS = {
    "hello": "[Reload]\nRestart=hello.service\n",
    "hello-config": "[Extension]\nClass=confext\n",
    "raw": "[Extension]\n",
    "held": "[Unit]\nConditionKernelCommandLine=there-is-no-such-word\n",
    "broken": "[Extension]\nImage=broken\n",
    "typo": "[Extension]\nMismatch=perhaps\n",
    "foreign": "[Extension]\n",
    "missing": "[Extension]\n",
}
FSTAB = """\
tmpfs /opt/sub tmpfs defaults 0 0
tmpfs /usr/local/games tmpfs defaults 0 0
tmpfs /usr/local/games/nested tmpfs defaults,x-mount.mkdir 0 0
"""
# Early enough to be there before the merge, and after the mounts it writes to.
MARK = """\
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=extensions-merge.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for d in /opt/sub /usr/local/games /usr/local/games/nested; do echo here >$d/file; done'
"""


def _images(machine: Machine) -> None:
    root = machine.root
    sysexts = root / "var/lib/extensions"
    directory(sysexts / "hello.v/hello_1.0", "hello", hello("1.0"))
    directory(root / "boot-images/hello_2.0", "hello", hello("2.0"))
    host = _host(root)
    config = {"etc/hello.conf": "greeting=yes\n"}
    directory(root / "var/lib/confexts/hello-config", "hello-config", config, "confext", host)
    raw = {
        "usr/share/raw/file": "raw\n",
        "opt/raw/file": "raw\n",
        "usr/lib/systemd/system/raw-once.service": ONCE % "raw-once",
        "usr/lib/systemd/system/basic.target.wants/raw-once.service": "-> ../raw-once.service",
        "usr/lib/systemd/system/early-once.service": EARLY % "early-once",
        "usr/lib/systemd/system/sysinit.target.wants/early-once.service": "-> ../early-once.service",
    }
    squashfs(directory(root / "boot-images/raw", "raw", raw), sysexts / "raw.raw")
    directory(root / "boot-images/late", "late", {"opt/late/file": "late\n"})
    directory(sysexts / "held", "held", {"usr/share/held/file": "held\n"})
    directory(sysexts / "foreign", "foreign", {"usr/share/foreign/file": "foreign\n"}, host="ID=plan9\n")
    (sysexts / "broken.raw").write_bytes((sysexts / "raw.raw").read_bytes()[:700])


def _host(root: Path) -> str:
    """What couples an image to this machine: the ID and, where the suite has one, the VERSION_ID of its os-release."""
    lines = (root / "usr/lib/os-release").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith(("ID=", "VERSION_ID=")))


_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `inside/everyday.py` saw on a machine of `suite`, which is booted once, also when that fails."""
    if suite not in _booted:
        _booted[suite] = _boot(suite, tmp_path_factory.mktemp(suite))
    return _booted[suite].facts()


def _boot(suite: str, place: Path) -> Boot:
    with Machine(suite, place) as machine:
        for name, text in MANIFESTS.items():
            machine.write(f"etc/extensions.d/{name}.extension", text)
        _images(machine)
        machine.write("etc/fstab", FSTAB)
        for name in ("opt/sub", "usr/local/games"):
            (machine.root / name).mkdir(exist_ok=True)
        machine.write("etc/systemd/system/mark.service", MARK)
        wants = machine.root / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "mark.service").symlink_to("../mark.service")
        beside = shutil.ignore_patterns(".*", "__pycache__", "tests", "bench")
        shutil.copytree(CHECKOUT, machine.root / "boot-images/checkout", symlinks=True, ignore=beside)
        return machine.boot("everyday.py")


def _row(facts: dict[str, Any], scene: str, name: str) -> dict[str, Any]:
    row = facts[scene]["extensions"].get(name)
    assert row is not None, facts[scene]["extensions"]
    assert isinstance(row, dict)
    return row


def test_boot_merges_what_is_good(facts: dict[str, Any]) -> None:
    boot = facts["boot"]
    assert {name: _row(facts, "boot", name)["state"] for name in ("hello", "hello-config", "raw")} == dict.fromkeys(
        ("hello", "hello-config", "raw"), "merged"
    )
    assert (boot["version"], boot["config"], boot["raw"]) == ("1.0", "greeting=yes\n", "raw\n")
    assert _row(facts, "boot", "hello")["version"] == "1.0"
    assert _row(facts, "boot", "hello-config")["hierarchies"] == ["etc"]
    assert _row(facts, "boot", "raw")["hierarchies"] == ["usr", "opt"]
    assert boot["multi-user"] == "active"


def test_boot_starts_services_of_images_once_and_in_order(facts: dict[str, Any]) -> None:
    boot = facts["boot"]
    assert boot["said"] == "1.0\n"
    assert boot["hello"]["ActiveState"] == "active"
    assert boot["once"] == "ran\n"
    assert boot["early"] == "ran\n"
    early, sysinit = (boot[key]["ActiveEnterTimestampMonotonic"] for key in ("early order", "sysinit"))
    assert 0 < int(early) <= int(sysinit)


def test_a_merged_extension_is_an_active_unit(facts: dict[str, Any]) -> None:
    assert facts["boot"]["active"] == {
        "hello": "active",
        "hello-config": "active",
        "raw": "active",
        "held": "inactive",
        "broken": "inactive",
    }


def test_auto_is_read_only_where_something_is_merged(facts: dict[str, Any]) -> None:
    assert facts["boot"]["write"] == dict.fromkeys(("/usr", "/opt", "/etc"), "Read-only file system")


def test_a_condition_holds_one_back(facts: dict[str, Any]) -> None:
    row = _row(facts, "boot", "held")
    assert row["state"] == "skipped"
    assert "ConditionKernelCommandLine" in row["reason"] or "condition" in row["reason"].lower()
    unit = facts["boot"]["units"]["held"]
    assert (unit["ActiveState"], unit["ConditionResult"]) == ("inactive", "no")


def test_broken_ones_fail_alone_and_say_why(facts: dict[str, Any]) -> None:
    states = {name: _row(facts, "boot", name)["state"] for name in ("broken", "typo", "missing", "foreign")}
    assert states == {"broken": "failed", "typo": "failed", "missing": "failed", "foreign": "skipped"}
    for name in states:
        assert _row(facts, "boot", name)["reason"]
    assert {unit for unit in facts["boot"]["failed"] if "extension" in unit} == {
        "run-extension-broken.mount",
        "run-extension-typo.mount",
        "run-extension-missing.mount",
    }
    assert "/etc/extensions.d/typo.extension:2: " in facts["boot"]["typo log"]
    assert "plan9" in _row(facts, "boot", "foreign")["reason"]


def test_daemon_reload_twice_gives_the_same_units(facts: dict[str, Any]) -> None:
    assert facts["boot"]["reloads"] == [0, 0]
    assert facts["boot"]["generated"]["files"] > 10
    assert facts["boot"]["generated"]["same"]


def test_a_reload_without_a_change_restarts_nothing(facts: dict[str, Any]) -> None:
    assert facts["unchanged"]["ran"]["rc"] == 0
    assert facts["unchanged"]["hello"] == facts["boot"]["hello"]


def test_a_reload_brings_a_new_version(facts: dict[str, Any]) -> None:
    seen = facts["upgraded"]
    assert seen["ran"]["rc"] == 0
    assert (seen["version"], seen["said"]) == ("2.0", "2.0\n")
    assert _row(facts, "upgraded", "hello")["version"] == "2.0"
    assert seen["hello"]["ActiveState"] == "active"
    assert seen["hello"]["MainPID"] != facts["boot"]["hello"]["MainPID"]
    assert (seen["config"], seen["raw"]) == ("greeting=yes\n", "raw\n")


def test_no_lookup_is_lost_meanwhile(facts: dict[str, Any]) -> None:
    assert facts["upgraded"]["lookups"] > 1000
    assert facts["upgraded"]["missing"] == 0


def test_a_failed_refresh_shows_and_leaves_the_last_good_version(facts: dict[str, Any]) -> None:
    seen = facts["bad version"]
    assert seen["ran"]["rc"] == 0, "a target's reload cannot fail: if it does, the documentation is wrong"
    assert "extensions-refresh.service" in seen["failed"]
    assert seen["verb"]["rc"] == 3
    assert (seen["version"], seen["hello"]["MainPID"]) == ("2.0", facts["upgraded"]["hello"]["MainPID"])
    row = _row(facts, "bad version", "hello")
    assert (row["state"], row["version"]) == ("merged", "2.0")
    assert "hello_3.0" in row["reason"]


def test_the_next_good_refresh_clears_the_failure(facts: dict[str, Any]) -> None:
    assert _row(facts, "mended", "hello")["reason"] == ""
    assert "extensions-refresh.service" in facts["cleared"]["before"]
    assert facts["cleared"]["after"] == []


def test_an_extension_dropped_in(facts: dict[str, Any]) -> None:
    assert facts["dropped in"]["ran"]["rc"] == 0
    assert _row(facts, "dropped in", "late")["state"] == "merged"
    assert facts["dropped in"]["late"] == "late\n"
    assert (facts["removed"]["late"], "late" in facts["removed"]["extensions"]) == (None, False)


def test_an_image_removed(facts: dict[str, Any]) -> None:
    seen = facts["removed"]
    assert seen["ran"]["rc"] == 0
    assert seen["raw"] is None
    row = _row(facts, "removed", "raw")
    assert row["state"] == "failed"
    assert "raw" in row["reason"]
    assert seen["once"]["ActiveState"] == "inactive"
    assert (seen["version"], seen["config"]) == ("2.0", "greeting=yes\n")
    assert facts["again"]["ran"]["rc"] == 0


@pytest.mark.parametrize("scene", ["boot", "unchanged", "upgraded", "bad version", "dropped in", "removed", "unmerged"])
def test_submounts_stay(facts: dict[str, Any], scene: str) -> None:
    assert facts[scene]["submounts"] == ["here\n"] * 3


def test_unmerge_brings_back_what_was(facts: dict[str, Any]) -> None:
    seen = facts["unmerged"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert seen["write"] == {"/usr": "", "/opt": "", "/etc": ""}
    assert seen["difference"] == {"/usr": [], "/opt": [], "/etc": []}
    assert (seen["version"], seen["config"]) == (None, None)
    assert all(row["state"] != "merged" for row in seen["extensions"].values())


def test_merge_after_unmerge(facts: dict[str, Any]) -> None:
    seen = facts["merged again"]
    assert seen["ran"]["rc"] in (0, 3), seen["ran"]
    assert (seen["version"], seen["config"]) == ("2.1", "greeting=yes\n"), "not the image that was there at the merge"


def test_what_was_changed_in_the_base_stops_an_installation_before_it_begins(facts: dict[str, Any]) -> None:
    seen = facts["not installed over"]
    assert seen["ran"]["rc"] == 1, seen["ran"]
    assert seen["ran"]["out"].splitlines() == [
        "/usr/bin/extensionctl: was changed since it was installed",
        "nothing was installed: move these away, or replace them with make install FORCE=1",
    ]
    assert seen["mine"] and (seen["version"], seen["config"]) == ("2.1", "greeting=yes\n")
    assert seen["hello"] == facts["merged again"]["hello"]


def test_install_over_a_running_one(facts: dict[str, Any]) -> None:
    seen = facts["installed over"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert seen["ran"]["out"] == "installed; `extensionctl status` says what is merged"
    assert (seen["version"], seen["config"]) == ("2.1", "greeting=yes\n")
    before, after = seen["program"]["before"], seen["program"]["after"]
    assert before != after
    assert seen["stopped"] == {"hello": before, "hello-config": before}, "files went before the last work they do"
    assert seen["journal"] == ""


def test_uninstall_leaves_nothing(facts: dict[str, Any]) -> None:
    seen = facts["uninstalled"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert seen["left"] == []
    assert not [line for line in seen["overlays"] if "overlay" in line or line.startswith("/run/extension")]
    assert seen["hello"]["ActiveState"] in ("inactive", "failed")
    assert (seen["write"], seen["multi-user"]) == ("", "active")
    assert "extensions-refresh.service" in seen["failed before"]
    assert not [unit for unit in seen["failed"] if "extension" in unit]
