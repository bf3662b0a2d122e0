#  SPDX-License-Identifier: MIT
"""Whether an image is still the one that it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
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


def test_identity(tmp_path: Path) -> None:
    put(tmp_path, "srv/a/", "srv/b.raw")
    a, b = (identity.identity(path, str(tmp_path)) for path in ("/srv/a", "/srv/b.raw"))
    assert a != b
    assert a == identity.identity("/srv/a", str(tmp_path)) == identity.identity(f"{tmp_path}/srv/a")
    with find.find(str(tmp_path), "/srv/a", SYSEXT) as picked:
        assert a == identity.identity(picked.fd)
    (tmp_path / "srv/new.raw").write_text("x")
    os.rename(tmp_path / "srv/new.raw", tmp_path / "srv/b.raw")
    assert b != identity.identity("/srv/b.raw", str(tmp_path))
    releases = tmp_path / "srv/a/usr/lib/extension-release.d"
    releases.mkdir(parents=True)
    (releases / "extension-release.a").write_text("ID=a\n")
    before = identity.identity("/srv/a", str(tmp_path))
    assert before != a
    (releases / "extension-release.a").write_text("ID=b\n")
    assert before != identity.identity("/srv/a", str(tmp_path))
    with pytest.raises(ImageError, match="/srv/none: does not exist"):
        identity.identity("/srv/none", str(tmp_path))
