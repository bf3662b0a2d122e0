#  SPDX-License-Identifier: MIT
"""Where inputs come from: the bases of a root's hierarchies, never what extensions lay over them.

Manifests, settings, actions, os-release and images are looked up as if nothing were merged; in a mutable mode what
people wrote counts, for it is theirs.  So no image decides what is merged, and a merge changes nothing of what the next
one finds.  While nothing is merged all this is one look at a folder that is not there.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests import BASES
from extension_manifests.classes import HIERARCHIES

LINKS_MAX = 40
MASK = "/dev/null"
SOURCE = "extensions"
"""What the source of our overlays starts with, so that they are known in every mount table."""

_OPAQUE = "trusted.overlay.opaque"
_REDIRECT = "trusted.overlay.redirect"


def generation(fstype: str, source: str) -> int | None:
    """The generation that made an overlay, from what mountinfo says of it; None when it is not ours."""
    prefix, _, number = source.rpartition(":")
    if fstype != "overlay" or not prefix.startswith(f"{SOURCE}:") or not number.isdecimal():
        return None
    return int(number)


def upper_link(base: str, number: int) -> str:
    """The link beside the base at `base` to the upper of the overlay that generation `number` put over it.

    One for each generation: so it counts from the very moment in which that overlay is seen, and no longer.
    """
    return f"{base}.upper.{number}"


class Origin:
    """One root ("" or "/": this machine), read as if nothing were merged.

    `root` is "" or the path of the root, a real one where `merged` has anything; `merged` has, for the real folder
    (inside the root) of each hierarchy that is merged, what stands for it: (base,) or (upper, base).

    What is mounted below a hierarchy is nobody's layer and counts as it is.  A folder of a mutable hierarchy is a pair
    (in the upper, in the base), one of them "" where it is not there.  What was found once is kept: an Origin is for
    one reading.  Where the bases are for root's eyes only, others see the merged tree; so does `as_seen`, which is for
    files that a person names.
    """

    __slots__ = ("_known", "_mounts", "_parents", "merged", "root")

    def __init__(self, root: str = "", *, as_seen: bool = False) -> None:
        self.root = root.rstrip("/")
        self.merged: dict[str, tuple[str, ...]] = {}
        self._mounts: set[str] = set()
        self._known: dict[str, tuple[str, ...]] = {}
        self._parents: dict[str, str | int] = {}
        if as_seen:
            return
        try:
            # On the running machine /run is whatever the kernel takes for it.
            bases = f"{self.chase('/run') if self.root else '/run'}/{BASES}"
            names = os.listdir(self.root + bases)
        except OSError:
            return
        if names:
            self._look(bases)

    def _look(self, bases: str) -> None:
        root = os.path.realpath(self.root) if self.root else ""
        targets = {}
        for name in HIERARCHIES:
            try:
                targets[name] = self.chase(f"/{name}")
            except OSError:
                continue
        tops, seen = _tops(root, targets), None
        # Who does not hold the lock may look while tops are swapped.
        while tops != seen:
            merged, mounts = _merged(root, bases, targets, tops)
            tops, seen = _tops(root, targets), tops
        if merged:
            self.root, self.merged, self._mounts = root, merged, mounts

    def chase(self, path: str, base: str = "") -> str:
        """`path` with all links resolved as if the root were "/"; the result is a path inside the root again.

        `base` is a resolved folder that `path` is relative to. /dev/null need not exist, it is a mask.
        Raises OSError: missing, a loop, not permitted."""
        done = base
        todo = path.split("/")
        todo.reverse()
        links = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            step = f"{done}/{part}"
            if step == "/dev" and todo == ["null"]:
                return MASK
            try:
                target = os.readlink(self._at(done, part) if self.merged else self.root + step)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                done = step
                continue
            links += 1
            if links > LINKS_MAX:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                done = ""
            todo.extend(reversed(target.split("/")))
        return done or "/"

    def place(self, inside: str) -> str:
        """Where the resolved path `inside` is on this machine: a path without links, where anything is merged.

        Of a folder that is in an upper and in a base, the one in the upper. Raises OSError when it is not there."""
        if inside == MASK:
            return MASK
        if not self.merged:
            return self.root + inside
        parent, _, name = inside.rpartition("/")
        return self._at(parent, name) if name else self.root or "/"

    def find(self, path: str) -> str:
        """As `chase` of an absolute path; what its folder comes to is kept. Raises OSError."""
        folder, _, name = path.rpartition("/")
        return self.chase(name, self._parent(folder)) if name else self.chase(path)

    def real(self, path: str) -> str:
        """Where the absolute `path` is on this machine, with all links resolved inside the root. Raises OSError."""
        return self.place(self.find(path))

    def _parent(self, folder: str) -> str:
        """The resolved folder, without a slash at its end."""
        found = self._parents.get(folder)
        if found is None:
            try:
                found = self.chase(folder).rstrip("/")
            except OSError as error:
                found = error.errno or 0
            self._parents[folder] = found
        if isinstance(found, int):
            raise OSError(found, os.strerror(found), folder)
        return found

    def folders(self, inside: str) -> tuple[str, ...]:
        """The folders on this machine that make up the resolved folder `inside`, highest first."""
        return tuple(folder for folder in self._folders(inside) if folder)

    def listing(self, inside: str) -> list[str]:
        """The names in the resolved folder `inside`, sorted. Raises OSError."""
        folders = self._folders(inside)
        if len(folders) == 1:
            return sorted(os.listdir(folders[0]))
        upper, base = folders
        written = os.listdir(upper) if upper else []
        hidden = {name for name in written if _is_whiteout(os.lstat(f"{upper}/{name}"))}
        return sorted({*written, *(os.listdir(base) if base else ())} - hidden)

    def entry(self, path: str) -> os.stat_result | None:
        """What `path` itself is, links resolved on the way to it; None when there is none. Raises OSError."""
        folder, _, name = path.rstrip("/").rpartition("/")
        try:
            return os.lstat(self.place(f"{self._parent(folder)}/{name}"))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _at(self, parent: str, name: str) -> str:
        """Where the entry `name` of the resolved folder `parent` is, if it is; else OSError, or a path of nothing."""
        step = f"{parent}/{name}"
        if step in self.merged or step in self._mounts:
            folders = self._folders(step)
            return folders[0]
        folders = self._folders(parent)
        if len(folders) == 1:
            return f"{folders[0].rstrip('/')}/{name}"
        upper, base = folders
        if upper:
            try:
                if not _is_whiteout(os.lstat(f"{upper}/{name}")):
                    return f"{upper}/{name}"
                base = ""
            except FileNotFoundError:
                pass
        if not base:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), step)
        return f"{base}/{name}"

    def _folders(self, inside: str) -> tuple[str, ...]:
        if not self.merged:
            return (self.root + inside,)
        found = self._known.get(inside)
        if found is None:
            found = self._known[inside] = self._find(inside)
        return found

    def _find(self, inside: str) -> tuple[str, ...]:
        if inside in self.merged:
            return self.merged[inside]
        if inside in self._mounts or inside in ("", "/"):
            return (f"{self.root}{inside}" or "/",)
        parent, _, name = inside.rpartition("/")
        # Known already, as whoever resolved the path came by: so this goes no deeper than that.
        folders = self._folders(parent)
        if len(folders) == 1:
            return (f"{folders[0].rstrip('/')}/{name}",)
        upper, base = folders
        if not upper or not os.path.lexists(f"{upper}/{name}"):
            return ("", f"{base}/{name}" if base else "")
        upper = f"{upper}/{name}"
        if not _is_folder(upper) or _attribute(upper, _OPAQUE) == b"y":
            return (upper, "")
        # A folder that was renamed is written down, and what it holds is still below where it was.
        moved = os.fsdecode(_attribute(upper, _REDIRECT))
        if moved.startswith("/"):
            base = (
                next(pair[1] for target, pair in self.merged.items() if f"{inside}/".startswith(f"{target}/")) + moved
            )
        elif base:
            base = f"{base}/{moved or name}"
        return (upper, base if base and _is_folder(base) else "")


def origin_of(root: str | Origin) -> Origin:
    """The origin that is given, or that of the root that is given."""
    return root if isinstance(root, Origin) else Origin(root)


def _merged(
    root: str, bases: str, targets: dict[str, str], tops: dict[str, int]
) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """What stands for each hierarchy that is merged, by its folder in `targets`, and what is mounted below those.

    `tops` has the ids of the mounts that are seen at `targets`, `bases` is the folder of the bases inside `root`."""
    table = _table()
    places = {mount[1] for mount in table.values()}
    merged: dict[str, tuple[str, ...]] = {}
    mounts: set[str] = set()
    for name, top in tops.items():
        target, base = targets[name], f"{root}{bases}/{name}"
        _, path, fstype, source, options = table.get(top, (0, "", "", "", ""))
        number = generation(fstype, source)
        if number is None or path != root + target or base not in places:
            continue
        folders = [base]
        if ",upperdir=" in options:
            try:
                # Inside the root: that may be seen at another place later.
                folders.insert(0, root + os.readlink(upper_link(base, number)))
            except FileNotFoundError:
                # Made before there were such links, and in use until the next swap: what people wrote must count.
                continue
        merged[target] = tuple(folders)
        mounts |= {mount[1][len(root) :] for mount in table.values() if mount[0] == top}
    return merged, mounts


def _tops(root: str, targets: dict[str, str]) -> dict[str, int]:
    """The ids of the mounts that are seen at the folders `targets`."""
    return {name: _mount_id(root + target) for name, target in targets.items()}


def _table() -> dict[int, tuple[int, str, str, str, str]]:
    """The mount table: id to (id of the parent, path, type, source, options of the file system)."""
    # A path may hold what is no UTF-8, and what Python takes for the end of a line.
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        lines = file.read().split("\n")[:-1]
    found = {}
    for line in lines:
        left, _, right = line.partition(" - ")
        fields = left.split(" ", 5)
        fstype, source, options = (right.split(" ") + ["", ""])[:3]
        found[int(fields[0])] = (int(fields[1]), unescape(fields[4]), fstype, source, options)
    return found


def unescape(text: str) -> str:
    """Undoes the kernel's octal escapes (space, tab, newline, backslash) in a mount table."""
    if "\\" not in text:
        return text
    head, *tail = text.split("\\")
    return head + "".join(chr(int(piece[:3], 8)) + piece[3:] for piece in tail)


def _mount_id(path: str) -> int:
    """The id of the mount that is seen at the folder `path`."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="utf-8") as file:
            return next(int(line[7:]) for line in file if line.startswith("mnt_id:"))
    finally:
        os.close(fd)


def _is_whiteout(info: os.stat_result) -> bool:
    """Whether an overlay takes this entry of its upper for one that was removed."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _attribute(path: str, name: str) -> bytes:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise
        return b""
