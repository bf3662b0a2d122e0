#  SPDX-License-Identifier: MIT
"""The incidents are what they say: a plain overlay, without a merge of ours, does to the base what they describe."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from extension_runtime.kernel import syscalls
from incidents import INCIDENTS, PYTHONS, Incident, furnish
from requirements import require_filesystem, require_tool
from roots import Root

HIERARCHIES = {"sysext": ("usr", "opt"), "confext": ("etc",)}
MS_BIND = 0x1000


def look(place: Path) -> tuple[object, ...]:
    """What a file is: kind, mode and owner, text or target, names in it, attributes that are not the overlay's own."""
    try:
        found = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return ("nothing",)
    inside: object = found.st_rdev
    if stat.S_ISLNK(found.st_mode):
        inside = os.readlink(place)
    elif stat.S_ISDIR(found.st_mode):
        inside = frozenset(os.listdir(place))
    elif stat.S_ISREG(found.st_mode):
        inside = place.read_bytes()
    labels = [name for name in os.listxattr(place, follow_symlinks=False) if not name.startswith("trusted.overlay")]
    return (found.st_mode, found.st_uid, found.st_gid, inside, *labels)


def overlay(root: Root, incident: Incident) -> Path:
    """Stack the image over the base as it is; the folder in which all of it can be seen."""
    image = incident.image(root / "made")
    if incident.raw:
        attached = root / "attached"
        attached.mkdir()
        subprocess.run(["mount", "-t", "squashfs", "-o", "loop,ro", image, attached], check=True)
        image = attached
    merged = root / "merged"
    for hierarchy in HIERARCHIES[incident.class_]:
        (merged / hierarchy).mkdir(parents=True)
        layers = [str(tree / hierarchy) for tree in (image, root.path) if os.path.lexists(tree / hierarchy)]
        if len(layers) == 2:
            syscalls.mount("overlay", str(merged / hierarchy), "overlay", 0, f"lowerdir={':'.join(layers)}")
        else:
            syscalls.mount(layers[0], str(merged / hierarchy), None, MS_BIND, None)
    return merged


@pytest.mark.parametrize("incident", INCIDENTS, ids=str)
def test_incident_is_real(namespace: Path, incident: Incident) -> None:
    if incident.raw:
        require_tool("mksquashfs")
        require_filesystem("squashfs")
    root = Root(namespace / "machine")
    furnish(root.path)
    before = list(root.path.rglob("*"))
    furnish(root.path)
    assert list(root.path.rglob("*")) == before
    merged = overlay(root, incident)
    assert (merged / incident.innocent).read_text() == incident.name
    paths = [p for p in PYTHONS if root.has(p)] if incident.path.endswith(".") else [incident.path]
    assert paths
    for path in paths:
        base, now = look(root / path), look(merged / path)
        if path.split("/", 1)[0] not in HIERARCHIES[incident.class_]:
            assert incident.outcome == "told" and now == ("nothing",)
            assert os.path.lexists(root / "made" / incident.name / path)
            continue
        assert base != ("nothing",)
        if incident.outcome == "base-wins" and incident.name != "empty-opt":
            assert attributes(now) != attributes(base) and stat.S_IFMT(mode(now)) == stat.S_IFMT(mode(base))
        elif incident.outcome == "base-wins":
            assert now == base and mode(look(root / "made" / incident.name / path)) != 0
        elif mode(base) == mode(now) and stat.S_ISDIR(mode(base)):
            assert set(os.listdir(root / path)) > set(os.listdir(merged / path)) & set(os.listdir(root / path))
        else:
            assert base != now


def mode(found: tuple[object, ...]) -> int:
    return found[0] if isinstance(found[0], int) else 0


def attributes(found: tuple[object, ...]) -> tuple[object, ...]:
    """Mode, owner and labels."""
    return found[:3] + found[4:]


def test_all_kinds_and_names() -> None:
    names = [incident.name for incident in INCIDENTS]
    assert len(set(names)) == len(names) >= 25
    assert {incident.outcome for incident in INCIDENTS} == {"left-out", "base-wins", "told"}


def test_furnish_joins_sbin(namespace: Path) -> None:
    """Of a real root, whose usr/sbin is a folder: nothing is lost."""
    root = Root(namespace / "machine")
    root.put("usr/sbin/nologin", "no")
    root.put("usr/sbin/base", "another")
    furnish(root.path)
    assert os.readlink(root / "usr/sbin") == "bin"
    assert root.read("usr/bin/nologin") == "no" and root.read("usr/sbin/base") == "base"
