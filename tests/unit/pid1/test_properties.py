#  SPDX-License-Identifier: MIT
"""What systemctl shows of a unit's commands and environment, taken apart."""

from __future__ import annotations

import pytest
from extension_runtime.pid1 import properties

TAIL = " ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"


def command(path: str, argv: str) -> str:
    return f"{{ path={path} ; argv[]={argv}{TAIL}"


UNIT = {
    "ExecStartPre": command("/usr/bin/check", "/usr/bin/check --all"),
    "ExecStart": "\n".join(
        [
            command("/usr/bin/d", "/usr/bin/d /etc/d.conf --root=/srv/d plain --x=y /etc/d.conf"),
            command("/opt/e", "/opt/e -c /etc/e"),
        ]
    ),
    "ExecReload": command("/usr/bin/check", "/usr/bin/check /not/an/argument/of/start"),
    "ExecStop": "",
    "ExecCondition": command("/usr/bin/other", "/usr/bin/other"),
}


def test_programs_are_told_once() -> None:
    assert properties.program_paths(UNIT) == ["/usr/bin/check", "/usr/bin/d", "/opt/e"]
    assert properties.program_paths({}) == []


def test_paths_among_the_arguments_of_start() -> None:
    assert properties.argument_paths(UNIT) == ["/etc/d.conf", "/srv/d", "/etc/e"]
    assert properties.argument_paths({"ExecStart": ""}) == []


@pytest.mark.parametrize(
    ("environment", "folders"),
    [
        ("", []),
        ("A=b LD_LIBRARY_PATH=/opt/a/lib/:/opt/b B=c", ["/opt/a/lib", "/opt/b"]),
        ("LD_LIBRARY_PATH=relative::/x", ["/x"]),
        ("MY_LD_LIBRARY_PATH=/x", []),
    ],
)
def test_folders_of_libraries(environment: str, folders: list[str]) -> None:
    assert properties.library_folders(environment) == folders


@pytest.mark.parametrize("char", "\x0b\x0c\r\x1c\x85\u2028")
def test_only_a_newline_ends_a_command(char: str) -> None:
    shown = f"{{ path=/bin/a ; argv[]=/bin/a x{char}path=/x{char} /etc/b ; ignore_errors=no }}\n"
    assert properties.program_paths({"ExecStart": shown}) == ["/bin/a"]
    assert "/etc/b" in properties.argument_paths({"ExecStart": shown})
