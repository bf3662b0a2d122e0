#  SPDX-License-Identifier: MIT
"""Finds the image that a manifest names: which file or directory of a root it is, in which version.

The rules are those of systemd-sysext(8) and systemd.v(7).  All links are followed inside the root.  What is merged is
not seen: no image brings another one, and one below a merged hierarchy is the same before and after a merge.
"""

from __future__ import annotations

import errno
import os
import stat

from extension_manifests import classes
from extension_manifests.errors import ImageError, printable

from extension_runtime.image import host, versions
from extension_runtime.inputs import Inputs
from extension_runtime.kernel import chase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from extension_manifests.origin import Origin

_NULL = os.makedev(1, 3)


class MaskedError(ImageError):
    """The image is masked: an empty directory of its name is in an earlier place than the image itself."""


class Picked:
    """An image that was found.  Holds a descriptor: use it in a `with` block."""

    __slots__ = ("fd", "kind", "name", "path", "split", "version")

    def __init__(self, fd: int, path: str, kind: str, name: str, version: str, *, split: bool = False) -> None:
        self.fd = fd  # O_PATH
        self.path = path  # as found, from the root
        self.kind = kind  # "directory" or "raw"
        self.name = name  # what its release file is called after
        self.version = version  # of its name in a `.v/` directory, otherwise ""
        self.split = split  # see refuse_split

    def refuse_split(self) -> None:
        """Raise ImageError for a directory that is partly in the upper of a mutable hierarchy, partly in its base.

        It cannot be mounted as one: through what is merged it would hold on to every overlay that ever was.
        """
        if self.split:
            raise ImageError(
                printable(
                    f"{self.path}: was changed while its hierarchy was mutable, so that a part of it is in the upper "
                    f"and a part in the base; put the whole image where nothing is merged, such as /var/lib"
                )
            )

    def __enter__(self) -> Picked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the image."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def folders(names: Iterable[str]) -> tuple[str, ...]:
    """Where images of the classes `names` are looked for, in order; sysext before confext."""
    return tuple(folder for class_ in classes.of(set(names)) for folder in class_.folders)


def find(root: str | Origin, image: str, names: Iterable[str]) -> Picked:
    """The image `image`, a name or an absolute path, of the classes `names` in the directory `root`.

    Raises ImageError, which names the file that cannot be used or every place that was looked in, and MaskedError.
    """
    problem = _name_problem(image)
    if problem:
        raise ImageError(printable(f"{image}: {problem}"))
    with Inputs(root) as inputs:
        remarks: list[str] = []
        if image.startswith("/"):
            picked = _absolute(inputs, image, remarks)
            if picked is None:
                raise ImageError("; ".join(remarks) or printable(f"{image}: no such image"))
            return picked
        searched = folders(names)
        for place in searched:
            picked = _in_place(inputs, place, image, remarks)
            if picked is not None:
                return picked
        where = ", ".join(searched)
        also = "".join(f"; {remark}" for remark in remarks)
        forms = f"{image}, {image}.raw, {image}.v/ or {image}.raw.v/"
        raise ImageError(f"{image}: no such image: no {forms} in {where}{also}")


def _name_problem(image: str) -> str:
    if not image or image.strip("/") in ("", ".", ".."):
        return "no name of an image; write a name or an absolute path"
    if "\0" in image or not image.isprintable():
        return "the name of an image must not hold control characters"
    if not image.startswith("/") and "/" in image:
        return "neither a name nor an absolute path; write one of them"
    if max(len(os.fsencode(part)) for part in image.split("/")) > 255:
        return "no file name is longer than 255 bytes; shorten it"
    return ""


def _in_place(inputs: Inputs, place: str, name: str, remarks: list[str]) -> Picked | None:
    """The image of `name` in the directory `place`; remarks are for the message where there is none anywhere."""
    for suffix in ("", ".raw"):
        path = f"{place}/{name}{suffix}"
        fd = _open(inputs, path)
        if fd < 0:
            continue
        mode, device = _stat(fd)
        if stat.S_ISDIR(mode) and not suffix:
            if not inputs.names(fd, path):
                os.close(fd)
                raise MaskedError(f"{path}: is an empty directory, which masks the image; remove it to use the image")
            return Picked(fd, path, "directory", name, "", split=inputs.split(path))
        if suffix and (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            return Picked(fd, path, "raw", name, "")
        os.close(fd)
        if stat.S_ISREG(mode):
            remarks.append(f"{path}: is a regular file; a raw image is named {name}.raw")
        elif stat.S_ISDIR(mode):
            remarks.append(f"{path}: is a directory; an image that is one is named {name}")
        elif device == _NULL:
            # systemd does not take this for a mask of an image either.
            remarks.append(f"{path}: is /dev/null; to mask an image, make an empty directory {name}")
        else:
            raise _refused(path, mode)
    for suffix in (".v", ".raw.v"):
        picked = _versioned(inputs, f"{place}/{name}{suffix}", name, suffix[:-2], name, remarks)
        if picked is not None:
            return picked
    return None


def _absolute(inputs: Inputs, image: str, remarks: list[str]) -> Picked | None:
    path = "/" + "/".join(part for part in image.split("/") if part not in ("", "."))
    parent, _, last = path.rpartition("/")
    base, wildcard, suffix = last.rpartition("___")
    if wildcard and parent.endswith(".v"):
        return _versioned(inputs, parent, base, suffix, base, remarks)
    if last.endswith(".v"):
        base = last[:-2].removesuffix(".raw")
        return _versioned(inputs, path, base, ".raw" if last.endswith(".raw.v") else "", base, remarks)
    fd = _open(inputs, path)
    if fd < 0:
        return None
    mode, _device = _stat(fd)
    if stat.S_ISDIR(mode):
        return Picked(fd, path, "directory", last, "", split=inputs.split(path))
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return Picked(fd, path, "raw", last.removesuffix(".raw"), "")
    os.close(fd)
    raise _refused(path, mode)


def _versioned(inputs: Inputs, directory: str, base: str, suffix: str, name: str, remarks: list[str]) -> Picked | None:
    """The version of `base` that counts in the `.v/` directory `directory`, or None with a remark."""
    fd = _open(inputs, directory)
    if fd < 0:
        return None
    try:
        mode = _stat(fd)[0]
        if not stat.S_ISDIR(mode):
            raise ImageError(f"{directory}: is {chase.kind(mode)}; what ends in .v is a directory of versions")
        names = inputs.names(fd, directory)
    finally:
        os.close(fd)
    if not suffix:
        names = [entry for entry in names if not entry.endswith(".raw")]
    choice = versions.pick(sorted(names), base, suffix, host.architecture())
    if choice is None:
        remarks.append(f"{directory}: holds no {base}_VERSION{suffix} for this architecture ({host.architecture()})")
        return None
    path = f"{directory}/{choice.filename}"
    fd = _open(inputs, path)
    if fd < 0:
        raise ImageError(printable(f"{path}: is gone; it was there a moment ago"))
    mode = _stat(fd)[0]
    if stat.S_ISDIR(mode) and suffix != ".raw":
        return Picked(fd, path, "directory", name, choice.version, split=inputs.split(path))
    if suffix and (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        return Picked(fd, path, "raw", name, choice.version)
    os.close(fd)
    raise _refused(path, mode)


def _open(inputs: Inputs, path: str) -> int:
    """A descriptor of `path` below the root, or -1 when there is no such name.  A link to nothing is an error."""
    try:
        return inputs.locate(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            found = inputs.entry(path)
            if found is None:
                return -1
            if stat.S_ISLNK(found.st_mode):
                raise ImageError(
                    printable(f"{path}: is a link to a place that does not exist inside the root; correct or remove it")
                ) from None
        raise ImageError(printable(f"{path}: {os.strerror(error.errno or 0)}")) from None


def _stat(fd: int) -> tuple[int, int]:
    info = os.fstat(fd)
    return info.st_mode, info.st_rdev if stat.S_ISCHR(info.st_mode) else 0


def _refused(path: str, mode: int) -> ImageError:
    return ImageError(printable(f"{path}: is {chase.kind(mode)}; an image is a directory or a raw file system"))
