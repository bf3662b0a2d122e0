#  SPDX-License-Identifier: MIT
"""What is asked for is the same by a manifest and by the mount options made of it, and the gate is one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from extension_generator import render
from extension_manifests.load import Plan
from extension_manifests.manifest import Manifest
from extension_manifests.settings import Settings
from extension_manifests.unitfile import parse
from extension_runtime.image import main, request
from extension_runtime.image.request import Request, RequestError

VALUES: dict[str, tuple[Any, ...]] = {
    "image": ("app", "-x", "a=b", "/srv/a b,c%d.raw", "/srv/ä"),
    "classes": (("sysext",), ("confext",), ("confext", "sysext")),
    "mismatch": ("skip", "fail"),
    "noexec": (False, True),
    "nosuid": (False, True),
    "image_policy": ("", "root=verity", "*"),
    "root_hash": ("", "00" * 32),
    "signature": ("", "/x,y.p7s", "base64:AA=="),
}


def fields(asked: Request) -> dict[str, Any]:
    return {key: getattr(asked, key) for key in Request.__slots__}


def test_by_a_unit_and_by_a_manifest_it_is_the_same_request() -> None:
    for values in itertools.product(*VALUES.values()):
        manifest = Manifest("app", "/m", **dict(zip(VALUES, values, strict=True)))
        unit = render.render(Plan((manifest,), {}, {}, Settings(), []))["run-extension-app.mount"]
        assert isinstance(unit, str)
        [options] = [entry.value for entry in parse(unit, "unit") if entry.key == "Options"]
        # mount(8) puts its own before ours.
        by_unit = request.of_options("/r", "app", main.ours(f"rw,{options}".split(",")))
        by_manifest = request.of_manifest("/r", manifest)
        assert fields(by_unit) == fields(by_manifest)
        assert by_manifest.options == options
        for key in ("image", "mismatch", "noexec", "nosuid", "image_policy", "root_hash", "signature"):
            assert getattr(by_manifest, key) == getattr(manifest, key)
        assert set(by_manifest.classes) == set(manifest.classes)


@pytest.mark.parametrize("classes", [("sysext",), ("confext",), ("sysext", "confext")])
def test_nothing_asked_for_is_what_a_manifest_has_by_default(classes: tuple[str, ...]) -> None:
    asked = request.of_options("/r", "app", {"image": "app", "class": ":".join(classes)})
    assert fields(asked) == fields(request.of_manifest("/r", Manifest("app", "/m", classes=classes)))
    assert fields(request.of_options("", "a", {"image": "a"})) == fields(Request("", "a", "a"))


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("image", "", "ext.image= is missing: it names the image; run systemctl daemon-reload for a unit of old"),
        ("colour", "red", "unknown option ext.colour"),
        ("noexec", "yes", "ext.noexec=yes: write 0 or 1"),
        ("nosuid", "", "ext.nosuid=: write 0 or 1"),
        ("class", "sysext:x", "ext.class=sysext:x: write sysext, confext or sysext:confext"),
        ("class", "", "ext.class=: write sysext, confext or sysext:confext"),
        ("mismatch", "ignore", "ext.mismatch=ignore: write skip or fail"),
    ],
)
def test_wrong_requests(key: str, value: str, text: str) -> None:
    with pytest.raises(RequestError) as raised:
        request.of_options("", "name", {"image": "a", key: value})
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("key", "option"), [("ImagePolicy=", "policy"), ("RootHash=", "roothash"), ("Signature=", "signature")]
)
def test_what_cannot_be_verified_is_refused(key: str, option: str) -> None:
    asked = request.of_options("", "name", {"image": "a", option: "root=verity"})
    assert asked.refused == f"{key} is not yet supported, so this image is not attached; remove the setting"
    assert request.of_options("", "name", {"image": "a", option: ""}).refused == ""
    assert request.of_options("", "name", {"image": "a", "policy": "*"}).refused == ""
