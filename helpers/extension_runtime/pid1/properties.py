#  SPDX-License-Identifier: MIT
"""Takes apart what systemctl shows of a unit: its commands and its environment."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = ("ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop")


def program_paths(properties: Mapping[str, str]) -> list[str]:
    """The programs of a unit's commands, each once."""
    return list(dict.fromkeys(value for key in COMMANDS for name, value in _fields(properties, key) if name == "path"))


def argument_paths(properties: Mapping[str, str]) -> list[str]:
    """The absolute paths among the arguments of ExecStart=, also behind a "="."""
    found: dict[str, None] = {}
    for name, value in _fields(properties, "ExecStart"):
        if name == "argv[]":
            for word in value.split()[1:]:
                path = word if word.startswith("/") else word.partition("=")[2]
                if path.startswith("/"):
                    found[path] = None
    return list(found)


def _fields(properties: Mapping[str, str], key: str) -> list[tuple[str, str]]:
    """The fields of commands as systemctl shows them: { path=/bin/x ; argv[]=/bin/x -a ; ... }, a line for each."""
    found = []
    for line in properties.get(key, "").split("\n"):  # an argument may hold what Unicode takes for the end of a line
        for field in line.strip("{} ").split(" ; "):
            name, _, value = field.strip().partition("=")
            found.append((name, value))
    return found


def library_folders(environment: str) -> list[str]:
    """The folders of LD_LIBRARY_PATH= in a unit's Environment, as systemctl shows it."""
    for word in environment.split():
        if word.startswith("LD_LIBRARY_PATH="):
            return [folder.rstrip("/") for folder in word.partition("=")[2].split(":") if folder.startswith("/")]
    return []
