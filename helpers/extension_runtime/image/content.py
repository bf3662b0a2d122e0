#  SPDX-License-Identifier: MIT
"""Looks into an image that is mounted, but nowhere yet: what it brings, what it must not bring, whom it is made for.

Every function takes a descriptor of the detached mount; paths are resolved inside it.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests import classes
from extension_manifests.errors import ImageError, printable

from extension_runtime.image import osrelease, release
from extension_runtime.kernel import chase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from extension_runtime.image.host import Host

# An extension that brings extensions could take the machine over in one step; the first three are what is searched.
_MANIFESTS = ("usr/lib/extensions.d", "usr/local/lib/extensions.d", "etc/extensions.d")
_STRICT = "user.extension-release.strict"


class MismatchError(ImageError):
    """The image is sound, but made for another host."""


def hierarchies(tree: int, names: Collection[str], shown: str) -> list[str]:
    """Which of "usr", "opt" and "etc" the image fills for the classes `names`; `shown` is its name for messages.

    An empty one counts as none: it would only make the machine's read-only.  Raises ImageError when one of them is not
    a real directory: a link could lead the merge anywhere.
    """
    found: list[str] = []
    for class_ in classes.of(names):
        for name in class_.hierarchies:
            info = _entry(tree, name, shown)
            if info is None:
                continue
            if not stat.S_ISDIR(info.st_mode):
                raise ImageError(f"{shown}: {name} in it is {chase.kind(info.st_mode)}; make it a real directory")
            if not _empty(tree, name):
                found.append(name)
    return found


def _empty(tree: int, name: str) -> bool:
    try:
        return not chase.listing(tree, name)
    except OSError:
        return False  # not for this user to read, or damaged: whoever has to read it says so


def refuse_forbidden(tree: int, names: Collection[str], shown: str) -> None:
    """Raise ImageError for an image that carries manifests or, as a sysext, an os-release."""
    for path in _MANIFESTS:
        info = _entry(tree, path, shown)
        if info is None:
            continue
        # A link may lead to what only exists once it is merged, so it is as good as a manifest.
        if not stat.S_ISDIR(info.st_mode) or _listing(tree, path, shown):
            raise ImageError(f"{shown}: carries /{path}; an image must not bring extension manifests")
    if classes.SYSEXT.name in names and _entry(tree, "usr/lib/os-release", shown) is not None:
        raise ImageError(f"{shown}: carries /usr/lib/os-release; a sysext must leave the host's alone")


def read_release(tree: int, class_: str, name: str, shown: str) -> dict[str, str]:
    """The data of the release file that counts for the image `name` as `class_`.  Raises ImageError."""
    directory = classes.CLASSES[class_].releases
    inside = f"{shown}: /{directory}"
    path = f"{directory}/{release.PREFIX}{name}"
    # The exact name may be a link or whatever; it is what counts, so it is an error when it cannot be read.
    if _entry(tree, path, shown) is None:
        chosen = release.choose(name, _candidates(tree, directory, shown), inside)
        path = f"{directory}/{release.PREFIX}{chosen}"
    where = f"{shown}: /{path}"
    try:
        data = osrelease.parse(chase.read_text(tree, path, where, osrelease.SIZE_MAX), where)
    except OSError as error:
        raise ImageError(printable(f"{where}: {os.strerror(error.errno or 0)}")) from None
    if not data:
        raise ImageError(f"{where}: holds no data; write at least ID=")
    return data


def outside(tree: int, names: Collection[str], shown: str) -> list[str]:
    """What the image has at its top that counts for nothing with the classes `names`: not below their hierarchies.

    Empty folders, and links into a hierarchy (as bin -> usr/bin), say nothing.  Raises ImageError.
    """
    counting = [name for class_ in classes.of(names) for name in class_.hierarchies]
    found = []
    for name in _listing(tree, "", shown):
        info = _entry(tree, name, shown)
        if name in counting or name == "lost+found" or info is None:
            continue
        if stat.S_ISDIR(info.st_mode) and not _listing(tree, name, shown):
            continue
        if stat.S_ISLNK(info.st_mode) and _leads_into(tree, name, counting):
            continue
        found.append(name)
    return found


def remedy_outside(found: Sequence[str], names: Collection[str]) -> str:
    """One line about what `outside` found, with what to do about it."""
    moved = [name for name in found if name in ("bin", "sbin") or name.startswith("lib")]
    others = [
        f"Class={' '.join((*names, class_.name))} for /{name}"
        for class_ in classes.CLASSES.values()
        for name in class_.hierarchies
        if name in found and class_.name not in names
    ]
    ways = [*([f"put {', '.join(f'/{name}' for name in moved)} below /usr"] if moved else []), *others]
    told = f"; {', '.join(ways)}" if ways else ""
    return printable(f"{', '.join(f'/{name}' for name in found)} in the image {_count(found)} for nothing{told}")


def _count(found: Sequence[str]) -> str:
    return "count" if len(found) > 1 else "counts"


def _leads_into(tree: int, link: str, hierarchies: Collection[str]) -> bool:
    target = os.readlink(link, dir_fd=tree).lstrip("/")
    return target.split("/", 1)[0] in hierarchies and ".." not in target.split("/")


class Verdict:
    """What an image is: `version` and `hierarchies` as far as they were seen; `problem`: why it cannot be used.

    That is None for one that can, a MismatchError for one that is sound, and made for another host.  `excused` is such
    a mismatch that somebody does not mind.  `remarks`: what a person should know of it.
    """

    __slots__ = ("excused", "hierarchies", "problem", "remarks", "version")

    def __init__(self) -> None:
        self.excused = ""
        self.remarks: list[str] = []
        self.hierarchies: tuple[str, ...] = ()
        self.version = ""
        self.problem: ImageError | None = None

    @property
    def mismatch(self) -> str:
        """Why it is not made for the host, or ""."""
        return str(self.problem) if isinstance(self.problem, MismatchError) else ""


def judge(tree: int, names: Collection[str], image: str, shown: str, host: Host, *, any_host: bool = False) -> Verdict:
    """The verdict on an image, called `image` and of the classes `names`, whose top directory is `tree`, for `host`.

    With `any_host` one that is made for another host is as good.
    """
    verdict = Verdict()
    try:
        verdict.hierarchies = tuple(hierarchies(tree, names, shown))
        refuse_forbidden(tree, names, shown)
        for class_ in names:
            data = read_release(tree, class_, image, shown)
            verdict.version = verdict.version or printable(data.get("IMAGE_VERSION", ""))
            reason = release.match(data, host, class_)
            if reason is not None and any_host:
                verdict.excused = verdict.excused or f"{reason} ({class_})"
            elif reason is not None:
                raise MismatchError(f"{shown}: {reason} ({class_})")
        uncounted = outside(tree, names, shown)
        if uncounted:
            verdict.remarks.append(remedy_outside(uncounted, names))
    except ImageError as error:
        verdict.problem = error
    return verdict


def _candidates(tree: int, directory: str, shown: str) -> dict[str, bool]:
    """The regular release files in `directory`: what follows extension-release. -> whether it is marked not strict."""
    found: dict[str, bool] = {}
    for entry in _listing(tree, directory, shown):
        suffix = entry.removeprefix(release.PREFIX)
        if suffix == entry or not suffix or not suffix.isprintable():
            continue
        info = _entry(tree, f"{directory}/{entry}", shown)
        if info is not None and stat.S_ISREG(info.st_mode):
            found[suffix] = _relaxed(tree, f"{directory}/{entry}")
    return found


def _relaxed(tree: int, path: str) -> bool:
    try:
        fd = chase.locate(tree, path)
    except OSError:
        return False
    try:
        return not strict(os.getxattr(f"/proc/self/fd/{fd}", _STRICT))
    except OSError:  # no such attribute, or a file system without any
        return False
    finally:
        os.close(fd)


def strict(value: bytes) -> bool:
    """What the attribute user.extension-release.strict says; anything but a clear no is yes."""
    from extension_manifests.values import says

    return says(value.strip(b"\0").decode("ascii", "replace"), True)


def _entry(tree: int, path: str, shown: str) -> os.stat_result | None:
    try:
        return chase.entry(tree, path)
    except OSError as error:
        # A loop of links, or a damaged file system.
        raise ImageError(printable(f"{shown}: /{path}: {os.strerror(error.errno or 0)}")) from None


def _listing(tree: int, path: str, shown: str) -> list[str]:
    try:
        return chase.listing(tree, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return []
        raise ImageError(printable(f"{shown}: /{path}: {os.strerror(error.errno or 0)}")) from None
