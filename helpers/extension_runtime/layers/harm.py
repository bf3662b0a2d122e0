#  SPDX-License-Identifier: MIT
"""What layers do to the base, where they meet it.  Decides only: what the layers hold comes from trees.

The walk goes where layers have folders, never through the base.  What the base offers stays usable: a layer may add
files, and put a file of its own over another (an override).  It harms when a name of the base is gone, or has become
another kind of thing, or is one that the machine cannot do without.
"""

from __future__ import annotations

from itertools import zip_longest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    class Tree(Protocol):
        """A layer or a base.  Paths are relative to it, "" is the tree itself.  Methods raise OSError."""

        def kinds(self, folder: str) -> Mapping[str, str]:
            """The names in `folder`, and what each is, whiteouts that are files as files; nothing if it is none."""

        def hides(self, path: str) -> bool:
            """Whether the file `path` is a whiteout."""

        def traits(self, folder: str) -> Traits:
            """Mode, owner and attributes of `folder`."""

        def target(self, link: str) -> str:
            """Where `link` leads, as it is written."""

        def blocks(self, path: str) -> Iterator[bytes]:
            """The content of a regular file, in pieces of one size."""


FILE, FOLDER, LINK, WHITE, SPECIAL = "file", "folder", "link", "whiteout", "special"
MENDS_MAX = 10_000
"""Folders of one layer whose mode or owner is not the base's."""
_LOADER = ("ld.so.preload", "ld.so.cache")  # below /etc, ld.so(8)
_UNMOUNT = "unmount it, or build the image without this"
_WORDS = {
    FILE: "a file", FOLDER: "a folder", LINK: "a link", WHITE: "a whiteout", SPECIAL: "a device, FIFO or socket",
}  # fmt: skip


class Traits:
    """What a folder is besides its content: `mode` (permissions alone), owner, and `labels`, its attributes by name.

    `bent`: "opaque" or "redirect" where it has overlayfs show something else than the folders of its name below it.
    """

    __slots__ = ("bent", "gid", "labels", "mode", "uid")

    def __init__(self, mode: int, uid: int, gid: int, labels: Mapping[str, bytes], bent: str = "") -> None:
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.labels = labels
        self.bent = bent

    def same(self, other: Traits) -> bool:
        """Whether a folder with those traits is as good as one with these."""
        mine, theirs = (self.mode, self.uid, self.gid), (other.mode, other.uid, other.gid)
        return mine == theirs and self.labels == other.labels


class Part:
    """A layer of one hierarchy: `hides` tells which paths of the base its manifest allows it to take away.

    `fresh`: it was not compared before.
    """

    __slots__ = ("fresh", "hides", "name", "tree")

    def __init__(self, name: str, tree: Tree, hides: Callable[[str], bool], fresh: bool = True) -> None:
        self.name = name
        self.tree = tree
        self.hides = hides
        self.fresh = fresh


class Ground:
    """What layers are compared with: the `base` of a hierarchy, and what else counts there.

    `mounts`: what is mounted below it, by path (relative to it), to whether that is a folder.  `vital`: whether no
    layer may replace a path.  `leads_to_folder`: whether a link of the base, given by its path, ends at a folder.
    """

    __slots__ = ("base", "hierarchy", "leads_to_folder", "mounts", "vital")

    def __init__(
        self,
        hierarchy: str,
        base: Tree,
        mounts: Mapping[str, bool],
        vital: Callable[[str], bool],
        leads_to_folder: Callable[[str], bool],
    ) -> None:
        self.hierarchy = hierarchy
        self.base = base
        self.mounts = mounts
        self.vital = vital
        self.leads_to_folder = leads_to_folder


class Impact:
    """What a layer does, all paths as seen in the machine ("/usr/...").

    `harms`: what it takes away, a line each, but for what Hides= allows; `stops`: what nothing allows.
    `overrides`: the extension ("" for the base) to the paths of it that this layer replaces.
    `mends`: folders of the base that must keep their traits.  `unseen`: paths that are under something mounted.
    `risky`: whether programs of the base may find something else than before.
    """

    __slots__ = ("harms", "mends", "overrides", "risky", "stops", "unseen")

    def __init__(self) -> None:
        self.harms: list[str] = []
        self.stops: list[str] = []
        self.overrides: dict[str, list[str]] = {}
        self.mends: list[str] = []
        self.unseen: list[str] = []
        self.risky = False

    def add(self, other: Impact) -> None:
        """What the layer does in another hierarchy."""
        self.harms += other.harms
        self.stops += other.stops
        self.mends += other.mends
        self.unseen += other.unseen
        for name, paths in other.overrides.items():
            self.overrides.setdefault(name, []).extend(paths)
        self.risky |= other.risky


def compare(ground: Ground, parts: Sequence[Part]) -> dict[str, Impact]:
    """The impact on each of `parts`, lowest first; one that is not fresh is only seen as what others replace or cover.

    Raises nothing: a layer that cannot be read is stopped for that.
    """
    comparison = _Comparison(ground, parts)
    comparison.walk()
    return comparison.impacts


class _Comparison:
    __slots__ = ("ground", "impacts", "mounts", "parts")

    def __init__(self, ground: Ground, parts: Sequence[Part]) -> None:
        self.ground = ground
        # What is mounted in something mounted has its place there.
        self.mounts = {
            path: folder
            for path, folder in ground.mounts.items()
            if not any(path.startswith(f"{other}/") for other in ground.mounts)
        }
        self.parts = parts
        self.impacts = {part.name: Impact() for part in parts}

    def walk(self) -> None:
        """Go through every folder in which layers meet the base, or each other, or something mounted."""
        todo = [("", True, list(self.parts))] if any(part.fresh for part in self.parts) else []
        while todo:
            folder, in_base, parts = todo.pop()
            base = self._base_kinds(folder) if in_base else {}
            prefix = f"{folder}/" if folder else ""
            at_risk = self._library(folder)
            for name, given in self._names(folder, parts).items():
                below = base.get(name, "")
                alone = not below and len(given) == 1 and not self.mounts
                if alone and given[0][1] == FILE and not at_risk:
                    continue  # most of all names: a file of its own
                if not any(part.fresh for part, _kind in given):
                    continue
                path = prefix + name
                if below == FILE and self._is_gone(path):
                    below = ""
                found = given if alone else [(part, self._kind(part, path, kind)) for part, kind in given]
                self._settle(path, found, below, at_risk)
                folders = [part for part, kind in found if kind == FOLDER]
                if any(part.fresh for part in folders) and (
                    below == FOLDER or len(folders) > 1 or self._mounts_below(path)
                ):
                    todo.append((path, below == FOLDER, folders))

    def _base_kinds(self, folder: str) -> Mapping[str, str]:
        try:
            kinds = self.ground.base.kinds(folder)
        except OSError:
            return {}  # what cannot be read cannot be used either
        if WHITE in kinds.values():  # a base can be unpacked from layers, and an overlay does not show those
            return {name: kind for name, kind in kinds.items() if kind != WHITE}
        return kinds

    def _is_gone(self, path: str) -> bool:
        """Whether an overlay does not show the base's file `path`, whatever lies over it."""
        try:
            return self.ground.base.hides(path)
        except OSError:
            return True

    def _names(self, folder: str, parts: Sequence[Part]) -> dict[str, list[tuple[Part, str]]]:
        """What each name in `folder` is in the layers that have it, lowest first."""
        found: dict[str, list[tuple[Part, str]]] = {}
        for part in parts:
            try:
                kinds = part.tree.kinds(folder)
            except OSError as error:
                self._unreadable(part, folder, error)
                continue
            for name, kind in kinds.items():
                found.setdefault(name, []).append((part, kind))
        return found

    def _kind(self, part: Part, path: str, kind: str) -> str:
        """What a layer has at `path`, where it is `kind` at first sight."""
        try:
            return WHITE if kind == FILE and part.tree.hides(path) else kind
        except OSError as error:
            self._unreadable(part, path, error)
            return kind

    def _unreadable(self, part: Part, path: str, error: OSError) -> None:
        if part.fresh:  # of others it is known what they do
            self.impacts[part.name].stops.append(f"{self._shown(path)}: cannot be read: {error.strerror or error}")

    def _shown(self, path: str) -> str:
        return f"/{self.ground.hierarchy}/{path}" if path else f"/{self.ground.hierarchy}"

    def _settle(self, path: str, found: Sequence[tuple[Part, str]], below: str, at_risk: bool) -> None:
        """What the layers that have `path` do to one another and to the base, where it is `below` ("": nothing)."""
        shown = self._shown(path)
        owner, lower, lower_fresh = "", below, False
        for part, kind in found:
            impact = self.impacts[part.name]
            compared = part.fresh or lower_fresh
            replaces = bool(lower)
            try:
                traits = part.tree.traits(path) if compared and kind == FOLDER and FOLDER in (lower, below) else None
                if kind == lower == FOLDER:
                    # Folders are shown as one, unless the upper one says otherwise.
                    replaces = bool(traits and traits.bent) and bool(owner or self._base_kinds(path))
                if part.fresh:
                    self._judge(part, path, kind, below, traits)
                    impact.risky |= self._misleads(path, below, at_risk)
            except OSError as error:
                self._unreadable(part, path, error)
            if replaces and compared:
                impact.overrides.setdefault(owner, []).append(shown)
            owner, lower, lower_fresh = part.name, "" if kind == WHITE else kind, part.fresh

    def _judge(self, part: Part, path: str, kind: str, below: str, traits: Traits | None) -> None:
        impact, shown = self.impacts[part.name], self._shown(path)
        stop = self._against_mounts(part, path, kind, traits.bent if traits else "")
        if stop:
            impact.stops.append(f"{shown}: {stop}")
            return
        harm = self._harm(part, path, kind, below, traits)
        if harm:
            impact.risky = True
        if harm and not part.hides(shown):
            remedy = f"build the image without it, or allow it with Hides={shown}"
            impact.harms.append(f"{shown}: {harm}; {remedy}")
        elif not harm and traits is not None and below == FOLDER and not self.ground.base.traits(path).same(traits):
            if len(impact.mends) == MENDS_MAX:
                impact.stops.append(
                    f"{shown}: one folder more than {MENDS_MAX} with another mode or owner than the base's"
                )
            if len(impact.mends) <= MENDS_MAX:
                impact.mends.append(shown)

    def _harm(self, part: Part, path: str, kind: str, below: str, traits: Traits | None) -> str:
        """What the layer takes from the base at `path`, "" for nothing."""
        if not below:
            return ""
        if kind == WHITE:
            return f"a whiteout in the image takes away {_WORDS[below]} of the base"
        if kind == below == FOLDER:
            if traits is not None and traits.bent and self._base_kinds(path):
                how = "marked opaque" if traits.bent == "opaque" else "redirected"
                return f"a folder in the image, {how}, which hides all that the base has in it"
            return ""
        if FOLDER in (kind, below):
            behind = f" to {self.ground.base.target(path)}" if below == LINK else ""
            lost = "" if below == FILE else ": what the base has there would be gone"
            return f"{_WORDS[kind]} in the image in place of {_WORDS[below]}{behind} in the base{lost}"
        if SPECIAL in (kind, below):
            return f"{_WORDS[kind]} in the image in place of {_WORDS[below]} in the base"
        if below == LINK and not self._same_link(part, path, kind) and self.ground.leads_to_folder(self._shown(path)):
            target = self.ground.base.target(path)
            return f"{_WORDS[kind]} in the image in place of a link to the folder {target} in the base"
        if self.ground.vital(self._shown(path)) and not self._same(part, path, kind, below):
            return f"{_WORDS[kind]} in the image replaces what this machine cannot do without"
        return ""

    def _same_link(self, part: Part, path: str, kind: str) -> bool:
        if kind != LINK:
            return False
        one, two = part.tree.target(path), self.ground.base.target(path)
        folder = self._shown(path).rpartition("/")[0]
        return one == two or _leads(folder, one) == _leads(folder, two)

    def _same(self, part: Part, path: str, kind: str, below: str) -> bool:
        """Whether the layer has at `path` what the base has."""
        if kind == FILE and below == FILE:
            pairs = zip_longest(part.tree.blocks(path), self.ground.base.blocks(path))
            return all(one == two for one, two in pairs)
        return below == LINK and self._same_link(part, path, kind)

    def _against_mounts(self, part: Part, path: str, kind: str, bent: str) -> str:
        """Why what is mounted at or below `path` would have no place any more, "" if it has."""
        mounted = self.mounts.get(path)
        if mounted is None:
            if (kind != FOLDER or bent) and self._mounts_below(path):
                what = f"a folder that is marked {bent}" if bent else _WORDS[kind]
                return f"{what} in the image, and something is mounted below it; {_UNMOUNT}"
            return ""
        if kind != (FOLDER if mounted else FILE):
            want = "folder" if mounted else "file"
            return f"{_WORDS[kind]} in the image, and a {want} is mounted there; {_UNMOUNT}"
        if kind == FILE or part.tree.kinds(path):
            self.impacts[part.name].unseen.append(self._shown(path))
        return ""

    def _mounts_below(self, path: str) -> bool:
        return bool(self.mounts) and any(place.startswith(f"{path}/") for place in self.mounts)

    def _library(self, folder: str) -> bool:
        """Whether the loader looks into `folder` for what programs of the base need, or for what to load besides."""
        if self.ground.hierarchy == "etc":
            return not folder
        return self.ground.hierarchy == "usr" and folder.startswith("lib") and folder.count("/") <= 1

    def _misleads(self, path: str, below: str, at_risk: bool) -> bool:
        """Whether what a layer has at `path` may give programs of the base another library than they had."""
        if self.ground.hierarchy == "etc":
            return path in _LOADER
        return at_risk and (bool(below) or path.endswith("/glibc-hwcaps"))


def _leads(folder: str, target: str) -> list[str]:
    """Where a link to `target` in `folder` leads, links on the way left as they are."""
    done: list[str] = [] if target.startswith("/") else folder.split("/")
    for part in target.split("/"):
        if part == "..":
            del done[-1:]
        elif part not in ("", "."):
            done.append(part)
    return [part for part in done if part]
