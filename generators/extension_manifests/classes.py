#  SPDX-License-Identifier: MIT
"""The one table of classes: what images of each extend, where they are found, and which release fields count for them.

The rules are those of systemd-sysext(8), systemd-confext(8) and os-release(5).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


class Class:
    """One class of images.

    `folders`: where its images are looked for, first match wins.  `hierarchies`: what they extend.
    `releases`: the folder of release files in them.  `level` and `scope`: fields of those (`level` also of the host's).
    `harmless`: whether what is merged over their hierarchies is nosuid.
    """

    __slots__ = ("folders", "harmless", "hierarchies", "level", "name", "releases", "scope")

    def __init__(
        self, name: str, folders: tuple[str, ...], hierarchies: tuple[str, ...], releases: str, harmless: bool
    ) -> None:
        self.name = name
        self.folders = folders
        self.hierarchies = hierarchies
        self.releases = releases
        self.harmless = harmless
        self.level = f"{name.upper()}_LEVEL"
        self.scope = f"{name.upper()}_SCOPE"


SYSEXT = Class(
    "sysext",
    ("/etc/extensions", "/run/extensions", "/var/lib/extensions"),
    ("usr", "opt"),
    "usr/lib/extension-release.d",
    False,
)
CONFEXT = Class(
    "confext",
    ("/run/confexts", "/var/lib/confexts", "/usr/local/lib/confexts", "/usr/lib/confexts"),
    ("etc",),
    "etc/extension-release.d",
    True,
)
CLASSES = {class_.name: class_ for class_ in (SYSEXT, CONFEXT)}
NAMES = tuple(CLASSES)
DEFAULT = (SYSEXT.name,)
HIERARCHIES = tuple(name for class_ in CLASSES.values() for name in class_.hierarchies)


def of(names: Collection[str]) -> list[Class]:
    """The classes of these names, in the order of the table."""
    return [class_ for name, class_ in CLASSES.items() if name in names]


def harmless(names: Collection[str]) -> bool:
    """Whether NoSuid= is on by default: an image that is of another class, too, may bring programs."""
    return all(class_.harmless for class_ in of(names))
