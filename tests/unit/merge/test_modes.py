#  SPDX-License-Identifier: MIT
"""Modes while the settings have a mistake: those of the last merge, which are remembered where a reboot leaves them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests import load
from extension_manifests.settings import Settings
from extension_runtime import jsontext
from extension_runtime.merge import modes
from extension_runtime.merge.state import Merged, Spec, Stacked, State
from extension_runtime.paths import Paths

FILE = "etc/extensions.d/extensions.conf"
WRONG: dict[str, bytes] = {
    "word": b"[Etc]\nMode=persistant\n",
    "section": b"[etc]\nMode=persistent\n",
    "key": b"[Etc]\nMod=persistent\n",
    "latin": "[Etc]\n# gr\u00fcn\nMode=persistent\n".encode("latin-1"),
    "nul": b"[Etc]\nMode=persistent\0\n",
    "line": b"[Etc]\nMode persistent\n",
    "no section": b"Mode=persistent\n",
    "upper": b"[Etc]\nMode=persistent\nUpper=/etc/up\n",
    "flag": b"[Etc]\nMode=persistent\nImport=perhaps\n",
    "huge": b"#" * (1 << 20) + b"\n[Etc]\nMode=persistent\n",
    "other": b"[Refresh]\nTimeoutSec=soon\n",
}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "etc/extensions.d").mkdir(parents=True)
    return Paths(str(tmp_path))


def settings(
    paths: Paths, text: bytes = b"", cmdline: str = "", place: str = "etc/extensions.d/extensions.conf"
) -> Settings:
    file = Path(paths.root, place)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text)
    return load.load(paths.root, cmdline).settings


def state(mode: str = "persistent", upper: str = "/srv/etc", imported: bool = False, merged: bool = True) -> State:
    spec = Spec(mode, [], upper, imported, merged)
    return State(Merged(3, 7, {"etc": Stacked("/etc", mode, merged, True, upper, [], 3, spec)}, {}))


def asked(found: Settings, name: str = "etc") -> tuple[str, str, bool]:
    one = found.hierarchy(name)
    return one.mode, one.upper, one.import_


def test_without_a_mistake_the_settings_count(paths: Paths) -> None:
    found = settings(paths, b"[Etc]\nMode=ephemeral\n[X-Other]\nMode=?\n")
    assert modes.keep(paths, found, state()) == []
    assert found.etc.mode == "ephemeral"


@pytest.mark.parametrize("place", ["etc/extensions.d/extensions.conf", "etc/extensions.d/extensions.conf.d/1.conf"])
@pytest.mark.parametrize("wrong", WRONG)
def test_with_one_what_is_merged_counts(paths: Paths, wrong: str, place: str) -> None:
    found = settings(paths, WRONG[wrong] + b"[Usr]\nMode=ephemeral\n", place=place)
    said = modes.keep(paths, found, state())
    assert asked(found) == ("persistent", "/srv/etc", False)
    assert asked(found, "usr") == ("auto", "/var/lib/extensions.mutable/usr", False)
    assert said[0].startswith(f"/{place}:")
    assert said[-1].endswith("; until that is mended, hierarchies keep the mode that they had last")


@pytest.mark.parametrize(
    "cmdline", ["extensions.etc=persistant", "extensions.etc", "extensions=none", "extensions.usr=no"]
)
def test_a_mistake_on_the_kernel_command_line_is_one(paths: Paths, cmdline: str) -> None:
    found = settings(paths, b"[Etc]\nMode=ephemeral\n", cmdline)
    assert modes.keep(paths, found, state())[0].startswith("/proc/cmdline: ")
    assert asked(found) == ("persistent", "/srv/etc", False)


def test_a_file_that_is_none_is_a_mistake(paths: Paths) -> None:
    place = Path(paths.root, "etc/extensions.d/extensions.conf")
    makers: tuple[Callable[[Path], object], ...] = (
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path),
    )
    for make in makers:
        make(place)
        found = load.load(paths.root, "").settings
        assert modes.keep(paths, found, state())
        assert asked(found) == ("persistent", "/srv/etc", False)
        place.rmdir() if place.is_dir() else place.unlink()


def test_a_folder_that_cannot_be_listed_is_a_mistake(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.listdir

    def listdir(path: str) -> list[str]:
        if str(path).endswith("/etc/extensions.d"):
            raise OSError(5, "Input/output error")
        return original(path)

    monkeypatch.setattr(os, "listdir", listdir)
    found = load.load(paths.root, "")
    assert [str(problem) for problem in found.diagnostics] == [
        "/etc/extensions.d: cannot be listed: Input/output error"
    ]
    assert modes.keep(paths, found.settings, state())
    assert found.settings.etc.mode == "persistent"


def test_what_is_imported_and_ephemeral_stays_so(paths: Paths) -> None:
    found = settings(paths, WRONG["word"])
    modes.keep(paths, found, state("ephemeral", "/srv/e", True))
    assert asked(found) == ("ephemeral", "/srv/e", True)


def test_after_a_reboot_it_is_what_was_remembered(paths: Paths) -> None:
    right = settings(paths, b"[Etc]\nMode=persistent\nUpper=/srv/etc\n[Opt]\nImport=yes\n")
    modes.remember(paths, right)
    place = Path(paths.root, "var/lib/extensions.mutable/.modes.json")
    assert place.stat().st_mode & 0o777 == 0o600
    before = place.stat().st_ino
    modes.remember(paths, right)
    assert place.stat().st_ino == before
    found = settings(paths, WRONG["word"])
    modes.remember(paths, found)
    assert modes.keep(paths, found, State())
    assert asked(found) == ("persistent", "/srv/etc", False)
    assert asked(found, "opt") == ("auto", "/var/lib/extensions.mutable/opt", True)
    # What is merged counts more, and what is not merged any more does not.
    modes.keep(paths, found, state("ephemeral"))
    assert found.etc.mode == "ephemeral"
    modes.keep(paths, found, state("ephemeral", merged=False))
    assert found.etc.mode == "persistent"
    modes.remember(paths, settings(paths))
    assert not place.exists()
    modes.remember(paths, settings(paths))
    assert modes.keep(paths, found, State())
    assert found.etc.mode == "auto"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "{", '{"etc": 7}', '{"etc": ["great", "/u", false]}', '{"etc": ["auto", "u", false]}', "[" * 99999,
     '{"etc": ["auto", "/u", 0]}', '{"etc": ["auto", 7, false]}', '{"etc": ["auto"]}'],
)  # fmt: skip
def test_what_is_remembered_wrong_is_not_remembered(paths: Paths, text: str) -> None:
    place = Path(paths.root, "var/lib/extensions.mutable/.modes.json")
    place.parent.mkdir(parents=True)
    place.write_text(text)
    assert modes.read(paths) == {}
    modes.remember(paths, settings(paths, b"[Etc]\nMode=ephemeral\n"))
    assert jsontext.loads(place.read_text()) == {"etc": ["ephemeral", "/var/lib/extensions.mutable/etc", False]}
