"""make install and make uninstall, below a DESTDIR: the same bytes every time, and nothing left afterwards."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from requirements import require_tool

TOP = Path(__file__).resolve().parents[1]


def _make(target: str, destination: Path, *arguments: str) -> None:
    require_tool("make")
    ran = subprocess.run(
        ["make", "-s", "-C", str(TOP), target, f"DESTDIR={destination}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def _tree(top: Path) -> dict[str, str]:
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(top))] = "-> " + os.readlink(path)
        elif path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(top))] = f"{path.stat().st_mode:o} {digest}"
    return found


def test_twice_and_elsewhere_gives_the_same(tmp_path: Path) -> None:
    for place in ("one", "one", "two"):
        _make("install", tmp_path / place)
    assert _tree(tmp_path / "one") == _tree(tmp_path / "two")


def test_links_lead_to_what_was_installed(tmp_path: Path) -> None:
    _make("install", tmp_path)
    programs = [
        "usr/bin/extensionctl",
        "usr/sbin/mount.extension",
        "usr/lib/systemd/system-generators/extensions-generator",
    ]
    for program in programs:
        place = tmp_path / program
        assert place.resolve().parent == tmp_path / "usr/lib/extensionctl"
        assert os.access(place, os.X_OK)
    target = tmp_path / "usr/lib/systemd/system/sysinit.target.wants/extensions.target"
    assert target.resolve() == tmp_path / "usr/lib/systemd/system/extensions.target"


def test_uninstall_takes_away_that_and_nothing_else(tmp_path: Path) -> None:
    other = tmp_path / "usr/bin/other"
    other.parent.mkdir(parents=True)
    other.write_text("mine\n")
    _make("install", tmp_path)
    _make("uninstall", tmp_path)
    assert _tree(tmp_path).keys() == {"usr/bin/other"}
    assert not (tmp_path / "usr/lib/extensionctl").exists()


@pytest.mark.parametrize("variable", ["UNITDIR", "GENERATORDIR", "TMPFILESDIR", "MANDIR"])
def test_places_can_be_chosen(tmp_path: Path, variable: str) -> None:
    _make("install", tmp_path, f"{variable}=/elsewhere")
    assert list((tmp_path / "elsewhere").iterdir())
    _make("uninstall", tmp_path)
    assert _tree(tmp_path) == {}
