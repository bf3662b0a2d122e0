"""Where an image meets the base, seen without any code of the product: ordinary images nowhere but in folders."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def meetings(base: Path, tree: Path) -> list[str]:
    """Paths where an image has anything but a folder with the mode, owner and extended attributes of the base's."""
    found = []
    for top, names, files in os.walk(tree):
        for path in (Path(top, name).relative_to(tree) for name in names + files):
            if os.path.lexists(base / path):
                ours, theirs = _attributes(tree / path), _attributes(base / path)
                if ours != theirs or not stat.S_ISDIR(os.lstat(tree / path).st_mode):
                    found.append(f"{path}: the base has {theirs}, the image {ours}")
    return found


def _attributes(path: Path) -> tuple[str, int, int, dict[str, bytes]]:
    found = os.lstat(path)
    names = os.listxattr(path, follow_symlinks=False)
    attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    return stat.filemode(found.st_mode), found.st_uid, found.st_gid, attributes
