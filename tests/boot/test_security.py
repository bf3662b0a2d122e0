"""One boot a suite: an extension called as a folder of everybody's, promises of keys, programs with rights."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from images import directory
from machine import Boot, Machine

MANIFESTS = {
    "tmp": "[Extension]\n",
    "conf": "[Extension]\nClass=confext\n",
    "tools": "[Extension]\n",
    "quiet": "[Extension]\nNoSuid=yes\n",
    "verified": "[Extension]\nRootHash=00112233445566778899aabbccddeeff\n",
}
# As a user does before the machine's images are attached: /tmp is empty at each boot.
EVIL = """\
[Unit]
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup-dev.service
Before=run-extension-tmp.mount
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'cp -a /boot-images/evil/. /tmp/ && chown -R 65534:65534 /tmp/usr && ls -l /tmp >/run/tmp-then'
"""
SLEEPER = "[Service]\nExecStart=/bin/sleep infinity\n%s\n"


def _suid(machine: Machine, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(machine.root / "usr/bin/id", folder / "suid")
    (folder / "suid").chmod(0o4755)


def _boot(suite: str, place: Path) -> Boot:
    with Machine(suite, place) as machine:
        root = machine.root
        for name, text in MANIFESTS.items():
            machine.write(f"usr/lib/extensions.d/{name}.extension", text)
        evil = {"usr/share/evil": "evil\n", "usr/lib/systemd/system/evil.service": "[Service]\nExecStart=/bin/true\n"}
        directory(root / "boot-images/evil", "tmp", evil)
        for name in ("tools", "quiet", "verified"):
            image = directory(root / f"var/lib/extensions/{name}", name, {f"usr/share/{name}/file": "1\n"})
            _suid(machine, image / f"usr/lib/{name}")
        (root / "var/lib/extensions/tools").chmod(0o777)
        conf = directory(root / "var/lib/confexts/conf", "conf", {"etc/conf/file": "1\n"}, "confext")
        _suid(machine, conf / "etc/conf")
        _suid(machine, root / "etc/base")
        machine.write("etc/systemd/system/evil-user.service", EVIL)
        machine.write("etc/systemd/system/private.service", SLEEPER % "PrivateTmp=yes")
        machine.write("etc/systemd/system/full.service", SLEEPER % "ProtectSystem=full")
        for target, unit in (("sysinit", "evil-user"), ("multi-user", "private"), ("multi-user", "full")):
            wants = root / f"etc/systemd/system/{target}.target.wants"
            wants.mkdir(exist_ok=True)
            (wants / f"{unit}.service").symlink_to(f"../{unit}.service")
        return machine.boot("security.py")


_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `inside/security.py` saw on a machine of `suite`, which is booted once, also when that fails."""
    if suite not in _booted:
        _booted[suite] = _boot(suite, tmp_path_factory.mktemp(suite))
    return _booted[suite].facts()


def _states(facts: dict[str, Any], scene: str) -> dict[str, str]:
    return {name: row["state"] for name, row in facts[scene]["extensions"].items()}


def _reason(facts: dict[str, Any], scene: str, name: str) -> str:
    reason: str = facts[scene]["extensions"][name]["reason"]
    return reason


GOOD = {"conf": "merged", "tools": "merged", "tmp": "failed", "quiet": "failed", "verified": "failed"}


def test_no_folder_of_a_user_s_is_an_image(facts: dict[str, Any]) -> None:
    boot = facts["boot"]
    assert "nobody" in boot["tmp"] and boot["tmp"].split()[-1] == "usr"
    assert _states(facts, "boot") == GOOD
    assert _reason(facts, "boot", "tmp").startswith(
        "tmp: no such image: no tmp, tmp.raw, tmp.v/ or tmp.raw.v/ in /etc/"
    )
    assert boot["evil"] == [False, False]
    assert sorted(row.split()[0] for row in boot["mounts"]) == ["/run/extension/conf", "/run/extension/tools"]
    assert boot["units"]["tmp"] == {"ActiveState": "failed", "What": "extension:tmp"}
    assert boot["units"]["tools"]["ActiveState"] == "active"
    assert "tmp: no such image" in boot["log"]
    assert {f"run-extension-{name}.mount" for name in ("tmp", "quiet", "verified")} <= set(boot["failed"])


def test_promises_that_cannot_be_kept_leave_out(facts: dict[str, Any]) -> None:
    assert _reason(facts, "boot", "verified").startswith("RootHash= is not yet supported")
    assert "/usr/lib/quiet/suid: is a set-user-ID file, and NoSuid=yes" in _reason(facts, "boot", "quiet")
    assert facts["boot"]["refresh"]["rc"] == 3


def test_whose_rights_a_program_has(facts: dict[str, Any]) -> None:
    users = {path: (ran["rc"], ran["out"]) for path, ran in facts["boot"]["users"].items()}
    below_run = users.pop("/run/extension/tools/usr/lib/tools")
    assert users == {"/usr/lib/tools": (0, "0"), "/etc/conf": (0, "65534"), "/etc/base": (0, "65534")}
    assert below_run[0] != 0 and "Permission denied" in below_run[1]


@pytest.mark.parametrize("scene", ["boot", "without"])
def test_etc_is_nosuid_in_every_namespace(scene: str, facts: dict[str, Any]) -> None:
    flags = facts[scene]["etc"]
    assert sorted(flags) == ["", "full.service", "private.service"]
    assert all(found & os.ST_NOSUID and found & os.ST_NODEV for found in flags.values()), flags


def test_who_else_may_change_it_is_told(facts: dict[str, Any]) -> None:
    said = "/var/lib/extensions/tools: can be written by everybody, who can so change what is merged; chmod o-w"
    assert said in facts["boot"]["log"]
    lines = facts["boot"]["check"]["out"].splitlines()
    assert said.replace(": ", ": warning: ", 1) in lines
    assert any(line.startswith("/etc/base/suid: warning: is a set-user-ID file, which has no effect") for line in lines)


def test_a_key_counts_also_before_pid_1_knows_it(facts: dict[str, Any]) -> None:
    without_tools = {**GOOD, "tools": "failed"}
    for scene, said in (("not read again", "attached without RootHash="), ("read again", "RootHash= is not yet")):
        assert _states(facts, scene) == without_tools, scene
        assert _reason(facts, scene, "tools").startswith(said), scene
        assert facts[scene]["ran"]["rc"] == 3
        assert facts[scene]["users"]["/usr/lib/tools"]["rc"] != 0
    assert _states(facts, "without") == GOOD
    assert facts["without"]["users"]["/usr/lib/tools"]["out"] == "0"
