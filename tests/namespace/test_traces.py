"""No traces: whatever a hierarchy lies on, no peer of it ever shows an overlay, and an unmerge gives it back as it was.

The tables WAYS, FLOWS and the two sides make the cases: each way to mount a hierarchy, with everything that can be
done to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.kernel.mountinfo import Mount
from extension_runtime.merge.elsewhere import Elsewhere
from extension_runtime.overlay import ground, top
from extension_runtime.overlay.top import generation_of
from extension_runtime.steps import Step
from roots import Interruption, Root

REC = 0x4000


class Ways:
    """A root, whatever is to be mounted on it, and what else shows the same folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = Root(path / "r")
        self.root.put("opt/base", "base")
        self.root.put("data/opt/base", "data")
        for place in ("usr/share/x", "usr/opt", "opt/y", "opt/nested", "etc/a", "etc/b", "srv/opt"):
            (self.root / place).mkdir(parents=True)
        self.root.put("etc/a/f", "a")
        self.root.put("usr/opt/base", "usr")
        self.root.extension("app", files={"opt/app/f": "1", "opt/base": "1"})
        self.root.extension("conf", class_="confext", files={"etc/a/new": "1"})
        self.outside = path / "outside"
        self.outside.mkdir()

    def __truediv__(self, name: str) -> str:
        return str(self.root / name)

    def tmpfs(self, place: str, propagation: int = syscalls.MS_SHARED, flags: int = 0) -> None:
        syscalls.mount("own", self / place, "tmpfs", flags, None)
        self.turn(place, propagation)
        self.root.put(f"{place}/own", place)

    def bind(self, source: str, place: str, propagation: int = 0, flags: int = 0) -> None:
        syscalls.mount(self / source, self / place, None, syscalls.MS_BIND | flags, None)
        if propagation:
            self.turn(place, propagation)

    def turn(self, place: str, propagation: int) -> None:
        syscalls.mount("", self / place, None, propagation, None)

    def read_only(self, place: str) -> None:
        syscalls.mount("", self / place, None, syscalls.MS_BIND | 0x20 | syscalls.MS_RDONLY, None)

    def root_outside(self, flags: int = 0) -> None:
        syscalls.mount(str(self.root.path), str(self.outside), None, syscalls.MS_BIND | flags, None)

    # What is seen

    def mounts(self) -> list[tuple[object, ...]]:
        """Every mount, groups by who is in them, and mounts at one path by their height."""
        table = mountinfo.read()
        found = table.below(str(self.path))[::-1]
        groups: dict[str, list[str]] = {}
        for mount in found:
            for field in mount.propagation:
                groups.setdefault(field.rpartition(":")[2], []).append(f"{mount.path} {field.partition(':')[0]}")
        return sorted(
            (
                m.path,
                len(table.stack(m.id)),
                (m.fstype, m.source, m.dev, m.root, ",".join(m.options)),
                [(field.partition(":")[0], sorted(groups[field.rpartition(":")[2]])) for field in m.propagation],
            )
            for m in found
        )

    def peers(self) -> dict[str, str]:
        """All that can be seen by other ways than the hierarchies themselves."""
        found = {}
        for place in (self.outside, *(Path(self / name) for name in ("data", "srv", "usr/opt", "opt/y", "etc/b"))):
            for folder, _names, files in os.walk(place):
                if "/var/" not in folder and "/run/" not in f"{folder}/":
                    found.update({f"{folder}/{name}": Path(folder, name).read_text() for name in files})
        return found

    def ours(self) -> list[str]:
        """Where overlays of ours can be seen, but at the hierarchies and where they are staged."""
        targets = {os.path.realpath(self / name) for name in ("usr", "opt", "etc")}
        return [
            m.path
            for m in mountinfo.read().mounts.values()
            if generation_of(m) is not None and m.path not in targets and "/extensionctl/staging/" not in m.path
        ]


SHARED, SLAVE, PRIVATE, UNBINDABLE = syscalls.MS_SHARED, syscalls.MS_SLAVE, syscalls.MS_PRIVATE, syscalls.MS_UNBINDABLE


def slave_root(ways: Ways, shared: bool) -> None:
    ways.root_outside()
    ways.turn("", SLAVE)
    if shared:
        ways.turn("", SHARED)


def peer(ways: Ways, propagation: int) -> None:
    """What /opt is, elsewhere; then what propagates from there."""
    ways.bind("data/opt", "opt")
    ways.turn("opt", propagation)


def itself(ways: Ways, times: int, propagation: int = 0, read_only: bool = True) -> None:
    for _ in range(times):
        ways.bind("opt", "opt")
    if read_only:
        ways.read_only("opt")
    if propagation:
        ways.turn("opt", propagation)


def stacked(ways: Ways) -> None:
    ways.bind("data/opt", "opt")
    ways.tmpfs("opt", PRIVATE)
    ways.tmpfs("opt", SHARED)
    ways.bind("data/opt", "opt", PRIVATE)


def nested(ways: Ways, propagation: int) -> None:
    ways.tmpfs("opt/nested", propagation)
    os.mkdir(ways / "opt/nested/deep")
    ways.tmpfs("opt/nested/deep", propagation)
    ways.tmpfs("etc/b", propagation)
    ways.root_outside(REC)


def slave_mount(ways: Ways) -> None:
    ways.bind("data/opt", "opt")
    ways.turn("opt", SLAVE)
    ways.turn("opt", SHARED)


def both(ways: Ways) -> None:
    ways.bind("data/opt", "opt")
    os.mkdir(ways / "data/opt/sub")
    ways.tmpfs("data/opt/sub")


def own_and_outside(ways: Ways) -> None:
    ways.tmpfs("opt")
    ways.root_outside(REC)


def own_slave(ways: Ways) -> None:
    ways.tmpfs("opt")
    ways.bind("opt", "srv/opt")
    ways.turn("opt", SLAVE)


def own_etc(ways: Ways) -> None:
    ways.tmpfs("etc", PRIVATE)
    os.mkdir(ways / "etc/b")


def two_own(ways: Ways) -> None:
    ways.tmpfs("opt", PRIVATE)
    ways.tmpfs("opt", PRIVATE)


WAYS: dict[str, Callable[[Ways], None]] = {
    "shared root": lambda ways: None,
    "private root": lambda ways: ways.turn("", PRIVATE),
    "slave root": lambda ways: slave_root(ways, False),
    "slave and shared root": lambda ways: slave_root(ways, True),
    "unbindable root": lambda ways: ways.turn("", UNBINDABLE),
    "peer of the root": lambda ways: ways.root_outside(),
    "peer of the root and its mounts": own_and_outside,
    "shared bind": lambda ways: peer(ways, SHARED),
    "private bind": lambda ways: peer(ways, PRIVATE),
    "slave bind": lambda ways: peer(ways, SLAVE),
    "slave and shared bind": slave_mount,
    "unbindable bind": lambda ways: peer(ways, UNBINDABLE),
    "bind with a submount": both,
    "bind of it elsewhere": lambda ways: ways.bind("opt", "srv/opt"),
    "bind of it in another hierarchy": lambda ways: ways.bind("etc", "usr/share/x"),
    "bind out of another hierarchy": lambda ways: ways.bind("usr/opt", "opt"),
    "read-only on itself": lambda ways: itself(ways, 1),
    "on itself": lambda ways: itself(ways, 1, read_only=False),
    "read-only on itself, private": lambda ways: itself(ways, 1, PRIVATE),
    "three times on itself": lambda ways: itself(ways, 3),
    "own shared": lambda ways: ways.tmpfs("opt", SHARED),
    "own private": lambda ways: ways.tmpfs("opt", PRIVATE),
    "own slave": own_slave,
    "own unbindable": lambda ways: ways.tmpfs("opt", UNBINDABLE),
    "own with flags": lambda ways: ways.tmpfs("opt", PRIVATE, 0x800 | syscalls.MS_NOSUID | syscalls.MS_NOEXEC),
    "own private etc": own_etc,
    "two own": two_own,
    "stacked": stacked,
    "nested shared": lambda ways: nested(ways, SHARED),
    "nested private": lambda ways: nested(ways, PRIVATE),
    "nested unbindable": lambda ways: nested(ways, UNBINDABLE),
    "its /run on itself": lambda ways: ways.bind("run", "run"),
    "part onto another part": lambda ways: ways.bind("etc/a", "etc/b"),
    "part onto another part, private": lambda ways: ways.bind("etc/a", "etc/b", PRIVATE),
    "part onto another hierarchy": lambda ways: ways.bind("usr/share/x", "opt/y"),
}


def modes(ways: Ways, mode: str) -> None:
    ways.root.settings(opt=mode, etc=mode)


def refreshed(ways: Ways, verb: Callable[[str], None]) -> None:
    verb("merge")
    ways.root.install(ways.root.tree("app", "2", files={"opt/app/f": "2"}))
    verb("refresh")


def rolled_back(ways: Ways, verb: Callable[[str], None]) -> None:
    refreshed(ways, verb)
    verb("rollback")


def written(ways: Ways, verb: Callable[[str], None], mode: str) -> None:
    ways.root.settings(opt=mode, etc=mode)
    verb("merge")
    if os.access(ways / "opt", os.W_OK):
        ways.root.put("opt/written", "w")
    verb("refresh")
    ways.root.settings()


def flows(way: str) -> dict[str, Callable[[Ways, Callable[[str], None]], None]]:
    """What can be done where `way` is; no upper lies on an unbindable mount (test_uppers.py)."""
    return {flow: does for flow, does in FLOWS.items() if way != "unbindable root" or flow != "persistent"}


FLOWS: dict[str, Callable[[Ways, Callable[[str], None]], None]] = {
    "merge": lambda _ways, verb: verb("merge"),
    "refresh": refreshed,
    "rollback": rolled_back,
    "ephemeral": lambda ways, verb: written(ways, verb, "ephemeral"),
    "persistent": lambda ways, verb: written(ways, verb, "persistent"),
}


def live_like(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have another root be treated as the running machine is: every hierarchy has an anchor, which stays."""
    monkeypatch.setattr(Elsewhere, "needs_base", lambda _self, _wanted: True)
    monkeypatch.setattr(Elsewhere, "leave", lambda _self, _outlook, _state: None)


@pytest.mark.parametrize("way", WAYS)
def test_another_root_is_given_back_as_it_was(namespace: Path, way: str) -> None:
    ways = Ways(namespace)
    WAYS[way](ways)
    before = (ways.mounts(), ways.peers(), ways.root.content())
    peers = ways.peers()

    def check(_step: Step) -> None:
        assert (ways.ours(), ways.peers()) == ([], peers), _step.name

    def verb(name: str) -> None:
        ways.root.run(name, before=check)
        assert (ways.ours(), ways.peers()) == ([], peers), name

    for flow, does in flows(way).items():
        does(ways, verb)
        assert ways.root.has("opt/app/f") and ways.root.has("etc/a/new"), flow
        verb("unmerge")
        assert (ways.mounts(), ways.peers(), ways.root.content()) == before, flow
        assert not ways.root.log, flow


@pytest.mark.parametrize("way", WAYS)
def test_a_merge_that_fails_leaves_none(namespace: Path, way: str) -> None:
    ways = Ways(namespace)
    WAYS[way](ways)
    before = (ways.mounts(), ways.peers(), ways.root.content())
    for at in ("base:opt", "stage:usr", "swap:usr", "swap:opt", "swap:etc", "mark", "commit"):

        def fail(step: Step, at: str = at) -> None:
            assert (ways.ours(), ways.peers()) == ([], before[1]), step.name
            if step.name == at:
                raise Interruption(at)

        with pytest.raises(Interruption):
            ways.root.run("merge", before=fail)
        images = [m for m in ways.mounts() if "/run/extension/" not in str(m[0])]
        assert (images, ways.peers(), ways.root.content()) == before, at
        if at == "base:opt":
            # As good as the first one is one after an unmerge.
            ways.root.merge()
            ways.root.run("unmerge")
            assert (ways.mounts(), ways.peers(), ways.root.content()) == before


@pytest.mark.parametrize("way", WAYS)
def test_on_the_running_machine_no_peer_ever_sees_it(
    namespace: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_like(monkeypatch)
    ways = Ways(namespace)
    WAYS[way](ways)
    names = ("usr", "opt", "etc")
    grounds = {name: ways.root.top(name) for name in names}
    hidden = [ways / name for name in (*names, "run/extension")]
    before = ([m for m in ways.mounts() if not str(m[0]).startswith(tuple(hidden))], ways.root.content())
    peers = ways.peers()
    said = others(ways, grounds)

    def check(step: Step) -> None:
        assert (ways.ours(), ways.peers()) == ([], peers), step.name

    def verb(name: str) -> None:
        ways.root.run(name, before=check)
        assert (ways.ours(), ways.peers()) == ([], peers), name

    for flow, does in flows(way).items():
        does(ways, verb)
        assert ways.root.has("opt/app/f") and ways.root.has("etc/a/new"), flow
        verb("unmerge")
        assert ways.peers() == peers
        assert ways.root.content() == before[1], flow
        for name, beneath in grounds.items():
            now = ways.root.top(name)
            assert (now.dev, now.options) == (beneath.dev, beneath.options), flow
            if beneath.propagation and "unbindable" not in beneath.propagation:
                assert set(beneath.propagation) <= set(now.propagation), (flow, name)
        assert others(ways, grounds) == said, flow


def others(ways: Ways, grounds: dict[str, Mount]) -> dict[str, list[str]]:
    """Who sees what is mounted in a hierarchy: what it is seen at, by the hierarchy."""
    found = {}
    for name in grounds:
        place = Path(ways / name) / ("share" if name == "usr" else "nested" if name == "opt" else "a")
        if not place.is_dir() or mountinfo.is_mount_point(str(place)):
            continue
        syscalls.mount("seen", str(place), "tmpfs", 0, None)
        table = mountinfo.read()
        found[name] = sorted({m.path for m in table.mounts.values() if m.source == "seen" and "/base/" not in m.path})
        syscalls.umount(str(place))
        assert not [m for m in mountinfo.read().mounts.values() if m.source == "seen"], name
    return found


@pytest.mark.parametrize("way", ["peer of the root", "shared bind"])
def test_one_that_is_killed_in_any_system_call_is_put_right(namespace: Path, way: str) -> None:
    ways = Ways(namespace)
    WAYS[way](ways)
    before = (ways.mounts(), ways.peers(), ways.root.content())
    for number in range(0, 1000, 2):
        pid = os.fork()
        if pid == 0:
            with killed(number) as calls:
                ways.root.merge()
                ways.root.run("unmerge")
            os._exit(0 if len(calls) <= number else 1)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            break
        assert (ways.ours(), ways.peers()) == ([], before[1]), number
        ways.root.merge()
        ways.root.run("unmerge")
        assert (ways.mounts(), ways.peers(), ways.root.content()) == before, number
    assert number > 50


@contextmanager
def killed(number: int) -> Iterator[list[str]]:
    """Have this process end before the `number`-th of the calls that change what is mounted."""
    calls: list[str] = []

    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            calls.append(name)
            if len(calls) > number:
                os._exit(9)
            return original(*arguments, **keywords)

        return call

    for name in ("move_mount", "mount_setattr", "umount", "set_group"):
        setattr(syscalls, name, wrapped(name, getattr(syscalls, name)))
    yield calls


def test_what_peers_mount_and_unmount_while_merged_is_there_afterwards(namespace: Path) -> None:
    ways = Ways(namespace)
    both(ways)
    before = ways.mounts()
    ways.root.merge()
    syscalls.umount(ways / "data/opt/sub")
    os.mkdir(ways / "data/opt/late")
    ways.tmpfs("data/opt/late")
    ways.root.run("unmerge")
    assert (ways.root.read("opt/late/own"), ways.root.has("opt/sub/own")) == ("data/opt/late", False)
    syscalls.umount(ways / "data/opt/late")
    assert not ways.root.has("opt/late/own")
    ways.tmpfs("data/opt/sub")
    assert [m[:2] for m in ways.mounts()] == [m[:2] for m in before]


def test_what_is_mounted_while_merged_is_there_for_peers_afterwards(namespace: Path) -> None:
    ways = Ways(namespace)
    peer(ways, SHARED)
    (ways.root / "data/opt/nested").mkdir()
    ways.root.merge()
    ways.tmpfs("opt/nested")
    ways.root.run("unmerge")
    assert (ways.root.read("opt/nested/own"), ways.root.read("data/opt/nested/own")) == ("opt/nested", "opt/nested")
    syscalls.umount(ways / "opt/nested")
    assert not ways.root.has("data/opt/nested/own")


@pytest.mark.parametrize("live", [False, True], ids=["elsewhere", "live"])
def test_a_mount_in_a_folder_of_an_extension_is_carried_over_an_unmerge(
    namespace: Path, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if live:
        live_like(monkeypatch)
    ways = Ways(namespace)
    ways.root.merge()
    ways.tmpfs("opt/app")
    ways.bind("var/lib/made", "etc/a")
    tree = syscalls.open_tree(ways / "data/opt/base")
    syscalls.move_mount(tree, ways / "usr/share/app")
    os.close(tree)
    assert ways.root.run("unmerge").exit_code == 0
    assert (ways.root.read("opt/app/own"), ways.root.read("usr/share/app")) == ("opt/app", "data")
    assert ways.root.log == []
    syscalls.umount(ways / "opt/app")
    assert os.listdir(ways / "opt/app") == []


@pytest.mark.parametrize("live", [False, True], ids=["elsewhere", "live"])
def test_one_whose_folder_cannot_be_made_is_kept_and_told(
    namespace: Path, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if live:
        live_like(monkeypatch)
    ways = Ways(namespace)
    itself(ways, 1)
    ways.root.merge()
    ways.tmpfs("opt/app")
    assert ways.root.run("unmerge").exit_code == 0
    kept = ways / "run/extensionctl.kept/opt/app"
    assert Path(kept, "own").read_text() == "opt/app"
    said = f"{ways / 'opt/app'}: is mounted where only an extension has a place, which cannot be made; now at {kept}"
    assert ways.root.log == [said]
    assert not ways.root.has("opt/app")


def test_an_unmerge_that_fails_takes_back_what_it_made(namespace: Path) -> None:
    ways = Ways(namespace)
    ways.root.merge()
    ways.tmpfs("opt/app")
    before = ways.root.snapshot()

    def fail(step: Step) -> None:
        if step.name == "swap:etc":
            raise Interruption("injected")

    with pytest.raises(Interruption):
        ways.root.run("unmerge", before=fail)
    after = ways.root.snapshot()
    assert (after["mounts"], after["content"]) == (before["mounts"], before["content"])
    syscalls.umount(ways / "opt/app")
    ways.root.run("unmerge")
    assert not ways.root.has("opt/app")


@pytest.mark.parametrize("way", ["shared root", "own shared"])
def test_what_an_earlier_version_has_merged_is_refreshed_and_taken_off(
    namespace: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = Ways(namespace)
    WAYS[way](ways)
    before = ways.mounts()
    with monkeypatch.context() as earlier:
        earlier.setattr(top, "sign", lambda _anchor, _base: None)
        earlier.setattr(ground, "attach", lambda anchor, item: syscalls.move_mount(anchor, item.target))
        earlier.setattr(ground, "join", lambda _tree, _item: None)
        ways.root.merge()
    for name in ("usr", "opt", "etc"):
        os.unlink(ways / f"run/extensionctl/base/{name}.signed")
        syscalls.mount_setattr(ways / name, propagation=syscalls.MS_SHARED)
    ways.root.install(ways.root.tree("app", "2", files={"opt/app/f": "2"}))
    # That version made the anchor private when it was in place.
    for name in ("usr", "opt", "etc"):
        bare(ways / name)
    assert ways.root.refresh().exit_code == 0
    assert ways.root.read("opt/app/f") == "2"
    assert ways.ours() == []
    ways.root.run("unmerge")
    assert ways.mounts() == before


def bare(target: str) -> None:
    """Make the anchor at `target` private, which its top covers."""
    tree = syscalls.open_tree(target)
    syscalls.mount_setattr(target, propagation=syscalls.MS_PRIVATE)
    syscalls.umount(target, syscalls.MNT_DETACH)
    syscalls.mount_setattr(target, propagation=syscalls.MS_PRIVATE)
    syscalls.move_mount(tree, target)
    os.close(tree)


def test_all_that_has_no_place_is_named(namespace: Path) -> None:
    ways = Ways(namespace)
    ways.root.merge()
    ways.tmpfs("opt/app")
    ways.tmpfs("opt/nested")
    ways.root.install(ways.root.tree("app", "2", files={"opt/other": "2", "opt/nested/x": "2"}))
    before = ways.mounts()
    with pytest.raises(ExtensionError, match=r"opt/app: mounted below .* has no place in the new tree \(No such file"):
        ways.root.refresh()
    assert [m for m in ways.mounts() if "/run/extension/" not in str(m[0])] == [
        m for m in before if "/run/extension/" not in str(m[0])
    ]
