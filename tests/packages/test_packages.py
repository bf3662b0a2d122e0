"""Ordinary images, made of real Debian packages: nothing is wrong with them, and merged all together they work.

That nothing of the base is touched is seen here without any code of the product, so that whatever the product finds
wrong with one of them is a false alarm.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import CACHE, CHECKOUT, Machine
from packages.build import Image
from packages.conftest import SUITE
from packages.meetings import meetings
from packages.wanted import IMAGES, RAW, Wanted

BASE = CACHE / "roots" / SUITE
PLACES = {"sysext": "var/lib/extensions", "confext": "var/lib/confexts"}
PROGRAM = str(CHECKOUT / "helpers/extensionctl")


@pytest.mark.parametrize("wanted", IMAGES, ids=str)
def test_image_is_ordinary(wanted: Wanted, by_name: dict[str, Image]) -> None:
    image = by_name[wanted.name]
    assert "sysext" in image.trees
    for tree in image.trees.values():
        assert meetings(BASE, tree) == []


def check(image: Path) -> tuple[int, str, str]:
    """Have extensionctl look at an image for the base, on which nothing is changed."""
    argv = [PROGRAM, "check", f"--os-root={BASE}", str(image)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout, ran.stderr


def pack(tree: Path, raw: Path) -> Path:
    """Make a squashfs image as people do: as root, without a word about owners."""
    raw.parent.mkdir(exist_ok=True)
    subprocess.run(["mksquashfs", tree, raw, "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL)
    return raw


@pytest.mark.parametrize("wanted", IMAGES, ids=str)
def test_check_finds_nothing(wanted: Wanted, by_name: dict[str, Image]) -> None:
    for tree in by_name[wanted.name].trees.values():
        assert check(tree) == (0, "No mistakes found.\n", "")


@pytest.mark.parametrize("name", RAW)
def test_check_finds_nothing_in_raw_images(tmp_path: Path, name: str, by_name: dict[str, Image]) -> None:
    for tree in by_name[name].trees.values():
        assert check(pack(tree, tmp_path / f"{tree.name}.raw")) == (0, "No mistakes found.\n", "")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A copy of the base, in a namespace where nothing else can be written."""
    with Machine(SUITE, tmp_path / "machine") as found:
        found.run("mount", "-o", "remount,bind,ro", "/")
        found.run("mount", "-t", "proc", "proc", "proc")
        yield found


def install(machine: Machine, images: list[Image]) -> list[str]:
    """Put images, which stay where they are, and their manifests into the machine; the names of the extensions."""
    names = []
    for image in images:
        for class_, tree in image.trees.items():
            (machine.root / PLACES[class_] / tree.name).mkdir(parents=True)
            machine.run("mount", "--bind", str(tree), f"{PLACES[class_]}/{tree.name}")
            machine.write(f"etc/extensions.d/{tree.name}.extension", f"[Extension]\nClass={class_}\n")
            names.append(tree.name)
    return names


def extensionctl(machine: Machine, *arguments: str) -> tuple[int, str]:
    """Run a verb on the tree of the machine; its status and what it said."""
    said = machine.run("sh", "-c", '"$@" 2>&1; echo "status $?"', "sh", PROGRAM, "--root=.", *arguments)
    text, _, status = said.rpartition("status ")
    return int(status), text


def listing(machine: Machine) -> dict[str, tuple[str, str]]:
    status, said = extensionctl(machine, "list", "--json=short")
    assert status == 0, said
    found: list[dict[str, Any]] = json.loads(said)
    return {item["name"]: (item["state"], item["reason"]) for item in found}


def content(machine: Machine) -> dict[str, tuple[object, ...]]:
    """Every file of the tree but images and what is on other file systems of the kernel's own."""
    found: dict[str, tuple[object, ...]] = {}
    left_out = {machine.root / name for name in ("proc", "run", *PLACES.values())}
    for top, names, files in os.walk(machine.root):
        names[:] = [name for name in names if Path(top, name) not in left_out]
        for path in (os.path.join(top, name) for name in names + files):
            s = os.lstat(path)
            inside = os.readlink(path) if stat.S_ISLNK(s.st_mode) else s.st_mtime_ns
            found[path] = (s.st_mode, s.st_uid, s.st_gid, s.st_size, s.st_dev, s.st_ino, inside)
    return found


def mounts(machine: Machine) -> list[str]:
    """The mount table without what a number counts up."""
    return sorted(" ".join(line.split()[3:]) for line in machine.run("cat", "/proc/self/mountinfo").splitlines())


def starts(machine: Machine, image: Image) -> list[str]:
    """The programs of the image that do not say their version in the merged tree, and what they say instead."""
    failed = []
    for program in image.wanted.programs:
        said = machine.run(
            *("sh", "-c", '"$@" 2>&1; echo "status $?"', "sh", "timeout", "60", "chroot", "."),
            *("env", "-i", "PATH=/usr/sbin:/usr/bin", "HOME=/root", "LC_ALL=C", *shlex.split(program)),
        )
        text, _, status = said.rpartition("status ")
        if int(status) != 0 or image.says not in text:
            failed.append(f"{program}: status {status.strip()}, not {image.says!r}: {text}")
    return failed


def test_all_together(machine: Machine, images: list[Image], capsys: pytest.CaptureFixture[str]) -> None:
    """One merge of everything, every program started, and the base as it was afterwards."""
    names = install(machine, images)
    before, table = content(machine), mounts(machine)
    start = time.monotonic()
    status, said = extensionctl(machine, "refresh")
    merge = time.monotonic() - start
    assert status == 0, said
    assert listing(machine) == dict.fromkeys(names, ("merged", ""))
    start = time.monotonic()
    assert extensionctl(machine, "refresh", "--always")[0] == 0
    again = time.monotonic() - start
    assert [failed for image in images for failed in starts(machine, image)] == []
    files = sum(len(f) for image in images for tree in image.trees.values() for _, _, f in os.walk(tree))
    with capsys.disabled():
        print(
            f"\n{len(names)} extensions of {len(images)} images with {files} files: "
            f"merged in {merge:.2f} s, replaced in {again:.2f} s"
        )
    status, said = extensionctl(machine, "unmerge")
    assert status == 0, said
    assert content(machine) == before
    assert mounts(machine) == table


def test_raw_images(machine: Machine, by_name: dict[str, Image]) -> None:
    """The same of squashfs images."""
    names = []
    for image in (by_name[name] for name in RAW):
        for class_, tree in image.trees.items():
            pack(tree, machine.root / PLACES[class_] / f"{tree.name}.raw")
            machine.write(f"etc/extensions.d/{tree.name}.extension", f"[Extension]\nClass={class_}\n")
            names.append(tree.name)
    before, table = content(machine), mounts(machine)
    status, said = extensionctl(machine, "refresh")
    assert status == 0, said
    assert listing(machine) == dict.fromkeys(names, ("merged", ""))
    assert [failed for name in RAW for failed in starts(machine, by_name[name])] == []
    assert extensionctl(machine, "unmerge")[0] == 0
    assert content(machine) == before
    assert mounts(machine) == table


SERVICES = """\
#!/usr/bin/python3
import json, subprocess, sys
run = lambda *argv: subprocess.run(argv, capture_output=True, text=True).stdout
run("systemctl", "is-active", "--wait", *sys.argv[1:])
log = lambda unit: run("journalctl", "-b", "--no-pager", "-o", "cat", "-u", unit)[-1500:]
units = {unit: run("systemctl", "show", "-P", "ActiveState", unit).strip() for unit in sys.argv[1:]}
print(json.dumps({
    "units": units,
    "why": {unit: log(unit) for unit in units if units[unit] != "active"},
    "failed": run("systemctl", "--failed", "--plain", "--no-legend").splitlines(),
    "extensions": {e["name"]: e["state"] for e in json.loads(run("extensionctl", "list", "--json=short"))},
}))
"""


def test_services_run_in_a_booted_machine(tmp_path: Path, images: list[Image]) -> None:
    booted = [image for image in images if image.wanted.unit]
    assert len(booted) >= 10
    with Machine(SUITE, tmp_path / "machine") as found:
        names = []
        for place in PLACES.values():
            (found.root / place).mkdir()
        for image in booted:
            for class_, tree in image.trees.items():
                found.run("cp", "-a", str(tree), f"{PLACES[class_]}/{tree.name}")
                found.write(f"etc/extensions.d/{tree.name}.extension", f"[Extension]\nClass={class_}\n")
                names.append(tree.name)
        # Users are made at boot.
        found.write("etc/extensions.d/extensions.conf", "[Etc]\nMode=ephemeral\n")
        facts = found.boot(SERVICES, *(image.wanted.unit for image in booted)).facts()
    assert facts["extensions"] == dict.fromkeys(names, "merged")
    assert facts["why"] == {}
    assert facts["units"] == dict.fromkeys((image.wanted.unit for image in booted), "active")
    assert facts["failed"] == []
