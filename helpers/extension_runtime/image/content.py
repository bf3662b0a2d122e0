#  SPDX-License-Identifier: MIT
"""Looks into an image that is mounted, but nowhere yet: what it brings, what it must not bring, whom it is made for.

Every function takes a descriptor of the detached mount; paths are resolved inside it.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests.errors import printable

from extension_runtime.image import osrelease, release
from extension_runtime.kernel import chase
from extension_runtime.kernel.chase import ImageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from extension_runtime.image.host import Host

HIERARCHIES = {"sysext": ("usr", "opt"), "confext": ("etc",)}
# An extension that brings extensions could take the machine over in one step; the first three are what is searched.
_MANIFESTS = ("usr/lib/extensions.d", "usr/local/lib/extensions.d", "etc/extensions.d")
_STRICT = "user.extension-release.strict"


class MismatchError(ImageError):
    """The image is sound, but made for another host."""


def hierarchies(tree: int, classes: Iterable[str], shown: str) -> list[str]:
    """Which of "usr", "opt" and "etc" the image has for `classes`; `shown` is the image's name for messages.

    Raises ImageError when one of them is not a real directory: a link could lead the merge anywhere.
    """
    wanted = set(classes)
    found: list[str] = []
    for class_, names in HIERARCHIES.items():
        if class_ not in wanted:
            continue
        for name in names:
            info = _entry(tree, name, shown)
            if info is None:
                continue
            if not stat.S_ISDIR(info.st_mode):
                raise ImageError(f"{shown}: {name} in it is {chase.kind(info.st_mode)}; make it a real directory")
            found.append(name)
    return found


def refuse_forbidden(tree: int, classes: Iterable[str], shown: str) -> None:
    """Raise ImageError for an image that carries manifests or, as a sysext, an os-release."""
    for path in _MANIFESTS:
        info = _entry(tree, path, shown)
        if info is None:
            continue
        # A link may lead to what only exists once it is merged, so it is as good as a manifest.
        if not stat.S_ISDIR(info.st_mode) or _listing(tree, path, shown):
            raise ImageError(f"{shown}: carries /{path}; an image must not bring extension manifests")
    if "sysext" in classes and _entry(tree, "usr/lib/os-release", shown) is not None:
        raise ImageError(f"{shown}: carries /usr/lib/os-release; a sysext must leave the host's alone")


def read_release(tree: int, class_: str, name: str, shown: str) -> dict[str, str]:
    """The data of the release file that counts for the image `name` as `class_`.  Raises ImageError."""
    directory = release.DIRECTORIES[class_]
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


def require_match(data: dict[str, str], host: Host, class_: str, shown: str) -> None:
    """Raise MismatchError when an image with the release data `data` is not made for `host`."""
    reason = release.match(data, host, class_)
    if reason is not None:
        raise MismatchError(f"{shown}: {reason} ({class_})")


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
        return not release.strict(os.getxattr(f"/proc/self/fd/{fd}", _STRICT))
    except OSError:  # no such attribute, or a file system without any
        return False
    finally:
        os.close(fd)


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
