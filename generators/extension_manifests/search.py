#  SPDX-License-Identifier: MIT
"""Which files count: precedence of directories, masks, drop-ins. Serves manifests, actions and settings alike."""

from __future__ import annotations

import errno

from extension_manifests import DIRECTORIES, textfile
from extension_manifests.errors import Diagnostic, ManifestError
from extension_manifests.origin import Origin, origin_of

__all__ = ["DIRECTORIES", "Found", "find", "texts"]


class Found:
    """One name: the winning file, its drop-ins in order of application, whether it is masked, or why it cannot be read.

    `path` is as seen inside the root, `real` on this machine."""

    __slots__ = ("dropins", "masked", "name", "path", "problem", "real")

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.real = ""
        self.masked = False
        self.problem: ManifestError | None = None
        self.dropins: list[Found] = []


def find(
    root: str | Origin, suffix: str, directories: tuple[str, ...] = DIRECTORIES
) -> tuple[list[Found], list[Diagnostic]]:
    """All names with `suffix` (".extension", ".action"; "extensions.conf" for the file of that very name) below
    `root`, sorted, and what is wrong with the directories. Names are not judged here; lock files of editors (".#") are
    left out.

    Drop-ins are NAME+suffix+".d/*.conf" and, for a suffix that starts with a dot, suffix[1:]+".d/*.conf"; of one base
    name the one for NAME wins over the general one, then the earlier directory; they apply in order of base names."""
    diagnostics: list[Diagnostic] = []
    origin = origin_of(root)
    listing = Folders(origin, diagnostics)
    listings = [(directory, *listing.of(directory)) for directory in directories]
    found: dict[str, Found] = {}
    for directory, base, entries in listings:
        for entry in entries:
            if entry.endswith(suffix) and not entry.startswith(".#"):
                name = entry[: -len(suffix)]
                if (suffix[0] == "." or not name) and name not in found:
                    found[name] = settle(origin, Found(name, f"{directory}/{entry}"), base)
    if not found and suffix[0] != ".":
        # Settings consist of drop-ins alone as well.
        found[""] = Found("", f"{directories[0]}/{suffix}")
        found[""].masked = True
    general = dropins(listing, listings, suffix[1:] + ".d") if suffix[0] == "." else {}
    for name, item in found.items():
        own = dropins(listing, listings, name + suffix + ".d")
        if own or general:
            merged = {**general, **own}
            item.dropins = [merged[key] for key in sorted(merged) if not merged[key].masked]
    return [found[name] for name in sorted(found)], diagnostics


class Folders:
    """Lists directories below a root once each; a missing one is empty, a broken one a diagnostic."""

    __slots__ = ("diagnostics", "known", "origin")

    def __init__(self, origin: Origin, diagnostics: list[Diagnostic]) -> None:
        self.origin = origin
        self.diagnostics = diagnostics
        self.known: dict[str, tuple[str, dict[str, None]]] = {}

    def of(self, directory: str) -> tuple[str, dict[str, None]]:
        """The resolved path and the entries, sorted."""
        if directory not in self.known:
            self.known[directory] = self._list(directory)
        return self.known[directory]

    def _list(self, directory: str) -> tuple[str, dict[str, None]]:
        try:
            real = self.origin.chase(directory)
            return real, dict.fromkeys(self.origin.listing(real))
        except OSError as error:
            if error.errno != errno.ENOENT:
                self.diagnostics.append(Diagnostic(directory, 0, f"cannot be listed: {error.strerror}"))
            return directory, {}


def dropins(listing: Folders, listings: list[tuple[str, str, dict[str, None]]], folder: str) -> dict[str, Found]:
    """The drop-ins in `folder` of every directory by base name, the earlier directory wins."""
    out: dict[str, Found] = {}
    for directory, _, entries in listings:
        if folder not in entries:
            continue
        base, files = listing.of(f"{directory}/{folder}")
        for file in files:
            if file.endswith(".conf") and file[0] != "." and file not in out:
                out[file] = settle(listing.origin, Found(file, f"{directory}/{folder}/{file}"), base)
    return out


def settle(origin: Origin, item: Found, base: str) -> Found:
    """Resolves the file of `item`, which is in the resolved directory `base`, and says whether it masks."""
    try:
        item.real = origin.place(origin.chase(item.path.rpartition("/")[2], base))
        item.masked = textfile.is_mask(item.real)
    except OSError as error:
        missing = error.errno == errno.ENOENT
        reason = (
            "is a link to nowhere; remove it or create its target" if missing else f"cannot be read: {error.strerror}"
        )
        item.problem = ManifestError(item.path, 0, reason)
    return item


def texts(item: Found) -> list[tuple[str, str]]:
    """(path, text) of the file and its drop-ins in the order they apply. Raises ManifestError for the first broken."""
    out = []
    for part in [item, *item.dropins]:
        if part.problem:
            raise part.problem
        if not part.masked:
            out.append((part.path, textfile.read_text(part.real, part.path)))
    return out
