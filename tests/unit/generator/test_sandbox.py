#  SPDX-License-Identifier: MIT
"""The real generator as PID 1 runs it: a mount namespace of its own, all read-only but the output directories and /tmp
(systemd >= 253), and systemd's own judgement of what it writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from extension_manifests.escape import decode, option
from requirements import require_root, require_tool

TOP = Path(__file__).resolve().parents[3]
GENERATOR = TOP / "generators/extensions-generator"
TREES = TOP / "tests/golden"

# In a new mount namespace: the manifests at /run, the output directories writable, everything else not, recursively.
SANDBOX = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
generator, manifests, output = sys.argv[1:4]
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def setattr_tree(path, on, off):
    value = (ctypes.c_uint64 * 4)(on, off, 0, 0)
    check(libc.syscall(442, -100, path.encode(), 0x8000, ctypes.byref(value), 32))
def mount(source, target, kind, flags):
    check(libc.mount(source.encode(), target.encode(), kind and kind.encode(), flags, None))
check(libc.unshare(0x20000))
mount("none", "/", None, 0x44000)
mount("tmpfs", "/run", "tmpfs", 0)
os.mkdir("/run/extensions.d")
for name in os.listdir(manifests):
    with open(f"{manifests}/{name}") as source, open(f"/run/extensions.d/{name}", "w") as copy:
        copy.write(source.read())
directories = [f"{output}/{name}" for name in ("normal", "early", "late")]
for directory in directories:
    os.mkdir(directory)
    mount(directory, directory, None, 0x1000)
setattr_tree("/", 1, 0)
for directory in directories:
    setattr_tree(directory, 0, 1)
for place in ("/usr/x", "/run/x", "/etc/x", generator + ".x"):
    try:
        os.mkdir(place)
    except OSError:
        continue
    raise SystemExit(f"{place} is writable")
environ = {"PATH": "/usr/bin", "SYSTEMD_SCOPE": "system", "SYSTEMD_LOG_TARGET": "console", "SYSTEMD_PROC_CMDLINE": ""}
sys.exit(subprocess.run([generator, *directories], env=environ).returncode)
"""


def sandboxed(manifests: Path, output: Path) -> subprocess.CompletedProcess[str]:
    output.mkdir()
    command = [sys.executable, "-c", SANDBOX, str(GENERATOR), str(manifests), str(output)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_writes_to_its_output_alone_and_the_same_twice(tmp_path: Path) -> None:
    require_root()
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    for number in range(5):
        (manifests / f"ext-{number}.extension").write_text(f"[Unit]\nAfter=ext-{number + 1}.extension\n")
    (manifests / "broken.extension").write_text("[Extension]\nClass=wrong\n")
    first, second = (sandboxed(manifests, tmp_path / name) for name in ("first", "second"))
    assert first.returncode == second.returncode == 1, first.stderr
    assert "/run/extensions.d/broken.extension:2: Class=" in first.stderr
    made = tree(tmp_path / "first")
    assert made == tree(tmp_path / "second")
    assert {path.partition("/")[0] for path in made} == {"normal"}
    assert len([path for path in made if path.count("/") == 1]) == 6


def verify(normal: Path, scratch: Path) -> list[str]:
    """What systemd-analyze says about the generated units and the static ones they belong to."""
    static = scratch / "static"
    shutil.copytree(TOP / "units", static)
    # The programs need not be installed where tests run.
    for unit in static.iterdir():
        unit.write_text(unit.read_text().replace("=extensions-merge ", "=/bin/true "))
    for template in normal.glob("extension@*.service.d"):
        (static / template.name.removesuffix(".d")).symlink_to("extension@.service")
    names = [str(path) for path in [*normal.glob("*.mount"), *static.iterdir()] if not path.name.endswith("@.service")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{normal}:{static}:", "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # It also judges the units of the machine that runs the test.
    return [line for line in done.stderr.splitlines() if "extension" in line or str(normal) in line]


@pytest.mark.parametrize("case", ["02-one", "07-settings", "10-broken", "11-names", "12-install", "14-options", "full"])
def test_systemd_has_nothing_to_say(case: str, tmp_path: Path) -> None:
    require_tool("systemd-analyze")
    root = TREES / case
    if case == "full":
        root = tmp_path / "root"
        (root / "etc/extensions.d").mkdir(parents=True)
        (root / "etc/extensions.d/a-b.extension").write_text(
            '[Unit]\nDescription="A" 100%%, B; C\nConditionPathExists=|/x/%b\nRequires=base.extension\n'
            "Conflicts=old.extension\nOnFailure=rescue.service\nRequiresMountsFor=/srv\nStartLimitBurst=3\n"
            "[Extension]\nImage=/srv/a b,c%%d.raw\nSignature=/x/ä.p7s\nBelow=base.extension\n"
        )
        (root / "etc/extensions.d/base.extension").write_text("[Extension]\nClass=confext\n")
        (root / "etc/extensions.d/old.extension").write_text("[Install]\nWantedBy=\n")
    normal = tmp_path / "normal"
    normal.mkdir()
    environ = {"PATH": os.environ["PATH"], "EXTENSIONS_ROOT": str(root)}
    made = subprocess.run([GENERATOR, normal], env=environ, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert made.returncode in (0, 1), made.stderr
    assert verify(normal, tmp_path) == []


def test_verify_would_see_a_mistake(tmp_path: Path) -> None:
    require_tool("systemd-analyze")
    normal = tmp_path / "normal"
    normal.mkdir()
    (normal / "run-extension-a.mount").write_text("[Unit]\nAftre=x\n[Mount]\nWhat=a\nWhere=/run/extension/a\n")
    assert any("Aftre" in line for line in verify(normal, tmp_path))


HELPER = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done >&2
exit 32
"""


def test_options_survive_mount(tmp_path: Path) -> None:
    require_root()
    require_tool("mount", "unshare")
    helper = tmp_path / "mount.extension"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    text = 'a "b", c=\\d:%e; é\n'
    # mount(8) looks for helpers in /sbin; a private one hides the machine's.
    script = 'mount -t tmpfs none /usr/sbin && cp "$1" /usr/sbin/ && exec mount -t extension -o "$2" name "$3"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", helper, f"ext.error={option(text)},ext.noexec=1", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 32, done.stderr
    (given,) = [line for line in done.stderr.splitlines() if "ext.error=" in line]
    pairs = dict(pair.split("=", 1) for pair in given.split(",") if "=" in pair)
    assert (decode(pairs["ext.error"]), pairs["ext.noexec"]) == (text, "1")
