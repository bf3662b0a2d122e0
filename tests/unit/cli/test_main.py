#  SPDX-License-Identifier: MIT
"""extensionctl: parsing, exit status, and what becomes of errors and streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_root import Root
from extension_runtime.cli import main
from pytest_mock import MockerFixture

TOP = Path(__file__).resolve().parents[3]
PROGRAM = str(TOP / "helpers/extensionctl")


def test_without_a_verb_it_is_status() -> None:
    assert main.parse([]).verb == "status"
    assert main.parse(["--json=short"]).json == "short"


@pytest.mark.parametrize("argv", [["--json=short", "list"], ["list", "--json=short"], ["list", "--json", "short"]])
def test_common_options_before_and_after_the_verb(argv: list[str]) -> None:
    assert main.parse(argv).json == "short"


def test_an_option_before_the_verb_is_not_undone_after_it() -> None:
    options = main.parse(["--no-pager", "--no-legend", "list", "--json=off"])
    assert (options.pager, options.legend, options.json) == (False, False, "off")


def test_root_is_absolute_and_the_running_system_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.parse(["list", "--root=."]).root == str(tmp_path)
    assert main.parse(["list", "--root=/"]).root == ""
    assert main.parse(["list"]).root == ""


@pytest.mark.parametrize(
    "argv",
    [
        ["frobnicate"],
        ["explain"],
        ["list", "surplus"],
        ["list", "--json=xml"],
        ["list", "--js=short"],
        ["list", "--dry-run"],
        ["merge", "--always"],
        ["--root=/does/not/exist", "list"],
        ["--root=/does\n/not/\x1bexist", "list"],
        ["list", "--unknown\nline"],
    ],
)
def test_wrong_usage_is_2_and_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("extensionctl: ")
    assert said.err.count("\n") == 1
    assert said.err[:-1].isprintable()


def test_help_of_every_verb_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    for verb, _ in main.VERBS:
        assert main.main([verb, "--help"]) == 0
        assert verb in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (OSError(5, "broken"), 1), (RuntimeError("surprise"), 1)]
)
def test_never_a_traceback(
    error: BaseException, status: int, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    mocker.patch.object(main, "find", side_effect=error)
    assert main.main(["list"]) == status
    assert "Traceback" not in capsys.readouterr().err


def test_a_closed_pipe_is_quiet(root: Root) -> None:
    for number in range(300):
        root.manifest(f"n{number}")
    read_end, write_end = os.pipe()
    os.close(read_end)
    argv = [PROGRAM, f"--root={root.path}", "list"]
    done = subprocess.run(argv, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert done.stderr == b""
    assert done.returncode == main.PIPE_CLOSED


def test_a_full_disk_is_one_line(root: Root) -> None:
    with open("/dev/full", "w") as full:
        argv = [PROGRAM, f"--root={root.path}", "list"]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "extensionctl: No space left on device\n")


def test_it_runs_from_the_checkout_through_a_link_and_without_standard_output(root: Root, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(PROGRAM)
    argv = ["sh", "-c", '"$0" "$@" >&-', str(link), "list", f"--root={root.path}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verb_imports_no_other_verbs() -> None:
    script = "import sys; from extension_runtime.cli import main; main.find('list'); print(*sys.modules)"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=_path())
    loaded = set(made.stdout.split())
    assert "extension_runtime.cli.list" in loaded
    unwanted = {"check", "change", "explain", "status"}
    assert not loaded & {f"extension_runtime.cli.{verb}" for verb in unwanted}
    assert not loaded & {"typing", "dataclasses", "pathlib", "logging"}


def _path() -> dict[str, str]:
    return {"PYTHONPATH": f"{TOP}/generators:{TOP}/helpers", "PATH": os.environ["PATH"]}
