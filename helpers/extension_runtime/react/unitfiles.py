#  SPDX-License-Identifier: MIT
"""The unit files of a view, found and read as PID 1 does it: precedence, masks, aliases, templates, drop-ins, links."""

from __future__ import annotations

from extension_manifests.names import UNIT_MAX
from extension_manifests.unitfile import parse
from extension_manifests.values import says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.errors import ManifestError

    from extension_runtime.layers.tree import View

DIRECTORIES = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""systemd.unit(5), "Unit File Load Path", highest precedence first."""
MERGED = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
USER = ("/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user")
LINKS = (".wants", ".requires", ".upholds")
PULLS = ("Requires", "BindsTo", "Wants", "Upholds")
MASK = "/dev/null"


class Link:
    """`path` says that `parent` pulls in `child`."""

    __slots__ = ("child", "parent", "path")

    def __init__(self, parent: str, child: str, path: str) -> None:
        self.parent = parent
        self.child = child
        self.path = path


def template(unit: str) -> str:
    """foo@.service for foo@bar.service, "" for what is no instance."""
    stem, _, suffix = unit.rpartition(".")
    at = stem.find("@")
    return f"{stem[: at + 1]}.{suffix}" if 0 <= at < len(stem) - 1 else ""


def instance_of(unit: str, name: str) -> bool:
    """Whether `unit` is an instance of the template `name`."""
    return "@." in name and template(unit) == name


class UnitFiles:
    """What `view` holds of units.  Every answer is kept: a view does not change."""

    __slots__ = ("_dropins", "_folders", "_fragments", "_links", "_settings", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self._folders: dict[str, frozenset[str]] = {}
        self._fragments: dict[str, str] = {}
        self._dropins: dict[str, list[str]] = {}
        self._settings: dict[str, dict[tuple[str, str], list[str]]] = {}
        self._links: list[Link] | None = None

    def _names(self, folder: str) -> frozenset[str]:
        if folder not in self._folders:
            self._folders[folder] = frozenset(self.view.names(folder))
        return self._folders[folder]

    def fragment(self, unit: str) -> str:
        """The path of the file that counts for `unit` (its template's for an instance), "" when there is none."""
        if unit not in self._fragments:
            found = ""
            for name in filter(None, (unit, template(unit))):
                found = next((f"{d}/{name}" for d in DIRECTORIES if name in self._names(d)), "")
                if found and self.view.resolve(found) is None:
                    found = ""
                if found:
                    break
            self._fragments[unit] = found
        return self._fragments[unit]

    def masked(self, unit: str) -> bool:
        """Whether the file of `unit` is /dev/null or empty."""
        path = self.fragment(unit)
        if not path:
            return False
        real = self.view.resolve(path)
        return real == MASK or (self.view.kind(real or "")[0] == "file" and not self.view.text(path))

    def exists(self, unit: str) -> bool:
        """Whether `unit` could be loaded."""
        return bool(self.fragment(unit)) and not self.masked(unit)

    def canonical(self, unit: str) -> str:
        """The name that an alias stands for, else `unit` itself."""
        path = self.fragment(unit)
        for _ in range(8):
            kind, target = self.view.kind(path) if path else ("", "")
            if kind != "link":
                break
            name = target.rpartition("/")[2]
            if name in ("", "null") or name.rpartition(".")[2] != unit.rpartition(".")[2]:
                break
            if "@." in name:
                # An instance may be a link to its template, or to another's.
                instance = unit.partition("@")[2]
                name = f"{name.partition('@')[0]}@{instance}" if "@" in unit else name
            if name == unit:
                break
            unit, path = name, self.fragment(name)
        return unit

    def dropins(self, unit: str) -> list[str]:
        """The drop-ins that apply to `unit`, in their order."""
        if unit not in self._dropins:
            found: dict[str, str] = {}
            for folder in dropin_folders(unit):
                for directory in DIRECTORIES:
                    if folder in self._names(directory):
                        for name in self._names(f"{directory}/{folder}"):
                            if name.endswith(".conf"):
                                found.setdefault(name, f"{directory}/{folder}/{name}")
            self._dropins[unit] = [found[name] for name in sorted(found) if self.view.resolve(found[name]) != MASK]
        return self._dropins[unit]

    def settings(self, unit: str) -> dict[tuple[str, str], list[str]]:
        """(section, key) to the values of `unit` with its drop-ins; what does not parse is left out, as PID 1 does."""
        if unit not in self._settings:
            found: dict[tuple[str, str], list[str]] = {}
            for path in filter(None, (self.fragment(unit), *self.dropins(unit))):
                problems: list[ManifestError] = []
                for entry in parse(self.view.text(path), path, problems):
                    place = (entry.section, entry.key)
                    if entry.value:
                        found.setdefault(place, []).append(entry.value)
                    else:
                        found[place] = []
            self._settings[unit] = found
        return self._settings[unit]

    def words(self, unit: str, key: str) -> list[str]:
        """The words of all values of [Unit] `key`."""
        return [word for value in self.settings(unit).get(("Unit", key), ()) for word in value.split()]

    def says(self, unit: str, key: str) -> bool:
        """What [Unit] `key` of `unit` comes to, no by default; as for PID 1, what is neither yes nor no is ignored."""
        said = False
        for value in self.settings(unit).get(("Unit", key), ()):
            said = says(value, said)
        return said

    def links(self) -> list[Link]:
        """Everything that is pulled in by a link in a folder, in path order."""
        if self._links is None:
            self._links = []
            for directory in DIRECTORIES:
                for folder in sorted(self._names(directory)):
                    parent, dot, kind = folder.rpartition(".")
                    if dot + kind in LINKS:
                        for child in sorted(self._names(f"{directory}/{folder}")):
                            self._links.append(Link(parent, child, f"{directory}/{folder}/{child}"))
        return self._links

    def pulled_by(self, unit: str) -> list[str]:
        """What a start of `unit` would pull in, by its keys and by links; names as they are written there."""
        found = [word for key in PULLS for word in self.words(unit, key)]
        found += [link.child for link in self.links() if link.parent in (unit, template(unit))]
        stem, _, suffix = unit.rpartition(".")
        prefix, at, instance = stem.partition("@")
        plain = [
            word.replace("%i", instance if at else "").replace("%I", instance if at else "").replace("%p", prefix)
            for word in found
            if len(word) <= UNIT_MAX  # a file may be one such word
        ]
        return list(dict.fromkeys(word for word in plain if "%" not in word and word != f"{stem}.{suffix}.d"))


def dropin_folders(unit: str) -> list[str]:
    """The names of the folders whose drop-ins apply to `unit`, the most specific first (systemd.unit(5))."""
    stem, _, suffix = unit.rpartition(".")
    found = [f"{unit}.d"]
    base = template(unit)
    if base:
        found.append(f"{base}.d")
        stem = base.partition("@")[0]
    cut = stem.rstrip("@")
    while "-" in cut:
        cut = cut[:-1].rpartition("-")[0]
        if cut:
            found.append(f"{cut}-.{suffix}.d")
    found.append(f"{suffix}.d")
    return found
