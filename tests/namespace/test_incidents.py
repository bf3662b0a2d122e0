#  SPDX-License-Identifier: MIT
"""The incidents are what they say: a plain overlay does to the base what they describe, and a merge does not."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from extension_manifests.errors import Diagnostic
from extension_runtime.cli import images
from extension_runtime.image import host
from extension_runtime.kernel import syscalls
from incidents import INCIDENTS, PYTHONS, Incident, furnish, squashfs
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
    try:
        labels = os.listxattr(place, follow_symlinks=False)
    except OSError:
        labels = []  # a squashfs that has none
    own = [name for name in labels if not name.startswith("trusted.overlay")]
    return (found.st_mode, found.st_uid, found.st_gid, inside, *own)


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


# What a merge makes of them


def whole(root: Root) -> dict[str, tuple[object, ...]]:
    """All of the hierarchies, without what is mounted there."""
    found = {}
    for hierarchy in ("usr", "opt", "etc"):
        for folder, folders, files in os.walk(root / hierarchy):
            for name in (".", *folders, *files):
                path = Path(folder, name)
                found[os.path.relpath(path, root.path)] = look(path)
    return found


def innocents(root: Root) -> None:
    for name in ("before-all", "zz-after-all"):
        root.extension(name)
        root.extension(f"{name}-conf", class_="confext")


def others_are_merged(root: Root) -> bool:
    return all(
        root.entry(f"{name}{more}")["state"] == "merged" and root.read(f"{top}/share/{name}{more}") == "1"
        for name in ("before-all", "zz-after-all")
        for more, top in (("", "usr"), ("-conf", "etc"))
    )


def prepared(place: Path, incident: Incident, packed: bool) -> Root:
    """A machine with an incident among innocent extensions."""
    root = Root(place)
    furnish(root.path)
    innocents(root)
    if incident.mount:
        tree = syscalls.open_tree(str(root / incident.mount))
        syscalls.move_mount(tree, str(root / incident.mount))
        os.close(tree)
    image = incident.image(root / "var/lib/made")
    if packed and not incident.raw:
        image = squashfs(image)
    root.install(image, incident.class_, image.suffix)
    root.manifest(incident.name, incident.class_)
    return root


def checked(root: Root, incident: Incident) -> list[Diagnostic]:
    """What `extensionctl check` says of the image, with this root as the system."""
    place = root / {"sysext": "var/lib/extensions", "confext": "var/lib/confexts"}[incident.class_]
    image = next(path for path in place.iterdir() if path.name.removesuffix(".raw") == incident.name)
    return images.problems([str(image)], host.read(str(root.path)), str(root.path), [])


def kept_attributes(root: Root, before: dict[str, tuple[object, ...]]) -> bool:
    """Whether all folders that were there are as they were."""
    folders = {path: found for path, found in before.items() if stat.S_ISDIR(mode(found))}
    return all(attributes(look(root / path)) == attributes(found) for path, found in folders.items())


def missing(root: Root, before: dict[str, tuple[object, ...]]) -> set[str]:
    """What is not there any more, or is another kind of thing."""
    return {p for p, found in before.items() if stat.S_IFMT(mode(look(root / p))) != stat.S_IFMT(mode(found))}


@pytest.mark.parametrize("packed", [False, True], ids=["directory", "squashfs"])
@pytest.mark.parametrize("incident", INCIDENTS, ids=str)
def test_incident_is_stopped_before_the_swap(namespace: Path, incident: Incident, packed: bool) -> None:
    if packed or incident.raw:
        require_tool("mksquashfs")
        require_filesystem("squashfs")
    if incident.raw and not packed:
        return  # one is tried, packed
    root = prepared(namespace / "machine", incident, packed)
    before, mounts = whole(root), root.snapshot()["mounts"]
    out = incident.outcome == "left-out"
    found = checked(root, incident)
    assert any(problem.severity == "error" for problem in found) is out
    if incident.outcome != "base-wins":
        assert any(f"/{incident.path}" in problem.message for problem in found)
    assert (whole(root), root.snapshot()["mounts"]) == (before, mounts)
    result = root.merge()
    entry = root.entry(incident.name)
    assert result.exit_code == (3 if out else 0)
    assert others_are_merged(root)
    assert root.has(incident.innocent) is not out
    assert not missing(root, before)
    if out:
        assert (entry["state"], entry["layer"]) == ("failed", "")
        assert f"/{incident.path}" in entry["reason"]
        assert "\n" not in entry["reason"] and len(entry["reason"]) < 1000
    else:
        assert (entry["state"], entry["reason"]) == ("merged", "")
    if incident.outcome == "base-wins":
        assert kept_attributes(root, before)
    if incident.outcome == "told":
        inside = incident.path.split("/", 1)[0] in HIERARCHIES[incident.class_]
        assert entry["overrides"] == ({"": 1} if inside else {})
    if incident.name == "empty-opt":
        root.put("opt/written", "as ever")
        (root / "opt/written").unlink()
    root.check()
    # Again, with nothing changed.
    generation = root.state["generation"]
    again = root.refresh()
    assert (again.exit_code, root.state["generation"]) == (result.exit_code, generation)
    assert root.entry(incident.name)["state"] == entry["state"]
    if out:
        _allow(root, incident, before)
    root.run("unmerge")
    assert whole(root) == before
    assert root.snapshot()["mounts"] == mounts


def _allow(root: Root, incident: Incident, before: dict[str, tuple[object, ...]]) -> None:
    """Say in the manifest that it is meant."""
    path = f"/{incident.path}*" if incident.path.endswith(".") else f"/{incident.path}"
    for wrong in (f"{path}/below", "/usr/other", f"{path}-more"):
        root.manifest(incident.name, incident.class_, f"Hides={wrong}\n")
        assert root.refresh().exit_code == 3
        assert root.entry(incident.name)["state"] == "failed"
    root.manifest(incident.name, incident.class_, f"Hides={path}\n")
    result = root.refresh()
    entry = root.entry(incident.name)
    assert others_are_merged(root)
    if incident.mount or incident.name == "os-release":  # nothing allows those
        assert (result.exit_code, entry["state"]) == (3, "failed")
        assert look(root / incident.path) == before[incident.path]
        return
    assert (result.exit_code, entry["state"], entry["reason"]) == (0, "merged", "")
    assert root.has(incident.innocent)
    changed = {p for p, found in before.items() if look(root / p) != found and not stat.S_ISDIR(mode(found))}
    emptied = {p for p in before if not os.path.lexists(root / p)}
    assert changed | emptied | missing(root, before)
    assert all(f"/{p}".startswith(path.rstrip("*")) for p in changed | emptied)
    assert kept_attributes_outside(root, before, incident.path)
    root.check()
    root.manifest(incident.name, incident.class_)
    assert root.refresh().exit_code == 3
    assert root.entry(incident.name)["state"] == "failed"
    assert not missing(root, before)


def kept_attributes_outside(root: Root, before: dict[str, tuple[object, ...]], path: str) -> bool:
    outside = {p: found for p, found in before.items() if not f"{p}/".startswith(f"{path}/")}
    return kept_attributes(root, outside)


def test_all_incidents_at_once(namespace: Path) -> None:
    """None excuses another: each of them is judged as if it were alone."""
    root = Root(namespace / "machine")
    furnish(root.path)
    innocents(root)
    before = whole(root)
    for incident in INCIDENTS:
        if not incident.mount:
            image = incident.image(root / "var/lib/made")
            root.install(image, incident.class_, image.suffix)
            root.manifest(incident.name, incident.class_)
    assert root.merge().exit_code == 3
    for incident in INCIDENTS:
        if not incident.mount:
            out = incident.outcome == "left-out"
            entry = root.entry(incident.name)
            assert (incident.name, entry["state"]) == (incident.name, "failed" if out else "merged")
            assert root.has(incident.innocent) is not out
            assert not out or f"/{incident.path}" in entry["reason"]
    assert others_are_merged(root)
    assert not missing(root, before)
    assert kept_attributes(root, before)
    root.check()
    root.run("unmerge")
    assert whole(root) == before
