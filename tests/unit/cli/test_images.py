#  SPDX-License-Identifier: MIT
"""extensionctl check of images: compared with a system and with one another before anything is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_runtime.cli import main
from extension_runtime.image import inspect

Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A root with a few things that images meet."""
    root = tmp_path / "system"
    put(root / "usr/lib/os-release", "ID=debian\nVERSION_ID=12\n")
    put(root / "usr/bin/tool", "base")
    put(root / "usr/bin/systemctl", "base")
    put(root / "etc/app.conf", "base")
    (root / "usr/sbin").symlink_to("bin")
    (root / "opt").mkdir()
    return root


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], system: Path) -> Check:
    """Run `extensionctl check --os-root=SYSTEM ARGUMENTS`; exit status and lines."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        status = main.main(["check", "--no-legend", f"--os-root={system}", *map(str, arguments)])
        return status, capsys.readouterr().out.splitlines()

    return run


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def image(path: Path, *files: str, release: str = "ID=_any\n", folder: str = "usr/lib") -> Path:
    put(path / folder / f"extension-release.d/extension-release.{path.name}", release)
    for file in files:
        put(path / file, path.name)
    return path


def test_an_image_that_only_adds_has_no_mistakes(tmp_path: Path, check: Check) -> None:
    good = image(tmp_path / "good", "usr/bin/new", "opt/good/file")
    assert check(good) == (0, [])


def test_an_image_is_matched_with_that_system(tmp_path: Path, check: Check) -> None:
    other = image(tmp_path / "other", release="ID=debian\nVERSION_ID=13\n")
    assert check(other) == (
        1,
        [f"{other}: made for VERSION_ID=13, this host is VERSION_ID=12 (sysext)"],
    )


def test_what_takes_away_is_an_error_with_its_path(tmp_path: Path, check: Check) -> None:
    bad = image(tmp_path / "bad", "usr/sbin/daemon", "usr/bin/systemctl")
    status, lines = check(bad)
    assert status == 1
    assert [line.removeprefix(f"{bad}: ").partition(":")[0] for line in lines] == ["/usr/bin/systemctl", "/usr/sbin"]
    assert lines[1].endswith("allow it with Hides=/usr/sbin")


@pytest.mark.parametrize("where", ["beside", "installed"])
def test_a_manifest_may_allow_it(tmp_path: Path, system: Path, check: Check, where: str) -> None:
    bad = image(tmp_path / "bad", "usr/sbin/daemon")
    text = "[Extension]\nHides=/usr/sb*\n"
    if where == "beside":
        status, lines = check(put(tmp_path / "bad.extension", text), bad)
    else:
        put(system / "etc/extensions.d/other.extension", f"{text}Image=bad\n")
        status, lines = check(bad)
    assert (status, lines) == (0, [f"{bad}: warning: /usr/sbin: replaces that of the system"])


def test_files_over_files_are_named_also_between_images(tmp_path: Path, check: Check) -> None:
    one, two = (
        image(tmp_path / "one", "usr/bin/tool", "usr/bin/x"),
        image(tmp_path / "two", "usr/bin/tool", "usr/bin/x"),
    )
    assert check(one, two) == (
        0,
        [
            f"{one}: warning: /usr/bin/tool: replaces that of the system",
            f"{two}: warning: /usr/bin/tool: replaces that of one",
            f"{two}: warning: /usr/bin/x: replaces that of one",
        ],
    )


def test_of_many_files_the_first_hundred_are_named(tmp_path: Path, system: Path, check: Check) -> None:
    files = [f"usr/share/f{number:03}" for number in range(120)]
    for file in files:
        put(system / file)
    status, lines = check(image(tmp_path / "many", *files))
    assert (status, len(lines)) == (0, 101)
    assert any(line.endswith("20 more files replace that of the system") for line in lines)


def test_folders_that_keep_what_the_system_has_and_content_that_counts_for_nothing(
    tmp_path: Path, check: Check
) -> None:
    odd = image(tmp_path / "odd", "usr/bin/new", "lib/x")
    (odd / "usr/bin").chmod(0o700)
    assert check(odd) == (
        0,
        [
            f"{odd}: warning: /lib in the image counts for nothing; put /lib below /usr",
            f"{odd}: warning: /usr/bin: has another mode, owner or attribute than on the system, whose are kept",
        ],
    )


def test_programs_read_all_of_it(tmp_path: Path, system: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = image(tmp_path / "bad", "usr/sbin/daemon")
    assert main.main(["check", f"--os-root={system}", str(bad), "--json=short"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(entry["path"], entry["severity"]) for entry in found] == [(str(bad), "error")]


def test_one_that_cannot_be_used_does_not_keep_others_from_being_looked_at(tmp_path: Path, check: Check) -> None:
    broken, tool = tmp_path / "broken", image(tmp_path / "fine", "usr/bin/tool")
    (broken / "usr").mkdir(parents=True)
    status, lines = check(broken, tool)
    assert status == 1
    assert ["has no release file" in lines[0], lines[1]] == [
        True,
        f"{tool}: warning: /usr/bin/tool: replaces that of the system",
    ]


def test_what_only_root_can_see_is_not_passed_over_silently(
    tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = put(tmp_path / "a.raw")
    monkeypatch.setattr(inspect, "top_of", lambda _picked: ("squashfs", -1))
    assert check(raw) == (0, [f"{raw}: warning: only root can look into a squashfs image; use sudo"])


def test_a_system_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["check", f"--os-root={tmp_path}/none", str(tmp_path)]) == 2
    assert f"--os-root={tmp_path}/none: no such directory" in capsys.readouterr().err
