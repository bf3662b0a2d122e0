"""Services in mount namespaces of their own, across merges: real units with every sandbox that systemd offers.

None may ever do what its sandbox forbids; what was started after the first merge sees what the machine sees; what
was started before keeps what it had.  One boot a suite, and one more without anchors, which must be noticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from images import directory
from machine import Boot, Machine

BOX = "/etc/box"
PLACES = ("", "/open", "/shut", "/secret", "/bound", "/even")
ETC = frozenset(BOX + tail for tail in PLACES)
USR = frozenset({"/usr/share/box"})
OPT = frozenset({"/opt/box"})
VERSIONS = ("1", "2", "3")
EVEN = ("1", "2")  # the versions that have /etc/box/even


class Rights(NamedTuple):
    """What a sandbox takes away: places that must not be written, files that must not be read.

    `own` are places that are the service's own, `shows` the file that it sees instead of another and what is in it
    (None: what is merged).
    """

    shut: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    shows: tuple[str, str | None] = ("", None)


SECRET = frozenset({f"{BOX}/secret"})
SECRET_FILE = frozenset({f"{BOX}/secret/file"})
BOUND = frozenset({f"{BOX}/bound"})
OPEN = frozenset({f"{BOX}/open"})
RIGHTS = {
    "none": Rights(),
    "private-tmp": Rights(),
    "system-yes": Rights(USR),
    "system-full": Rights(USR | ETC),
    "system-strict": Rights(USR | ETC | OPT),
    "private-users": Rights(),
    "flags-private": Rights(),
    "read-write": Rights((USR | ETC | OPT) - OPEN),
    "read-only": Rights(frozenset({f"{BOX}/shut"})),
    "inaccessible": Rights(SECRET, SECRET_FILE),
    "tmpfs": Rights(hidden=SECRET_FILE, own=SECRET),
    "bind-inside": Rights(BOUND, shows=(f"{BOX}/bound/file", None)),
    "bind-outside": Rights(BOUND, shows=(f"{BOX}/bound/file", "outside")),
    "bind-usr": Rights(BOUND, shows=(f"{BOX}/bound/file", None)),
    "bind-in-tmpfs": Rights(hidden=SECRET_FILE, own=SECRET, shows=(f"{BOX}/secret/bound/file", None)),
    "nested": Rights(ETC - OPEN, SECRET_FILE),
    "vanishing": Rights(frozenset({f"{BOX}/even"}), frozenset({f"{BOX}/even/secret/file"})),
    "root-directory": Rights(USR | ETC | OPT),
    "own-namespace": Rights(ETC),
}
# Where a right cannot be kept or an overlay is seen elsewhere, a service keeps the old content: a stale view.
MAY_BE_STALE = {"vanishing", "root-directory", "own-namespace"}
SEEN_EVERYWHERE = ("/etc/box/file", "/etc/box/open/file", "/etc/box/shut/file", "/usr/share/box/file", "/opt/box/file")


def _content(version: str) -> dict[str, str]:
    """The files of a version below /etc."""
    tails = [tail for tail in PLACES if tail != "/even" or version in EVEN]
    found = {f"{BOX[1:]}{tail}/file": f"{version}\n" for tail in tails}
    if version in EVEN:
        found[f"{BOX[1:]}/even/secret/file"] = f"{version}\n"
    return found


def _prepare(machine: Machine) -> None:
    root = machine.root
    software = ("usr/share/box/file", "opt/box/file")
    base = {**_content("base"), **dict.fromkeys(software, "base\n"), "srv/outside/file": "outside\n"}
    for path, text in base.items():
        machine.write(path, text)
    for version in VERSIONS:
        directory(root / f"srv/box-{version}", "box", _content(version), "confext")
        directory(root / f"srv/boxware-{version}", "boxware", dict.fromkeys(software, f"{version}\n"))
    for name in ("usr", "etc", "proc", "sys", "dev", "run", "tmp", "var"):
        (root / "srv/root" / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "srv/root" / name).symlink_to(f"usr/{name}")


_booted: dict[tuple[str, ...], Boot] = {}


def _facts(suite: str, factory: pytest.TempPathFactory, *argv: str) -> dict[str, Any]:
    """What sandboxes.py saw; each boot is done once, also when it fails."""
    if (suite, *argv) not in _booted:
        with Machine(suite, factory.mktemp(suite)) as machine:
            _prepare(machine)
            _booted[(suite, *argv)] = machine.boot("sandboxes.py", *argv, timeout=240.0)
    return _booted[(suite, *argv)].facts()


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen on a machine of `suite`."""
    return _facts(suite, tmp_path_factory)


class Seen(NamedTuple):
    """One unit in one scene."""

    scene: dict[str, Any]
    unit: dict[str, Any]
    started: str
    kind: str

    def __str__(self) -> str:
        return f"{self.scene['name']}: {self.kind} started {self.started}"

    @property
    def early(self) -> bool:
        """Whether it was started before there were anchors and has a namespace of its own."""
        return self.started == "early" and self.kind != "none"

    @property
    def masked(self) -> bool:
        """Whether its sandbox had what it takes away; a path that is optional may have been missing at its start."""
        return self.kind != "vanishing" or self.started in ("late", "mutable")


def _seen(facts: dict[str, Any]) -> Iterator[Seen]:
    for scene in facts["scenes"]:
        for name, unit in scene["units"].items():
            _box, started, kind = name.split("-", 2)
            yield Seen(scene, unit, started, kind)


def _holes(facts: dict[str, Any]) -> list[str]:
    """What a unit could do although its sandbox forbids it."""
    found = []
    for seen in _seen(facts):
        rights = RIGHTS[seen.kind]
        if not seen.masked:
            continue
        found += [f"{seen}: wrote {place}" for place in sorted(rights.shut) if seen.unit["write"][place] == ""]
        for path in sorted(rights.hidden):
            if seen.unit["read"][path] in ("base", *VERSIONS):
                found.append(f"{seen}: read {path}")
    return found


def test_all_went_well(facts: dict[str, Any]) -> None:
    assert [start["rc"] for start in facts["starts"]] == [0] * len(facts["starts"])
    for scene in facts["scenes"]:
        assert scene["ran"]["rc"] == 0, scene["ran"]
        assert {scene["host"]["read"][path] for path in SEEN_EVERYWHERE} == {scene["version"]}, scene["name"]


def test_no_sandbox_has_a_hole(facts: dict[str, Any]) -> None:
    assert _holes(facts) == []


def test_what_may_be_written_can_be_written(facts: dict[str, Any]) -> None:
    refused = []
    for seen in _seen(facts):
        rights = RIGHTS[seen.kind]
        if seen.kind in MAY_BE_STALE:
            continue
        for place, error in seen.unit["write"].items():
            writable = seen.early or place.split("/")[1] in seen.scene["writable"]
            if writable and place not in rights.shut | rights.own and error not in ("", "ENOENT"):
                refused.append(f"{seen}: {place}: {error}")
    assert refused == []


def test_read_only_modes_are_read_only_for_all(facts: dict[str, Any]) -> None:
    written = []
    for seen in _seen(facts):
        if seen.early or seen.kind in MAY_BE_STALE:
            continue
        for place, error in seen.unit["write"].items():
            if not error and place.split("/")[1] not in seen.scene["writable"] and place not in RIGHTS[seen.kind].own:
                written.append(f"{seen}: {place}")
    assert written == []


def test_who_came_after_the_anchors_sees_what_is_merged(facts: dict[str, Any]) -> None:
    wrong = []
    for seen in _seen(facts):
        if seen.early or seen.kind in MAY_BE_STALE:
            continue
        path, text = RIGHTS[seen.kind].shows
        expected = dict.fromkeys(SEEN_EVERYWHERE, seen.scene["version"])
        if path:
            expected[path] = text or seen.scene["version"]
        wrong += [f"{seen}: {p}: {seen.unit['read'][p]}" for p, t in expected.items() if seen.unit["read"][p] != t]
        left = set(seen.unit["overlays"]) - set(seen.scene["host"]["overlays"])
        wrong += [f"{seen}: still has the overlay {device}" for device in left]
    assert wrong == []


def test_who_came_before_keeps_what_it_had(facts: dict[str, Any]) -> None:
    wrong = []
    for seen in _seen(facts):
        if seen.early and seen.kind != "root-directory":
            texts = {seen.unit["read"][path] for path in SEEN_EVERYWHERE}
            if texts != {"base"}:
                wrong.append(f"{seen}: {texts}")
    assert wrong == []


def test_a_mask_that_has_no_place_for_a_while_is_there_again(facts: dict[str, Any]) -> None:
    by_scene = {(seen.scene["name"], seen.started, seen.kind): seen for seen in _seen(facts)}
    gone = by_scene["refreshed again", "late", "vanishing"]
    back = by_scene["ephemeral refreshed", "late", "vanishing"]
    assert gone.unit["read"]["/etc/box/file"] == "2", "the old content, because the new one lacks what is masked"
    assert (back.unit["read"]["/etc/box/file"], back.unit["write"][f"{BOX}/even"]) == ("2", "EROFS")
    assert back.unit["overlays"] == back.scene["host"]["overlays"]


def test_mounts_do_not_pile_up(facts: dict[str, Any]) -> None:
    first: dict[tuple[str, str], int] = {}
    more = []
    for seen in _seen(facts):
        if seen.kind in ("none", "own-namespace") or seen.scene["name"] == "base":
            continue
        number = seen.unit["mounts"]
        if number > first.setdefault((seen.started, seen.kind), number):
            more.append(f"{seen}: {number} mounts, not {first[seen.started, seen.kind]}")
    assert more == []


def test_nothing_private_is_copied_into_a_sandbox(facts: dict[str, Any]) -> None:
    copied = {line for seen in _seen(facts) if seen.kind != "none" for line in seen.unit["private"]}
    assert copied == set()


def test_plain_propagation_would_be_noticed(suite: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    facts = _facts(suite, tmp_path_factory, "plain")
    assert [scene["ran"] for scene in facts["scenes"] if scene["ran"]["rc"]] == []
    holes = "\n".join(_holes(facts))
    for kind in ("system-full", "system-strict", "read-only", "inaccessible", "tmpfs", "bind-inside", "nested"):
        assert f"{kind} started early" in holes, holes
    assert "refreshed: system-full started late: wrote" in holes, holes
