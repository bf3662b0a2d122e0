#  SPDX-License-Identifier: MIT
"""An image put in the place of the one that is attached: never a moment without, and nothing changed when it is bad."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from extension_runtime.image import attach, records
from extension_runtime.image.request import Request
from extension_runtime.kernel import mountinfo
from extension_runtime.paths import Paths


def _image(root: Path, version: str, release: bool = True) -> None:
    tree = root / f"var/lib/extensions/foo.v/foo_{version}"
    (tree / "usr/lib/extension-release.d").mkdir(parents=True)
    (tree / "usr/share").mkdir()
    (tree / "usr/share/version").write_text(version)
    if release:
        (tree / "usr/lib/extension-release.d/extension-release.foo").write_text("ID=_any\n")


def _attached(root: Path) -> Request:
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=debian\n")
    _image(root, "1")
    request = Request(str(root), "foo", "foo", ("sysext",), "skip")
    assert attach.attach(request).state == "attached"
    return request


def _mounts(root: Path) -> int:
    return sum(mount.path == f"{root}/run/extension/foo" for mount in mountinfo.read().mounts.values())


def test_the_new_one_is_there_and_none_is_missed(namespace: Path) -> None:
    request = _attached(namespace)
    path = f"{namespace}/run/extension/foo/usr/share/version"
    stop, missing = threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            try:
                os.stat(path)
            except OSError as error:
                missing.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    for version in range(2, 40):
        _image(namespace, str(version))
        assert attach.renew(request)
        assert Path(path).read_text() == str(version)
    stop.set()
    looking.join()
    assert missing == []
    assert _mounts(namespace) == 1
    assert records.attached(Paths(str(namespace)))["foo"].version == "39"


def test_a_bad_one_changes_nothing(namespace: Path) -> None:
    request = _attached(namespace)
    before = records.attached(Paths(str(namespace)))["foo"].identity
    _image(namespace, "2", release=False)
    assert not attach.renew(request)
    assert (namespace / "run/extension/foo/usr/share/version").read_text() == "1"
    assert records.attached(Paths(str(namespace)))["foo"].identity == before
    assert _mounts(namespace) == 1
