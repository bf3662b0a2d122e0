"""make install and make uninstall, below a DESTDIR: the same bytes every time, and nothing left afterwards."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from requirements import require_tool

TOP = Path(__file__).resolve().parents[1]


def _ran(target: str, destination: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    require_tool("make")
    return subprocess.run(
        ["make", "-s", "-C", str(TOP), target, f"DESTDIR={destination}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _make(target: str, destination: Path, *arguments: str) -> str:
    ran = _ran(target, destination, *arguments)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


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


def test_programs_find_their_packages(tmp_path: Path) -> None:
    """And are no links: a layer that hides the folder of the packages leaves the programs."""
    _make("install", tmp_path / "one", "PREFIX=/usr/local")
    _make("install", tmp_path / "two")
    for program, arguments, said in (
        ("one/usr/local/bin/extensionctl", ["--help"], "usage: extensionctl"),
        ("two/usr/bin/extensionctl", ["--help"], "usage: extensionctl"),
        ("one/usr/sbin/mount.extension", [], "want SOURCE TARGET"),
        ("two/usr/sbin/mount.extension", [], "want SOURCE TARGET"),
        ("one/usr/local/lib/extensionctl/extensions-merge", [], "usage: extensions-merge"),
        ("two/usr/lib/extensionctl/extensions-merge", [], "usage: extensions-merge"),
        ("one/usr/lib/systemd/system-generators/extensions-generator", ["--nonsense"], "extensions-generator"),
        ("two/usr/lib/systemd/system-generators/extensions-generator", ["--nonsense"], "extensions-generator"),
    ):
        assert not (tmp_path / program).is_symlink()
        ran = subprocess.run([tmp_path / program, *arguments], capture_output=True, text=True, check=False)
        assert said in ran.stdout + ran.stderr and "Traceback" not in ran.stderr, ran
    target = tmp_path / "two/usr/lib/systemd/system/sysinit.target.wants/extensions.target"
    assert target.resolve() == tmp_path / "two/usr/lib/systemd/system/extensions.target"


def test_what_is_installed_names_the_places_it_was_installed_to(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    _make("install", tmp_path / "tree", "PREFIX=/usr/local", f"PYTHON={python}")
    tmp_path /= "tree"
    texts = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert [path for path, text in texts.items() if b"/usr/lib/extensionctl" in text] == []
    merge = (tmp_path / "usr/lib/systemd/system/extensions-merge.service").read_text()
    assert "ExecSearchPath=/run/extensionctl/base/usr/local/lib/extensionctl:/usr/local/lib/extensionctl\n" in merge
    programs = {path.name for path, text in texts.items() if f" python={python} ".encode() in text}
    assert programs == {"extensionctl", "extensions-merge", "extensions-generator", "mount.extension"}


@pytest.mark.parametrize("mask", [0o077, 0o000, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        ran = _ran("install", tmp_path / "tree")
    finally:
        os.umask(before)
    assert ran.returncode == 0, ran.stdout
    for path in [tmp_path / "tree", *(tmp_path / "tree").rglob("*")]:
        wanted = 0o755 if path.is_dir() or path.read_bytes().startswith(b"#!") else 0o644
        assert path.is_symlink() or path.stat().st_mode & 0o7777 == wanted, path


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


# One of each kind that install puts somewhere, and a folder where a file goes.
PLACES = (
    "usr/bin/extensionctl",
    "usr/sbin/mount.extension",
    "usr/lib/extensionctl/extension_runtime/paths.py",
    "usr/lib/systemd/system/extensions-merge.service",
    "usr/lib/systemd/system/sysinit.target.wants/extensions.target",
    "usr/lib/extensions.d/tmpfiles.action",
    "usr/share/man/man1/extensionctl.1",
)


def _foreign(place: Path, kind: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        place.symlink_to("/nowhere")
    else:
        place.write_text("mine\n")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_files_of_others_are_not_overwritten(tmp_path: Path, kind: str) -> None:
    for place in PLACES:
        _foreign(tmp_path / place, kind)
    before = _tree(tmp_path)
    ran = _ran("install", tmp_path)
    assert ran.returncode != 0
    for place in PLACES:
        assert f"{tmp_path / place}: was not installed by this program\n" in ran.stdout
    assert "nothing was installed: move these away, or replace them with make install FORCE=1\n" in ran.stdout
    assert _tree(tmp_path) == before
    _make("install", tmp_path, "FORCE=1")
    assert _tree(tmp_path)["usr/bin/extensionctl"] != before["usr/bin/extensionctl"]
    _make("uninstall", tmp_path)
    assert _tree(tmp_path) == {}


def test_what_cannot_be_replaced_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "usr/bin/extensionctl").mkdir(parents=True)
    (tmp_path / "usr/share").mkdir()
    (tmp_path / "usr/share/man").write_text("no folder\n")
    ran = _ran("install", tmp_path, "FORCE=1")
    assert ran.returncode != 0
    assert f"{tmp_path}/usr/bin/extensionctl: is not a file\n" in ran.stdout
    assert f"{tmp_path}/usr/share/man: is not a folder\n" in ran.stdout
    assert "nothing was installed: move these away, for they cannot be replaced\n" in ran.stdout
    assert _tree(tmp_path).keys() == {"usr/share/man"}


def test_what_was_changed_since_stays(tmp_path: Path) -> None:
    _make("install", tmp_path)
    for place in PLACES:
        (tmp_path / place).unlink()
        _foreign(tmp_path / place, "file")
    kept = tmp_path / "usr/lib/extensionctl/notes"
    kept.write_text("mine\n")
    before = _tree(tmp_path)
    ran = _ran("install", tmp_path)
    assert ran.returncode != 0 and _tree(tmp_path) == before
    said = _make("uninstall", tmp_path)
    for place in PLACES:
        assert f"left: {tmp_path / place}: was changed since it was installed\n" in said
    assert _tree(tmp_path).keys() == {*PLACES, "usr/lib/extensionctl/notes"}


def test_a_file_that_was_removed_is_installed_again(tmp_path: Path) -> None:
    _make("install", tmp_path)
    before = _tree(tmp_path)
    (tmp_path / "usr/bin/extensionctl").unlink()
    _make("install", tmp_path)
    assert _tree(tmp_path) == before


def test_the_list_of_the_version_before_is_understood(tmp_path: Path) -> None:
    """It had paths alone, and links where there are programs now."""
    _make("install", tmp_path)
    new = _tree(tmp_path)
    listed = tmp_path / "usr/lib/extensionctl/installed"
    program, old = tmp_path / "usr/bin/extensionctl", tmp_path / "usr/lib/extensionctl/extensionctl"
    program.rename(old)
    program.symlink_to("../lib/extensionctl/extensionctl")
    paths = [line.partition(" ")[2] for line in listed.read_text().splitlines()]
    listed.write_text("\n".join([*paths, "/usr/lib/extensionctl/extensionctl"]) + "\n")
    _make("install", tmp_path)
    assert _tree(tmp_path) == new
    listed.write_text("\n".join(paths) + "\n")
    _make("uninstall", tmp_path)
    assert _tree(tmp_path) == {}


def test_what_fails_half_way_can_be_taken_away(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    broken.chmod(0o755)
    ran = _ran("install", tmp_path / "tree", f"PYTHON={broken}")
    assert ran.returncode != 0
    _make("uninstall", tmp_path / "tree")
    assert _tree(tmp_path / "tree") == {}


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_setup_wants_to_know_all_places_first(tmp_path: Path, verb: str) -> None:
    environment = {"PATH": os.environ["PATH"], "DESTDIR": str(tmp_path), "LIBDIR": "/usr/lib/extensionctl"}
    ran = subprocess.run([TOP / "setup", verb], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, f"setup: BINDIR= is not set; run make {verb} instead\n")
    assert _tree(tmp_path) == {}


def test_what_a_version_before_left_in_our_own_folder_is_replaced(tmp_path: Path) -> None:
    """One that knows less files leaves those of this one, and does not list them."""
    _make("install", tmp_path)
    new = _tree(tmp_path)
    listed = tmp_path / "usr/lib/extensionctl/installed"
    kept = [line for line in listed.read_text().splitlines() if not line.endswith("/boundary.py")]
    listed.write_text("\n".join(kept) + "\n")
    (tmp_path / "usr/lib/extensionctl/extension_runtime/boundary.py").write_text("old\n")
    _make("install", tmp_path)
    assert _tree(tmp_path) == new
