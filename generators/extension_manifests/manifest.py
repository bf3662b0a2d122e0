#  SPDX-License-Identifier: MIT
"""Entries of a manifest and its drop-ins to a Manifest record."""

from __future__ import annotations

from extension_manifests import classes, keys
from extension_manifests.errors import ManifestError
from extension_manifests.keys import default_of, gather, one, unknown, words
from extension_manifests.units import MERGE, TARGET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.errors import Diagnostic
    from extension_manifests.unitfile import Entry
    from extension_manifests.values import Value


SECTIONS = ("Unit", "Extension", "Reload", "Install")
TABLE = {(key.section, key.name): key for key in keys.MANIFEST}
UNIT_TABLE = {(key.section, key.name): key for key in keys.unit_keys()}
TABLES = {**UNIT_TABLE, **TABLE}
# Ordering against those is a cycle: images are attached after local-fs.target and before sysinit.target.
LATE = frozenset((
    MERGE, TARGET, "sysinit.target", "basic.target", "sockets.target",
    "timers.target", "paths.target", "network.target", "network-online.target", "multi-user.target",
    "graphical.target", "default.target",
))  # fmt: skip


EARLY = frozenset(("local-fs.target", "local-fs-pre.target"))


class Manifest:
    """One extension as its manifest has it, defaults filled in; attributes are those of keys.MANIFEST, and

    name, path (of the manifest, inside the root), unit: (key, value) pairs of [Unit] in order, references as written.
    unordered: names of the extensions of its circle, itself among them: no order is kept between those. Empty for none.
    Names in `above` and `below` are without ".extension"; health_sec is in seconds."""

    __slots__ = ("name", "path", "unit", "unordered", *(key.attribute for key in keys.MANIFEST))

    if TYPE_CHECKING:
        name: str
        path: str
        unit: tuple[tuple[str, str], ...]
        unordered: frozenset[str]
        image: str
        classes: tuple[str, ...]
        above: tuple[str, ...]
        below: tuple[str, ...]
        mismatch: str
        image_policy: str
        root_hash: str
        signature: str
        hides: tuple[str, ...]
        noexec: bool
        nosuid: bool
        start: tuple[str, ...]
        restart: tuple[str, ...]
        reload_or_restart: tuple[str, ...]
        stop: tuple[str, ...]
        units: str
        actions: str
        rollback: bool
        stale: str
        health_sec: float
        wanted_by: tuple[str, ...]
        required_by: tuple[str, ...]

    def __init__(
        self, name: str, path: str, unit: tuple[tuple[str, str], ...] = (), **attributes: Value | tuple[str, ...]
    ) -> None:
        """Attributes left out have their defaults. Raises AttributeError for an unknown one."""
        self.name = name
        self.path = path
        self.unit = unit
        self.unordered = frozenset()
        for attribute, default in DEFAULTS.items():
            setattr(self, attribute, attributes.get(attribute, default))
        for attribute in attributes.keys() - DEFAULTS.keys():
            raise AttributeError(attribute)
        self.image = self.image or name
        self.nosuid = bool(attributes.get("nosuid", classes.harmless(self.classes)))

    def __repr__(self) -> str:
        return f"Manifest({self.name})"

    def references(self, key: str) -> list[str]:
        """Names of the extensions that [Unit] `key` refers to."""
        suffix = ".extension"
        return [
            word[: -len(suffix)]
            for name, value in self.unit
            if name == key
            for word in value.split()
            if word.endswith(suffix)
        ]


DEFAULTS = {key.attribute: default_of(key) for key in keys.MANIFEST}


def build(name: str, path: str, entries: list[Entry], warnings: list[Diagnostic]) -> Manifest:
    """The Manifest of `entries`, those of drop-ins behind those of the file at `path`. Unknown keys go to `warnings`.

    Raises ManifestError for the first wrong value. A value that is reset or, in a key with one value, repeated later
    is not looked at: a drop-in can repair it."""
    gathered, strange = gather(entries, TABLES)
    unknown(strange, SECTIONS, list(TABLES), warnings)
    attributes: dict[str, Value | tuple[str, ...]] = {}
    in_unit: list[tuple[int, Entry]] = []
    for place, numbered in gathered.items():
        if place in UNIT_TABLE:
            in_unit += numbered
            continue
        key, given = TABLE[place], [entry for _, entry in numbered]
        if key.kind.endswith("*"):
            attributes[key.attribute] = words(given, key.kind[:-1])
        elif given:
            attributes[key.attribute] = one(given[-1], key.kind)
    if attributes.get("classes") == ():
        del attributes["classes"]
    if attributes.get("health_sec") == float("inf"):
        raise gathered["Reload", "HealthSec"][-1][1].error("HealthSec= cannot be infinity; write a time span as 5s")
    in_unit.sort(key=lambda pair: pair[0])
    result = Manifest(name, path, tuple(unit_pair(entry) for _, entry in in_unit), **attributes)
    for direction in ("above", "below"):
        if name in getattr(result, direction):
            raise ManifestError(path, 0, f"{direction.capitalize()}= names the extension itself; remove it")
    return result


def unit_pair(entry: Entry) -> tuple[str, str]:
    """A checked pair of [Unit]. Raises ManifestError for what would be lost or would break the boot."""
    if UNIT_TABLE["Unit", entry.key].kind != "dependency*":
        return entry.key, entry.value
    found = words([entry], "dependency")
    wrong = LATE if entry.key == "After" else EARLY if entry.key == "Before" else ()
    for word in found:
        if word in wrong:
            raise entry.error(
                f"{entry.key}={word} cannot be: images are attached between local-fs.target and sysinit.target; "
                "order the service that uses it instead"
            )
    return entry.key, " ".join(found)
