#  SPDX-License-Identifier: MIT
"""Whether what is attached is what would be attached now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from extension_manifests.manifest import Manifest
from extension_runtime.image import current, identity, request
from extension_runtime.image.record import Record

APP = Manifest("app", "/etc/extensions.d/app.extension")
BOTH = Manifest("app", "/etc/extensions.d/app.extension", classes=("confext", "sysext"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    image = tmp_path / "var/lib/extensions/app"
    (image / "usr").mkdir(parents=True)
    return image


def identity_of(image: Path) -> str:
    fd = os.open(image, os.O_PATH)
    try:
        return identity.identity(fd)
    finally:
        os.close(fd)


def known(root: Path, **changes: str) -> Record:
    image = identity_of(root / "var/lib/extensions/app")
    options = request.of_manifest("", APP).options
    found = Record("app", "attached", classes=["sysext"], identity=image, options=options)
    for key, value in changes.items():
        setattr(found, key, value)
    return found


def test_the_identity_is_that_of_the_image_found(tmp_path: Path, image: Path) -> None:
    assert current.current_identity(str(tmp_path), APP) == identity_of(image)
    assert current.current_identity(str(tmp_path), Manifest("other", "/m")) == ""


def test_the_same_image_is_current(tmp_path: Path, image: Path) -> None:
    root = str(tmp_path)
    assert current.is_current(root, APP, known(tmp_path))
    assert current.is_current(root, APP, known(tmp_path, state="skipped"))
    assert not current.is_current(root, APP, known(tmp_path, state="failed"))
    assert not current.is_current(root, BOTH, known(tmp_path))
    assert not current.is_current(root, APP, None)
    before = known(tmp_path)
    (image / "opt").mkdir()
    assert not current.is_current(root, APP, before)


def test_the_order_of_classes_says_nothing(tmp_path: Path, image: Path) -> None:
    other = Manifest("app", "/etc/extensions.d/app.extension", classes=("sysext", "confext"))
    attached = known(tmp_path, options=request.of_manifest("", other).options)
    assert current.is_current(str(tmp_path), BOTH, attached)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ("sysext", "confext")},
        {"image": "/var/lib/extensions/app"},
        {"mismatch": "fail"},
        {"noexec": True},
        {"nosuid": True},
        {"image_policy": "root=verity"},
        {"root_hash": "00" * 32},
        {"signature": "/x.p7s"},
    ],
)
def test_a_change_of_what_decides_about_an_image_is_a_change(
    tmp_path: Path, image: Path, change: dict[str, Any]
) -> None:
    changed = Manifest("app", "/etc/extensions.d/app.extension", **change)
    assert not current.is_current(str(tmp_path), changed, known(tmp_path))
    back = known(tmp_path, options=request.of_manifest("", changed).options)
    assert current.is_current(str(tmp_path), changed, back)
    assert not current.is_current(str(tmp_path), APP, back)


def test_what_a_version_before_has_attached_is_attached_anew(tmp_path: Path, image: Path) -> None:
    assert not current.is_current(str(tmp_path), APP, known(tmp_path, options=""))


def test_hierarchies(tmp_path: Path, image: Path) -> None:
    assert current.current_hierarchies(str(tmp_path), BOTH) == []  # what is empty has nothing to merge
    for path in ("usr/app", "etc/app.conf"):
        (image / path).parent.mkdir(exist_ok=True)
        (image / path).touch()
    assert current.current_hierarchies(str(tmp_path), APP) == ["usr"]
    assert current.current_hierarchies(str(tmp_path), BOTH) == ["usr", "etc"]
    (image / "opt").symlink_to("usr")
    assert current.current_hierarchies(str(tmp_path), APP) == []
    assert current.current_hierarchies(str(tmp_path), Manifest("other", "/m")) == []


def test_a_raw_image_may_have_all(tmp_path: Path) -> None:
    (tmp_path / "run/extensions").mkdir(parents=True)
    (tmp_path / "run/extensions/app.raw").write_text("x")
    assert current.current_hierarchies(str(tmp_path), APP) == ["usr", "opt"]
    (tmp_path / "run/confexts").mkdir(parents=True)
    (tmp_path / "run/confexts/app.raw").write_text("x")
    assert current.current_hierarchies(str(tmp_path), BOTH) == ["usr", "opt", "etc"]


def test_who_insists_and_who_does_not_any_more(tmp_path: Path, image: Path) -> None:
    skipped, forced = known(tmp_path, state="skipped"), known(tmp_path)
    forced.excused = "made for ID=other"
    assert current.is_current(str(tmp_path), APP, skipped)
    assert not current.is_current(str(tmp_path), APP, skipped, insisted=True)
    assert current.is_current(str(tmp_path), APP, forced, insisted=True)
    assert not current.is_current(str(tmp_path), APP, forced)
