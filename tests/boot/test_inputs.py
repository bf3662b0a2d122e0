"""One boot a suite: what is merged brings and hides no input, and images below hierarchies stay the same."""

from __future__ import annotations

import os
from typing import Any

import pytest
from images import directory, squashfs
from machine import Boot, Machine

MEANT = "Hides=/**\n"  # whatever it takes away, it means it
_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `inside/inputs.py` saw."""
    if suite not in _booted:
        with Machine(suite, tmp_path_factory.mktemp(suite)) as machine:
            _fill(machine)
            _booted[suite] = machine.boot("inputs.py")
    return _booted[suite].facts()


def _fill(machine: Machine) -> None:
    root = machine.root
    fields = (root / "usr/lib/os-release").read_text().splitlines()
    host = "".join(f"{line}\n" for line in fields if line.startswith(("ID=", "VERSION_ID=")))
    made = root / "boot-images"
    squashfs(directory(made / "kube", "kube", {"usr/bin/kubelet": "1"}), root / "etc/extensions/kube.raw")
    squashfs(directory(made / "vend", "vend", {"etc/v.conf": "1"}, "confext"), root / "usr/lib/confexts/vend.raw")
    directory(root / "var/lib/confexts/site", "site", {"etc/site.conf": "0"}, "confext")
    directory(root / "var/lib/confexts/brand", "brand", {"etc/os-release": "ID=other\n"}, "confext")
    # Hides the vendor's manifests, and brings a place for others, with an image in it.
    bad = directory(root / "var/lib/extensions/bad", "bad", {"usr/share/bad": ""})
    (bad / "usr/lib/extensions.d").mkdir()
    os.setxattr(bad / "usr/lib/extensions.d", "trusted.overlay.opaque", b"y")
    directory(bad / "usr/lib/confexts/carried", "carried", {"etc/carried.conf": "1"}, "confext")
    for name in ("tool", "vendor", "late"):
        directory(root / f"var/lib/extensions/{name}", name, {f"usr/share/{name}/file": "1"}, host=host)
    for name, text in {"kube": "", "bad": MEANT, "tool": ""}.items():
        machine.write(f"etc/extensions.d/{name}.extension", f"[Extension]\n{text}")
    for name, text in {"vend": "", "site": "", "brand": MEANT, "carried": ""}.items():
        machine.write(f"etc/extensions.d/{name}.extension", f"[Extension]\nClass=confext\n{text}")
    machine.write("usr/lib/extensions.d/vendor.extension", "[Extension]\n")


def test_what_is_merged_hides_no_manifest_and_no_host(facts: dict[str, Any]) -> None:
    merged = {"kube", "vend", "site", "brand", "bad", "tool", "vendor"}
    assert facts["hidden"] == [], "the image hides the vendor's manifests from everybody else"
    assert {name for name, state in facts["boot"]["states"].items() if state == "merged"} == merged
    for scene in ("reloaded", "refreshed"):
        assert facts[scene]["states"] == facts["boot"]["states"]
        assert facts[scene]["units"] == facts["boot"]["units"]
    assert "run-extension-vendor.mount" in facts["boot"]["units"]
    assert facts["tool"]["rc"] == 3, facts["tool"]  # because of `carried`
    assert facts["tool file"] == "2"


def test_an_image_below_a_hierarchy_is_the_same_at_each_refresh(facts: dict[str, Any]) -> None:
    assert facts["boot"]["loops"] == {"kube.raw": 1, "vend.raw": 1}
    assert facts["unchanged"] == [facts["boot"]["generation"]] * 3
    assert facts["updates"] == [f"{number}" for number in range(6)]
    assert facts["refreshed"]["loops"] == facts["boot"]["loops"]


def test_an_image_in_an_image_is_never_found(facts: dict[str, Any]) -> None:
    reasons = {facts[scene]["carried"] for scene in ("boot", "reloaded", "refreshed", "mutable")}
    assert len(reasons) == 1
    assert "no such image" in reasons.pop()


def test_what_people_write_while_merged_counts(facts: dict[str, Any]) -> None:
    assert facts["written"]["states"]["late"] == "merged"
    assert facts["written"]["states"]["tool"] == "masked"
    assert "run-extension-late.mount" in facts["written"]["units"]
    assert "run-extension-tool.mount" not in facts["written"]["units"]
