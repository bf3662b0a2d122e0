#  SPDX-License-Identifier: MIT
"""Whether an image is still the one that it was."""

from __future__ import annotations

import os
from pathlib import Path

from extension_runtime.image import find, identity

SYSEXT = ("sysext",)


def put(root: Path, *paths: str) -> None:
    """Make files (or, with a slash at the end, directories that are not empty) below `root`."""
    for path in paths:
        if path.endswith("/"):
            (root / path / "usr").mkdir(parents=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("x")


def of(root: Path, path: str) -> str:
    """The identity of the image at `path` below `root`, as it is now."""
    with find.find(str(root), path, SYSEXT) as picked:
        return identity.identity(picked.fd)


def test_identity(tmp_path: Path) -> None:
    put(tmp_path, "srv/a/", "srv/b.raw")
    a, b = of(tmp_path, "/srv/a"), of(tmp_path, "/srv/b.raw")
    assert a != b
    assert a == of(tmp_path, "/srv/a") == of(Path("/"), f"{tmp_path}/srv/a")
    (tmp_path / "srv/new.raw").write_text("x")
    os.rename(tmp_path / "srv/new.raw", tmp_path / "srv/b.raw")
    assert b != of(tmp_path, "/srv/b.raw")
    releases = tmp_path / "srv/a/usr/lib/extension-release.d"
    releases.mkdir(parents=True)
    (releases / "extension-release.a").write_text("ID=a\n")
    before = of(tmp_path, "/srv/a")
    assert before != a
    (releases / "extension-release.a").write_text("ID=b\n")
    assert before != of(tmp_path, "/srv/a")
