#  SPDX-License-Identifier: MIT
"""What mount(8) and PID 1 call mount.extension with, and what it answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from extension_manifests.escape import option
from extension_runtime.image import main
from extension_runtime.image.main import CallError
from extension_runtime.kernel import syscalls


@pytest.mark.parametrize(
    ("arguments", "target", "options", "fake"),
    [
        ("a /t", "/t", [], False),
        ("a /t -n -s -v", "/t", [], False),
        ("-o ro,ext.class=sysext a -o nodev /t", "/t", ["ro", "ext.class=sysext", "nodev"], False),
        ("a -oro /t", "/t", ["ro"], False),
        ("a /t -sfo ro", "/t", ["ro"], True),
        ("-t extension -N 7 a /t", "/t", [], False),
        ("-n -- -a -t", "-t", [], False),
        ("- /t", "/t", [], False),
    ],
)
def test_arguments(arguments: str, target: str, options: list[str], fake: bool) -> None:
    call = main.parse(arguments.split())
    assert (call.target, call.options, call.fake) == (target, options, fake)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "want SOURCE TARGET [-sfnv] [-o OPTIONS]"),
        ("a", "want SOURCE TARGET [-sfnv] [-o OPTIONS]"),
        ("a b c", "want SOURCE TARGET [-sfnv] [-o OPTIONS]"),
        ("a b -o", "-o wants a value"),
        ("a b -nsfo", "-o wants a value"),
        ("a b -nx", "unknown option -x"),
        ("a b --help", "unknown option --"),
    ],
)
def test_wrong_arguments(arguments: str, text: str) -> None:
    with pytest.raises(CallError) as raised:
        main.parse(arguments.split())
    assert str(raised.value) == text


def test_our_options_are_decoded() -> None:
    text = 'a "b", c=\\d:%e; é\n'
    assert main.ours(["ro", f"ext.image={option(text)}", "ext.class=sysext:confext", "ext.x", "extra"]) == {
        "image": text,
        "class": "sysext:confext",
        "x": "",
    }
    with pytest.raises(CallError, match=r"^ext.image=\\a: a backslash in it begins no \\xNN$"):
        main.ours(["ext.image=\\a"])


@pytest.mark.parametrize(
    ("target", "root", "name"),
    [
        ("/run/extension/a", "", "a"),
        ("/run/extension/a/", "", "a"),
        ("/srv/root/run/extension/a", "/srv/root", "a"),
        ("/run/extension/x/run/extension/a", "/run/extension/x", "a"),
    ],
)
def test_targets(target: str, root: str, name: str) -> None:
    assert main.split_target(target) == (root, name)


@pytest.mark.parametrize(
    "target", ["", "/", "/run/extension", "/run/extension/", "run/extension/a", "/run/extension/a/b"]
)
def test_wrong_targets(target: str) -> None:
    with pytest.raises(CallError, match=r": extensions are mounted at /run/extension/NAME only$"):
        main.split_target(target)


@pytest.mark.parametrize("name", ["..", ".a", "a b", "a\n", "é", "a" * 201])
def test_a_target_whose_name_is_none(name: str) -> None:
    """It is a part of paths, and a word of units."""
    with pytest.raises(CallError, match=r"^/run/extension/[^\n]*: the name "):
        main.split_target(f"/run/extension/{name}")


@pytest.fixture
def unmounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is mounted anywhere, whoever asks."""

    def umount(target: str, _flags: int = 0) -> None:
        raise OSError(22, f"umount {target}: Invalid argument")

    monkeypatch.setattr(syscalls, "umount", umount)


def attached(root: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((root / f"run/extensionctl/attached/{name}.json").read_text())
    return found


@pytest.mark.parametrize("arguments", ["-f a /nowhere", "a /nowhere -o remount,ro"])
def test_nothing_to_do(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments.split()) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", ["a", "a /nowhere", "-x a /run/extension/a"])
def test_a_wrong_call_is_one_line(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments.split()) == 32
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.usefixtures("unmounted")
def test_a_broken_manifest_says_so_in_the_record_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "/etc/extensions.d/a.extension:2: Class= is wrong"
    assert main.main(["a", f"{tmp_path}/run/extension/a", "-o", f"ext.error={option(text)}"]) == 32
    assert capsys.readouterr().err == f"{text}\n"
    assert (attached(tmp_path, "a")["state"], attached(tmp_path, "a")["reason"]) == ("failed", text)


@pytest.mark.usefixtures("unmounted")
def test_an_image_that_is_missing_fails_the_mount(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc").mkdir()
    assert main.main(["/etc", f"{tmp_path}/run/extension/a", "-o", "ext.image=none"]) == 32
    assert capsys.readouterr().err.startswith("none: no such image: no none, none.raw, none.v/ or none.raw.v/ in /etc/")
    assert attached(tmp_path, "a")["state"] == "failed"


def test_a_root_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["a", "/none/run/extension/a", "-o", "ext.image=a"]) == 32
    assert capsys.readouterr().err == "/none: No such file or directory\n"
