#  SPDX-License-Identifier: MIT
"""Inputs are opened where their origin is: the same answers merged or not, through no link put there since."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_manifests.origin import Origin
from extension_runtime import inputs
from extension_runtime.inputs import Inputs
from pytest_mock import MockerFixture


@pytest.fixture(params=["plain", "base", "upper"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Origin:
    """A root with a file, a link and a folder in /etc: not merged; merged, with these in the base; in the upper."""
    place = {"plain": tmp_path / "r/etc", "base": tmp_path / "base", "upper": tmp_path / "upper"}[request.param]
    for folder in ("r/etc", "base/d", "upper"):
        (tmp_path / folder).mkdir(parents=True)
    (place / "d").mkdir(exist_ok=True)
    (place / "d/f").write_text("text\n")
    (place / "link").symlink_to("/etc/d/f")
    (place / "dangling").symlink_to("/nowhere")
    (place / "loop").symlink_to("loop")
    origin = Origin(str(tmp_path / "r"))
    if request.param != "plain":
        (tmp_path / "r/etc/d").mkdir()
        (tmp_path / "r/etc/d/f").write_text("of a layer\n")
        (tmp_path / "r/etc/layer").write_text("of a layer\n")
        folders = (str(tmp_path / "base"),)
        origin.merged = {"/etc": folders if request.param == "base" else (str(tmp_path / "upper"), *folders)}
    return origin


def test_the_same_answers_merged_or_not(root: Origin) -> None:
    with Inputs(root) as found:
        for path in ("etc/d/f", "/etc/link"):
            assert found.read_text(path, path, 100) == "text\n"
            os.close(found.locate(path))
        fd = found.locate("/etc/d")
        assert found.names(fd, "/etc/d") == ["f"]
        os.close(fd)
        assert not found.split("/etc/d")
        assert found.entry("/etc/layer") is None
        assert found.entry("/etc/dangling") is not None
        for path, wrong in (("layer", errno.ENOENT), ("dangling", errno.ENOENT), ("d/f/x", errno.ENOTDIR)):
            with pytest.raises(OSError, match=os.strerror(wrong)):
                found.locate(f"/etc/{path}")
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            found.locate("/etc/loop")
        with pytest.raises(ImageError, match="shown: is a directory"):
            found.read_text("/etc/d", "shown", 100)


def test_a_folder_that_is_in_two_places_says_so(tmp_path: Path) -> None:
    for folder in ("r/etc", "base/d", "base/touched", "upper/d", "upper/touched"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "base/d/f").write_text("")
    (tmp_path / "base/touched/f").write_text("")
    (tmp_path / "upper/d/g").write_text("")
    origin = Origin(str(tmp_path / "r"))
    origin.merged = {"/etc": (str(tmp_path / "upper"), str(tmp_path / "base"))}
    with Inputs(origin) as found:
        assert found.split("/etc/d")
        assert not found.split("/etc/touched")
        fd = found.locate("/etc/touched")
        assert os.fstat(fd).st_ino == os.stat(tmp_path / "base/touched").st_ino
        assert found.names(fd, "/etc/d") == ["f", "g"]
        os.close(fd)


def test_a_link_put_there_since_is_not_followed(tmp_path: Path, mocker: MockerFixture) -> None:
    """What was resolved may be another thing when it is opened: it is resolved anew, and at some time given up."""
    (tmp_path / "r").mkdir()
    (tmp_path / "base").mkdir()
    (tmp_path / "base/f").write_text("")
    (tmp_path / "base/link").symlink_to("f")
    origin = Origin(str(tmp_path / "r"))
    origin.merged = {"/usr": (str(tmp_path / "base"),)}
    place = mocker.patch.object(Origin, "place", side_effect=[f"{tmp_path}/base/link", f"{tmp_path}/base/f"])
    with Inputs(origin) as found:
        os.close(found.locate("/usr/f"))
        assert place.call_count == 2
        place.side_effect = [f"{tmp_path}/base/link"] * inputs.TRIES
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            found.locate("/usr/f")


def test_a_root_that_is_not_there_is_told() -> None:
    with pytest.raises(ImageError, match="/nonexistent: No such file"):
        Inputs("/nonexistent")
