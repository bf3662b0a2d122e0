#  SPDX-License-Identifier: MIT
"""Commands are run as argument lists, in the C locale, and quoted whole when they fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_runtime.pid1 import commands
from extension_runtime.pid1.commands import CommandError


def test_what_a_command_leaves() -> None:
    done = commands.run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_arguments_go_through_no_shell() -> None:
    assert commands.run(["printf", "%s|", "$HOME", "a b", "*"]).stdout == "$HOME|a b|*|"


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("SYSTEMD_COLORS", "1")
    monkeypatch.setenv("KEPT", "yes")
    script = 'echo "$LC_ALL|$SYSTEMD_PAGER|$SYSTEMD_COLORS|$KEPT"'
    assert commands.run(["sh", "-c", script]).stdout == "C.UTF-8||0|yes\n"


def test_input_is_given_and_otherwise_there_is_none() -> None:
    assert commands.run(["cat"], input="größe\n").stdout == "größe\n"
    assert commands.run(["cat"]).stdout == ""


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert commands.run(["printf", "a\\377b"]).stdout == "a\ufffdb"


def test_a_signal_is_a_negative_status() -> None:
    assert commands.run(["sh", "-c", "kill -9 $$"], check=False).returncode == -9


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["false"], "false: exit status 1: "),
        (["/nonexistent/x y"], "'/nonexistent/x y': No such file or directory"),
        (["sh", "-c", "echo no >&2; exit 2"], "sh -c 'echo no >&2; exit 2': exit status 2: no"),
        (["sh", "-c", "echo out; exit 2"], "sh -c 'echo out; exit 2': exit status 2: out"),
        (["sh", "-c", "seq 5 >&2; exit 2"], "sh -c 'seq 5 >&2; exit 2': exit status 2: 3; 4; 5"),
    ],
)
def test_a_failure_is_one_line(argv: list[str], text: str) -> None:
    with pytest.raises(CommandError) as raised:
        commands.run(argv)
    assert str(raised.value) == text


def test_time_is_up() -> None:
    with pytest.raises(CommandError, match=r"^tail -f /dev/null: not done after 0.05 s$"):
        commands.run(["tail", "-f", "/dev/null"], check=False, timeout=0.05)


def test_programs_of_the_base_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "BASE_ROOT", str(tmp_path))
    (tmp_path / "usr/bin").mkdir(parents=True)
    for name, text in (("tool", "echo of the base: $1"), ("plain", "exit 9")):
        (tmp_path / "usr/bin" / name).write_text(f"#!/bin/sh\n{text}\n")
    (tmp_path / "usr/bin/tool").chmod(0o755)
    assert commands.run(["tool", "word"]).stdout == "of the base: word\n"
    with pytest.raises(CommandError, match=r"^plain: No such file or directory$"):
        commands.run(["plain"])
    assert commands.run(["printf", "in the PATH"]).stdout == "in the PATH"
    # With a folder it is an action's, and runs in what is merged.
    assert commands.program("/usr/bin/tool") == "/usr/bin/tool"
    (tmp_path / "usr/bin/tool").unlink()
    with pytest.raises(CommandError, match=r"^tool word: No such file or directory$"):
        commands.run(["tool", "word"])
