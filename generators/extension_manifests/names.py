#  SPDX-License-Identifier: MIT
"""What is a name: of an extension, an image, a unit."""

from __future__ import annotations

from extension_manifests.escape import LETTERS, mount_unit

NAME_PLAIN = LETTERS | frozenset("._-")
IMAGE_PLAIN = NAME_PLAIN | frozenset("+~^@")
UNIT_PLAIN = LETTERS | frozenset(":-_.\\@")
NAME_MAX = 200
UNIT_MAX = 255
UNIT_SUFFIXES = (
    ".service",
    ".socket",
    ".target",
    ".mount",
    ".timer",
    ".path",
    ".automount",
    ".device",
    ".swap",
    ".slice",
    ".scope",
)
SUFFIX = ".extension"


def name_problem(name: str) -> str | None:
    """Why `name` cannot be an extension's name, or None. The rule: 1 to 200 of A-Za-z0-9._-, no dot
    and no "-" in front, and the mount unit's name fits systemd's 255 bytes (UNIT_NAME_MAX)."""
    if not name:
        return "the name is empty"
    if len(name) > NAME_MAX:
        return f"the name has more than {NAME_MAX} bytes; shorten it"
    if name[0] == ".":
        return "the name starts with a dot"
    if name[0] == "-":
        return 'the name starts with "-", as options do; start it with a letter'
    if not NAME_PLAIN.issuperset(name):
        wrong = next(char for char in name if char not in NAME_PLAIN)
        return f"the name holds {wrong!a}; use A-Z a-z 0-9 . _ - only"
    if len(mount_unit(name)) > UNIT_MAX:
        return 'the unit name made of it has more than 255 bytes ("-" counts four); shorten it'
    return None


def is_unit(word: str) -> bool:
    """Whether systemd takes `word` for a unit name: known suffix, legal characters, length."""
    stem, dot, suffix = word.rpartition(".")
    return (
        bool(stem)
        and stem[0] != "@"
        and len(word) <= UNIT_MAX
        and dot + suffix in UNIT_SUFFIXES
        and UNIT_PLAIN.issuperset(stem)
    )


def referred(word: str) -> str | None:
    """The NAME of a `NAME.extension` reference, or None when `word` is no such reference."""
    if not word.endswith(SUFFIX):
        return None
    name = word[: -len(SUFFIX)]
    return None if name_problem(name) else name
