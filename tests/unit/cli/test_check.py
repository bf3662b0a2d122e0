#  SPDX-License-Identifier: MIT
"""extensionctl check: every mistake with its file and line, and only mistakes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_runtime.cli import main

Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """Run `extensionctl check ARGUMENTS`; exit status and lines."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        status = main.main(["check", "--no-legend", *map(str, arguments)])
        return status, capsys.readouterr().out.splitlines()

    return run


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def image(path: Path, release: str, folder: str = "usr/lib") -> Path:
    put(path / folder / f"extension-release.d/extension-release.{path.name}", release)
    return path


def test_a_good_manifest_has_no_mistakes(tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path / "a.extension", "[Unit]\nConditionHost=x\n[Extension]\nImage=b\n")
    assert check(file) == (0, [])
    assert main.main(["check", str(file)]) == 0
    assert capsys.readouterr().out == "No mistakes found.\n"


def test_all_mistakes_of_a_manifest_are_told_at_once(tmp_path: Path, check: Check) -> None:
    text = "[Extension]\nClass=wrong\nnonsense\nMismatch=perhaps\n[Reload]\nRestrt=a.service\nRestart=a\n"
    file = put(tmp_path / "a.extension", text)
    status, lines = check(file)
    assert status == 1
    assert [line.removeprefix(f"{file}:").partition(":")[0] for line in lines] == ["2", "3", "4", "6", "7"]
    assert lines[3].startswith(f"{file}:6: warning: ")
    assert "did you mean Restart" in lines[3]


def test_a_warning_alone_is_no_failure(tmp_path: Path, check: Check) -> None:
    status, lines = check(put(tmp_path / "a.extension", "[Extension]\nColour=red\n"))
    assert status == 0
    assert len(lines) == 1


@pytest.mark.parametrize("name", ["a b", "-" * 80, "a" * 201, ".hidden", "a:b"])
def test_names(name: str, tmp_path: Path, check: Check) -> None:
    status, lines = check(put(tmp_path / f"{name}.extension", "[Extension]\n"))
    assert status == 1
    assert "name" in lines[0]


def test_masks_are_no_mistake(tmp_path: Path, check: Check) -> None:
    (tmp_path / "a.extension").symlink_to("/dev/null")
    assert check(put(tmp_path / "b.extension", ""), tmp_path / "a.extension") == (0, [])


def test_what_is_no_text_file(tmp_path: Path, check: Check) -> None:
    os.mkfifo(tmp_path / "fifo.extension")
    (tmp_path / "dangling.extension").symlink_to("nowhere")
    (tmp_path / "binary.extension").write_bytes(b"[Extension]\n\xff\n")
    (tmp_path / "nul.extension").write_bytes(b"[Extension]\n\n\0")
    status, lines = check(*sorted(tmp_path.iterdir()), tmp_path / "missing.extension")
    assert status == 1
    assert [line.removeprefix(f"{tmp_path}/").partition(": ")[0] for line in lines] == [
        "binary.extension:2",
        "dangling.extension",
        "fifo.extension",
        "missing.extension",
        "nul.extension:3",
    ]


def test_settings(tmp_path: Path, check: Check) -> None:
    text = "[Etc]\nMode=sometimes\nUpper=relative\n[Usr]\nMod=auto\n"
    files = [put(tmp_path / "extensions.conf", text), put(tmp_path / "extensions.conf.d/1.conf", text)]
    for file in files:
        status, lines = check(file)
        assert status == 1
        assert [line.removeprefix(f"{file}:").partition(":")[0] for line in lines] == ["2", "3", "5"]


@pytest.mark.parametrize("folder", ["a.extension.d", "extension.d"])
def test_dropins(folder: str, tmp_path: Path, check: Check) -> None:
    file = put(tmp_path / folder / "10-x.conf", "[Extension]\nClass=wrong\n")
    status, lines = check(file)
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith(f"{file}:2: ")


def test_all_mistakes_of_an_action(tmp_path: Path, check: Check) -> None:
    text = "[Trigger]\nPath=relative\nOn=never\n[Action]\nExec=true\nColour=red\n"
    file = put(tmp_path / "a.action", text)
    status, lines = check(file)
    assert status == 1
    assert [line.removeprefix(f"{file}:").partition(":")[0] for line in lines] == ["2", "3", "5", "6"]
    assert check(put(file, "[Trigger]\nPath=/usr/lib/a/\n[Action]\nExec=/bin/true\n")) == (0, [])
    assert "Path=" in check(put(file, "[Action]\nExec=/bin/true\n"))[1][0]


@pytest.mark.parametrize(
    ("line", "said"),
    [("Path=/[z-a]*", "no range"), ("Path=/[", "end the set"), ("Order=--1", "a whole number"), ("Order=-", "a whole")],
)
def test_what_kept_a_boot_from_merging_is_found(line: str, said: str, tmp_path: Path, check: Check) -> None:
    section = "Trigger" if "Path" in line else "Action"
    (tmp_path / "a.action").write_text(f"[Trigger]\nPath=/a\n[Action]\nExec=/x\n[{section}]\n{line}\n")
    code, found = check(tmp_path / "a.action")
    assert code == 1
    assert [said in text for text in found] == [True]
    assert found[0].startswith(f"{tmp_path}/a.action:6: ")


def test_a_folder_of_manifests(tmp_path: Path, check: Check) -> None:
    put(tmp_path / "a.extension", "[Extension]\nClass=wrong\n")
    put(tmp_path / "extensions.conf", "[Etc]\nMode=x\n")
    put(tmp_path / "README", "nothing to see")
    status, lines = check(tmp_path)
    assert (status, len(lines)) == (1, 2)


def test_images_that_are_directories(tmp_path: Path, check: Check) -> None:
    system = put(tmp_path / "os-release", "ID=debian\nVERSION_ID=12\n")
    good = image(tmp_path / "good", "ID=debian\nVERSION_ID=12\n")
    both = image(image(tmp_path / "both", "ID=_any\n"), "ID=_any\n", "etc")
    assert check("--os-release", system, good, both) == (0, [])
    other = image(tmp_path / "other", "ID=debian\nVERSION_ID=13\n")
    status, lines = check("--os-release", system, other)
    assert status == 1
    assert lines[0].startswith(f"{other}: made for VERSION_ID=13, this host is VERSION_ID=12")
    newer = put(tmp_path / "newer", "ID=debian\nVERSION_ID=13\n")
    assert check("--os-release", newer, other) == (0, [])


def test_images_that_cannot_be_used(tmp_path: Path, check: Check) -> None:
    (tmp_path / "bare/usr").mkdir(parents=True)
    assert "no release file" in check(tmp_path / "bare")[1][0]
    carries = image(tmp_path / "carries", "ID=_any\n")
    put(carries / "usr/lib/os-release", "ID=x\n")
    assert "os-release" in check(carries)[1][0]
    brings = image(tmp_path / "brings", "ID=_any\n")
    put(brings / "usr/lib/extensions.d/x.extension", "[Extension]\n")
    assert "manifest" in check(brings)[1][0]
    misnamed = image(tmp_path / "first", "ID=_any\n").rename(tmp_path / "second")
    assert "extension-release.second" in check(misnamed)[1][0]
    quote = image(tmp_path / "quote", "ID=_any\nNAME='x\n")
    assert check(quote)[0] == 1
    assert ":2:" in check(quote)[1][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\0" * 512 + b"EFI PART" + b"\0" * 4096, "disk image"),
        (b"#!/bin/sh\n" + b"\0" * 4096, "a script"),
        (b"hsqs" + b"\0" * 36 + (1 << 20).to_bytes(8, "little") + b"\0" * 4096, "truncated"),
    ],
)
def test_raw_images(content: bytes, said: str, tmp_path: Path, check: Check) -> None:
    file = tmp_path / "a.raw"
    file.write_bytes(content)
    status, lines = check(file)
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith(f"{file}: ")
    assert said in lines[0]


def test_everything_below_a_root(tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "etc/extensions.d/a.extension", "[Extension]\nClass=wrong\nMismatch=wrong\nAbove=a.extension\n")
    put(tmp_path / "usr/lib/extensions.d/a.extension", "[Extension]\nhidden by the other\n")
    put(tmp_path / "run/extensions.d/b.extension", "[Extension]\nAbove=c.extension\n")
    put(tmp_path / "run/extensions.d/c.extension", "[Extension]\nAbove=b.extension\n")
    put(tmp_path / "etc/extensions.d/extensions.conf", "[Opt]\nMode=x\n")
    put(tmp_path / "usr/lib/extensions.d/z.action", "[Trigger]\nPath=a\nOn=b\n")
    status, lines = check(f"--root={tmp_path}")
    assert status == 1
    assert [line.partition(" ")[0] for line in lines if "warning" not in line] == [
        "/etc/extensions.d/a.extension:",
        "/etc/extensions.d/a.extension:2:",
        "/etc/extensions.d/a.extension:3:",
        "/etc/extensions.d/extensions.conf:2:",
        "/usr/lib/extensions.d/z.action:2:",
        "/usr/lib/extensions.d/z.action:3:",
    ]
    assert any("warning" in line and "b" in line and "c" in line for line in lines)
    main.main(["check", f"--root={tmp_path}", "--json=short"])
    found = json.loads(capsys.readouterr().out)
    assert set(found[0]) == {"path", "line", "severity", "message"}
