#  SPDX-License-Identifier: MIT
"""Whatever layers hold, the base stays usable: real overlays of made-up trees, attributes, and what is mounted."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from extension_runtime.image import forced
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.merge.state import FORMAT
from extension_runtime.overlay import stack, trial
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths
from roots import Root

# What there is to see of a tree


def look(place: Path | str) -> tuple[str, object]:
    """What kind of thing is there: a file (or a link to none that is a folder) may be another, the rest may not."""
    try:
        info = os.lstat(place)
    except OSError:
        return ("nothing", None)
    if stat.S_ISDIR(info.st_mode):
        return ("folder", attributes(place))
    if stat.S_ISLNK(info.st_mode) and os.path.isdir(place):
        return ("link to a folder", os.path.realpath(place))
    if stat.S_ISLNK(info.st_mode):
        return ("link", os.readlink(place))
    if stat.S_ISREG(info.st_mode):
        return ("file", None)
    return ("special", (info.st_mode, info.st_rdev))


def attributes(place: Path | str) -> tuple[object, ...]:
    """Mode, owner and extended attributes, but for those of overlays."""
    info = os.stat(place)
    labels = {name: os.getxattr(place, name) for name in os.listxattr(place) if not name.startswith("trusted.overlay")}
    return (oct(info.st_mode), info.st_uid, info.st_gid, labels)


def seen(root: Root, hierarchies: tuple[str, ...] = ("usr", "opt", "etc")) -> dict[str, tuple[str, object]]:
    found = {}
    for hierarchy in hierarchies:
        for folder, folders, files in os.walk(root / hierarchy):
            for name in (".", *folders, *files):
                path = os.path.join(folder, name)
                found[os.path.relpath(path, root.path)] = look(path)
    return found


def lost(root: Root, before: dict[str, tuple[str, object]]) -> dict[str, tuple[tuple[str, object], tuple[str, object]]]:
    """What of `before` is not as it was; a link that led nowhere may lead to what is new."""
    found = {}
    for path, what in before.items():
        now = look(root / path)
        replaced = what[0] in ("file", "link") and now[0] in ("file", "link")
        led_nowhere = what[0] == "link" and now[0] == "link to a folder" and what[1] == os.readlink(root / path)
        if what != now and not replaced and not led_nowhere:
            found[path] = (what, now)
    return found


def make(place: Path, kind: str, draw: random.Random) -> None:
    """Put a thing of `kind` at `place`, in folders that are there."""
    if kind == "file":
        place.write_text(str(draw.random()))
    elif kind == "folder":
        place.mkdir()
    elif kind == "white":
        os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))
    elif kind == "device":
        os.mknod(place, stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind in ("xattr-white", "unmarked-white"):
        place.touch()
        os.setxattr(place, "trusted.overlay.whiteout", b"")
        if kind == "xattr-white":  # as it should be; a look-up does without
            os.setxattr(place.parent, "trusted.overlay.opaque", b"x")
    else:
        os.symlink(kind.partition(" ")[2], place)


def dress(place: Path, draw: random.Random) -> None:
    """Give a folder a mode, an owner and labels."""
    os.chown(place, draw.choice((0, 0, 1000)), draw.choice((0, 0, 4)))
    for name in ("security.selinux", "user.note", "trusted.note"):
        if draw.random() < 0.2:
            try:
                os.setxattr(place, name, draw.choice((b"one", b"two\0")))
            except OSError:
                continue
    os.chmod(place, draw.choice((0o755, 0o755, 0o755, 0o700, 0o2775, 0o1777, 0o500)))


BASE_KINDS = ("file", "file", "folder", "folder", "folder", "link b", "link ../a", "link gone", "pipe")
LAYER_KINDS = (
    "file",
    "file",
    "folder",
    "folder",
    "folder",
    "folder",
    "link b",
    "white",
    "device",
    "xattr-white",
    "unmarked-white",
)


def grow(place: Path, kinds: tuple[str, ...], draw: random.Random, depth: int = 3) -> None:
    for name in "abcd":
        if draw.random() < 0.6:
            kind = draw.choice(kinds)
            make(place / name, kind, draw)
            if kind == "folder" and depth:
                grow(place / name, kinds, draw, depth - 1)
    if depth < 3:
        dress(place, draw)
        if kinds is LAYER_KINDS and draw.random() < 0.06:
            os.setxattr(place, "trusted.overlay.opaque", b"y")


@pytest.mark.parametrize("seed", range(40))
def test_whatever_layers_hold_nothing_of_the_base_is_lost(namespace: Path, seed: int) -> None:
    draw = random.Random(seed)
    root = Root(namespace / "r")
    for hierarchy in ("usr", "etc"):
        grow(root / hierarchy, BASE_KINDS, draw)
    dress(root / "usr", draw)
    names = {}
    for number in range(draw.randint(1, 3)):
        class_ = draw.choice(("sysext", "sysext", "confext"))
        name = names[f"e{number}"] = class_
        image = root.tree(f"e{number}", "1", class_)
        top = image / ("etc" if class_ == "confext" else "usr")
        grow(top, LAYER_KINDS, draw, draw.choice((0, 1, 3)))
        dress(top, draw)
        root.install(image, class_)
        root.manifest(f"e{number}", class_)
        assert name == class_
    root.extension("good")
    root.extension("good-conf", class_="confext")
    before = seen(root)
    result = root.merge()
    assert lost(root, before) == {}
    failed = {name for name in names if root.entry(name)["state"] == "failed"}
    assert result.exit_code == (3 if failed else 0)
    for name, class_ in names.items():
        entry = root.entry(name)
        first = "etc" if class_ == "confext" else "usr"
        assert entry["state"] in ("merged", "failed")
        assert (entry["state"] == "failed") is bool(entry["reason"]) is not root.has(f"{first}/share/{name}")
        assert not entry["reason"] or entry["reason"].startswith(f"/{first}/")
    assert {root.entry(name)["state"] for name in ("good", "good-conf")} == {"merged"}
    root.check()
    root.run("unmerge")
    assert seen(root) == before


@pytest.mark.parametrize("seed", range(12))
def test_what_is_left_out_would_do_harm(namespace: Path, seed: int) -> None:
    draw = random.Random(seed)
    root = Root(namespace / "r")
    grow(root / "usr", BASE_KINDS, draw)
    image = root.tree("app")
    grow(image / "usr", LAYER_KINDS, draw, 2)
    root.install(image)
    root.manifest("app", "sysext", "Hides=/usr/**\n")
    before = seen(root)
    names = {path for path, (kind, _more) in before.items() if kind != "folder"}
    merged = root.merge().exit_code == 0 and root.entry("app")["state"] == "merged"
    assert merged
    kinds = {path: (was, now) for path, (was, now) in lost(root, before).items() if was[0] != now[0]}
    opaque = {
        os.path.relpath(folder, image)
        for folder, _folders, _files in os.walk(root / "var/lib/extensions/app")
        if b"y" in [os.getxattr(folder, n) for n in os.listxattr(folder) if n == "trusted.overlay.opaque"]
    }
    root.run("unmerge")
    root.manifest("app")
    state = root.merge()
    if kinds:
        assert (state.exit_code, root.entry("app")["state"]) == (3, "failed"), kinds
    elif not opaque and not any(look(root / path)[0] == "special" for path in names):
        assert (state.exit_code, root.entry("app")["state"]) == (0, "merged")


# Attributes


def label(place: Path, name: str, value: bytes) -> bool:
    try:
        os.setxattr(place, name, value)
    except OSError:
        return False
    return True


ACL = bytes.fromhex(
    "02000000 01000700 ffffffff 02000500 e8030000 04000500 ffffffff 10000500 ffffffff 20000500 ffffffff"
)
"""system.posix_acl_access: user::rwx, user:1000:r-x, group::r-x, mask::r-x, other::r-x (linux/posix_acl_xattr.h)."""


def rich(root: Root) -> None:
    """A base whose folders have all sorts of attributes."""
    for folder in ("usr/bin", "usr/lib/deep/deeper", "etc/deep/deeper", "opt/deep", "etc/sudoers.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "usr/lib").chmod(0o2755)
    os.chown(root / "usr/lib/deep", 0, 4)
    (root / "usr/lib/deep").chmod(0o2775)
    (root / "etc/sudoers.d").chmod(0o750)
    for folder in ("usr", "usr/bin", "etc", "etc/deep"):
        assert label(root / folder, "security.selinux", f"system_u:object_r:{folder.replace('/', '_')}_t:s0\0".encode())
    label(root / "usr/lib/deep", "user.note", b"base")
    label(root / "etc/deep", "system.posix_acl_access", ACL)
    label(root / "opt/deep", "system.posix_acl_default", ACL)


def spoil(image: Path, draw: random.Random) -> None:
    for folder, _folders, _files in os.walk(image):
        os.chown(folder, 1000, 1000)
        label(Path(folder), "security.selinux", b"user_u:object_r:tmp_t:s0\0")
        label(Path(folder), "user.note", b"image")
        if draw.random() < 0.5:
            label(Path(folder), "system.posix_acl_default", ACL)
        os.chmod(folder, draw.choice((0o700, 0o700, 0o2777, 0o1777)))


def spoiled(root: Root, version: str = "1") -> None:
    """Install versions of two extensions whose folders are all wrong, with new ones of their own."""
    draw = random.Random(version)
    for name, class_, files in (
        ("app", "sysext", ("usr/bin/tool", "usr/lib/deep/deeper/x", "usr/own/x", "opt/deep/x")),
        ("conf", "confext", ("etc/deep/deeper/x", "etc/sudoers.d/x", "etc/own/x")),
    ):
        image = root.tree(name, version, class_, dict.fromkeys(files, version))
        spoil(image, draw)
        root.install(image, class_)
        root.manifest(name, class_)


def folders(before: dict[str, tuple[str, object]]) -> dict[str, tuple[str, object]]:
    return {path: what for path, what in before.items() if what[0] == "folder"}


MODES: dict[str, dict[str, str]] = {
    "auto": {},
    "read-only": {"usr": "read-only", "etc": "read-only", "opt": "read-only"},
    "ephemeral": {"usr": "ephemeral", "etc": "ephemeral", "opt": "ephemeral"},
    "persistent": {"usr": "persistent", "etc": "persistent", "opt": "persistent"},
    "import": {"etc": "auto\nImport=yes", "usr": "auto\nImport=yes"},
}


@pytest.mark.parametrize("mode", MODES)
def test_folders_keep_what_the_base_has_in_every_mode(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    rich(root)
    spoiled(root)
    if mode == "import":
        for name in ("etc", "usr"):
            upper = root / f"var/lib/extensions.mutable/{name}"
            upper.mkdir(parents=True)
            shutil.copystat(root / name, upper)
    root.settings(**MODES[mode])
    before = folders(seen(root))
    assert root.merge().exit_code == 0
    assert lost(root, before) == {}
    # Its own folders are its own.
    assert os.stat(root / "usr/own").st_uid == 1000
    for version in ("2", "3"):
        spoiled(root, version)
        assert root.refresh().exit_code == 0
        assert root.read("usr/lib/deep/deeper/x") == version
        assert lost(root, before) == {}
        root.check()
    assert root.refresh(always=True).exit_code == 0
    assert lost(root, before) == {}
    if mode != "import":
        root.run("rollback")
        assert lost(root, before) == {}
    root.run("unmerge")
    assert lost(root, before) == {}
    assert not root.has("usr/own")


def test_an_ordinary_user_can_use_what_is_merged(namespace: Path) -> None:
    root = Root(namespace / "r")
    rich(root)
    spoiled(root)
    root.merge()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.chdir(root.path)  # the way there is not what is tried
            os.setgroups([])
            os.setgid(1001)
            os.setuid(1001)
            os.listdir("usr/bin")
            texts = [Path("usr/bin", name).read_text() for name in ("base", "tool")]
            status = 0 if texts == ["base", "1"] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("mode", ["ephemeral", "persistent"])
def test_what_people_changed_stays(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    rich(root)
    spoiled(root)
    root.settings(etc=mode)
    root.merge()
    (root / "etc/deep").chmod(0o711)
    os.chown(root / "etc/deep/deeper", 7, 8)
    for version in ("2", "3"):
        spoiled(root, version)
        root.refresh()
        assert stat.S_IMODE(os.stat(root / "etc/deep").st_mode) == 0o711
        assert (os.stat(root / "etc/deep/deeper").st_uid, os.stat(root / "etc/deep/deeper").st_gid) == (7, 8)
    if mode == "persistent":  # imported, without being written to, it is still theirs
        root.run("unmerge")
        root.settings(etc="auto\nImport=yes")
        root.merge()
        assert stat.S_IMODE(os.stat(root / "etc/deep").st_mode) == 0o711
        assert os.stat(root / "etc/deep/deeper").st_uid == 7
        assert root.read("etc/deep/deeper/x") == "3"


def test_what_people_removed_does_not_come_back(namespace: Path) -> None:
    root = Root(namespace / "r")
    rich(root)
    spoiled(root)
    root.settings(etc="persistent")
    root.merge()
    shutil.rmtree(root / "etc/deep")
    for settings in ("persistent", "auto\nImport=yes"):
        root.settings(etc=settings)
        spoiled(root, settings[:1])
        assert root.refresh(always=True).exit_code == 0
        assert not root.has("etc/deep")


@pytest.mark.parametrize("how", ["white", "unmarked-white", "file", "link bin", "opaque"])
def test_what_one_may_take_away_does_not_come_back_by_what_another_mends(namespace: Path, how: str) -> None:
    root = Root(namespace / "r")
    rich(root)
    spoiled(root)
    image = root.tree("z-taker")
    if how == "opaque":
        (image / "usr/lib/deep").mkdir(parents=True)
        os.setxattr(image / "usr/lib/deep", "trusted.overlay.opaque", b"y")
    else:
        make(image / "usr/lib/deep", how, random.Random(0))
    root.install(image)
    root.manifest("z-taker", "sysext", "Hides=/usr/lib/deep\n")
    before = folders(seen(root))
    assert root.merge().exit_code == 0
    assert {"white": "nothing", "unmarked-white": "nothing", "opaque": "folder"}.get(how, how.split()[0]) == look(
        root / "usr/lib/deep"
    )[0]
    assert not root.has("usr/lib/deep/deeper")
    outside = {path: what for path, what in before.items() if not path.startswith("usr/lib/deep")}
    assert lost(root, outside) == {}
    # In the other order it is the folder of the other one that is seen.
    root.run("unmerge")
    assert lost(root, before) == {}


# Over time


def test_a_last_good_version_and_a_rollback_keep_them_too(namespace: Path) -> None:
    root = Root(namespace / "r")
    rich(root)
    spoiled(root)
    before = folders(seen(root))
    root.merge()
    bad = root.tree("app", "2")
    make(bad / "usr/bin", "link lib", random.Random(0))
    spoil(bad, random.Random(2))
    root.install(bad)
    assert root.refresh().exit_code == 3
    entry = root.entry("app")
    assert entry["state"] == "merged" and root.read("usr/bin/tool") == "1"
    assert entry["reason"].startswith("kept at its last good version, because of the new one: /usr/bin: a link")
    assert lost(root, before) == {}
    assert root.refresh().exit_code == 3
    root.extension("third")
    assert root.refresh().exit_code == 3
    assert root.read("usr/share/third") == "1" and root.read("usr/bin/tool") == "1"
    assert lost(root, before) == {}
    root.run("rollback")
    assert root.read("usr/bin/tool") == "1"
    assert lost(root, before) == {}
    root.check()
    root.run("unmerge")
    assert lost(root, before) == {}
    assert root.merge().exit_code == 3
    assert root.entry("app")["state"] == "failed"


def as_format_1(root: Root, change: Callable[[dict[str, Any]], None] = lambda _state: None) -> None:
    """Rewrite the state as a version that did not compare with the base wrote it."""
    state = root.state
    change(state)
    merges = [state, *([state["previous"]] if state["previous"] else [])]
    for item in [entry for merge in merges for entry in merge["extensions"].values()]:
        for key in ("compared", "forced", "overrides", "mends", "remarks"):
            item.pop(key, None)
    state["format"] = 1
    root.put("run/extensionctl/state.json", json.dumps(state))


def test_after_an_upgrade_all_is_compared_and_mended(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FORMAT == 2
    root = Root(namespace / "r")
    rich(root)
    spoiled(root)
    before = folders(seen(root))
    build = stack.build
    with monkeypatch.context() as patch:
        # As it was stacked then: the uppermost layer's folders are seen.
        for module in ("extension_runtime.merge.stage", "extension_runtime.overlay.stack"):
            patch.setattr(f"{module}.build", lambda *arguments: build(*arguments[:6]))
        root.merge()
        assert lost(root, before)
    as_format_1(root)
    assert root.refresh().exit_code == 0
    assert root.state["format"] == 2
    assert lost(root, before) == {}
    assert root.entry("app")["mends"]
    root.check()


def test_after_an_upgrade_what_harms_is_taken_out(namespace: Path) -> None:
    root = Root(namespace / "r")
    rich(root)
    root.extension("good")
    image = root.tree("bad")
    make(image / "usr/lib/deep", "file", random.Random(0)) if (image / "usr/lib").is_dir() else None
    root.install(image)
    root.manifest("bad", "sysext", "Hides=/usr/lib/deep\n")
    before = folders(seen(root))
    assert root.merge().exit_code == 0
    assert look(root / "usr/lib/deep")[0] == "file"
    root.manifest("bad")
    as_format_1(root)
    assert root.refresh().exit_code == 3
    assert root.entry("bad")["state"] == "failed"
    assert root.entry("bad")["reason"].startswith("/usr/lib/deep: a file in the image in place of a folder")
    assert root.read("usr/share/good") == "1"
    assert lost(root, before) == {}
    root.check()


def test_names_that_are_no_text_are_mended_and_told(namespace: Path) -> None:
    root = Root(namespace / "r")
    for top in (root / "usr", root.tree("app") / "usr"):
        os.mkdir(os.fsencode(top) + b"/\xff-folder", 0o755 if top == root / "usr" else 0o700)
        os.mkdir(os.fsencode(top) + b"/new\nline", 0o755 if top == root / "usr" else 0o700)
    root.install(root / "var/lib/made/1/app")
    root.manifest("app")
    bad = root.tree("bad")
    (bad / "usr/\udcff-folder").write_text("")
    root.install(bad)
    root.manifest("bad")
    before = seen(root)
    assert root.merge().exit_code == 3
    assert lost(root, before) == {}
    assert root.entry("app")["state"] == "merged"
    assert root.entry("bad")["reason"].startswith("/usr/\\xff-folder: a file in the image in place of a folder")


# What is mounted below a hierarchy


def mounted(root: Root, place: str, kind: str = "folder") -> None:
    """Mount a folder, or bind a file, at `place`."""
    if kind == "file":
        root.put(place, "below")
        source = root.put(f"run/{os.path.basename(place)}", "mounted")
        tree = syscalls.open_tree(str(source))
        syscalls.move_mount(tree, str(root / place))
        os.close(tree)
        return
    (root / place).mkdir(parents=True, exist_ok=True)
    syscalls.mount("sub", str(root / place), "tmpfs", 0, None)
    root.put(f"{place}/file", "mounted")


COLLISIONS = {
    "a link there": ("etc/m", "link b"),
    "a file there": ("etc/m", "file"),
    "a whiteout there": ("etc/m", "white"),
    "an attribute's whiteout there": ("etc/m", "xattr-white"),
    "an unmarked whiteout there": ("etc/m", "unmarked-white"),
    "a device there": ("etc/m", "device"),
    "a folder there": ("etc/m", "folder"),
    "a link above": ("etc/deep", "link b"),
    "a file above": ("etc/deep", "file"),
    "a whiteout above": ("etc/deep", "white"),
    "an opaque folder above": ("etc/deep", "opaque"),
}


@pytest.mark.parametrize("collision", COLLISIONS)
def test_one_who_collides_with_a_mount_is_left_out_alone(namespace: Path, collision: str) -> None:
    place, kind = COLLISIONS[collision]
    root = Root(namespace / "r")
    mounted(root, "etc/deep/m", "folder")
    mounted(root, "etc/m", "file" if collision == "a folder there" else "folder")
    image = root.tree("bad", class_="confext")
    if kind == "opaque":
        (image / place).mkdir(parents=True)
        os.setxattr(image / place, "trusted.overlay.opaque", b"y")
    else:
        make(image / place, kind, random.Random(0))
    root.install(image, "confext")
    root.extension("good", class_="confext")
    before, mounts = seen(root), root.snapshot()["mounts"]
    for hides in ("", "Hides=/etc/**\n"):  # nothing allows it
        root.manifest("bad", "confext", hides)
        assert root.refresh(always=bool(hides)).exit_code == 3
        entry = root.entry("bad")
        assert entry["state"] == "failed"
        assert entry["reason"].startswith(f"/{place}: ") and "mounted" in entry["reason"]
        assert root.read("etc/share/good") == "1"
        assert lost(root, before) == {}
    root.check()
    root.run("unmerge")
    assert root.snapshot()["mounts"] == mounts
    # Unmounted, it harms nobody, or only the base.
    syscalls.umount(str(root / "etc/deep/m"))
    syscalls.umount(str(root / "etc/m"))
    root.refresh(always=True)
    assert root.entry("bad")["state"] == "merged"


def test_what_a_mount_covers_is_told(namespace: Path) -> None:
    root = Root(namespace / "r")
    mounted(root, "usr/local")
    mounted(root, "usr/share/file", "file")
    root.extension("app", files={"usr/local/bin/tool": "1", "usr/share/file": "2"})
    assert root.merge().exit_code == 0
    assert sorted(root.entry("app")["remarks"]) == [
        "/usr/local: not seen, because something else is mounted there",
        "/usr/share/file: not seen, because something else is mounted there",
    ]
    assert (root.read("usr/local/file"), root.read("usr/share/file")) == ("mounted", "mounted")
    assert not root.has("usr/local/bin")


def test_a_mount_inside_of_a_mount_has_its_place_there(namespace: Path) -> None:
    root = Root(namespace / "r")
    mounted(root, "usr/local")
    mounted(root, "usr/local/deep")
    root.extension("app", files={"usr/local/deep": "a file that nobody sees"})
    assert root.merge().exit_code == 0
    assert root.entry("app")["remarks"] == ["/usr/local: not seen, because something else is mounted there"]
    assert root.read("usr/local/deep/file") == "mounted"


def test_a_mount_that_comes_later_is_looked_at_by_the_next_new_layer(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app", files={"usr/data/place/x": "1"})
    root.merge()
    mounted(root, "usr/data/place")
    image = root.tree("app", "2", files={"usr/data": "a file"})
    root.install(image)
    assert root.refresh().exit_code == 3
    assert "something is mounted below it" in root.entry("app")["reason"]
    assert (root.read("usr/share/app"), root.read("usr/data/place/file")) == ("1", "mounted")
    root.check()


def test_an_automount_is_not_triggered(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An autofs without its daemon: who looks into it waits for ever."""
    root = Root(namespace / "r")
    (root / "usr/auto").mkdir()
    reader, writer = os.pipe()
    options = f"fd={writer},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct"
    try:
        syscalls.mount("auto", str(root / "usr/auto"), "autofs", 0, options)
    except OSError as error:
        pytest.skip(f"no autofs here: {error}")
    root.extension("app", files={"usr/auto/x": "1"})
    pid = os.fork()
    if pid == 0:  # our process group may look without waiting: another one must not need to
        os.setpgid(0, 0)
        status = 1
        try:
            status = root.merge().exit_code
        finally:
            os._exit(status)
    os.close(writer)
    end = time.monotonic() + 60
    while not (done := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.05)
    if not done[0]:
        os.kill(pid, 9)
    assert os.waitstatus_to_exitcode(done[1]) == 0
    assert root.entry("app")["remarks"] == ["/usr/auto: not seen, because something else is mounted there"]
    os.close(reader)


# Programs that are tried


class Machine:
    """This machine's own /usr as the base of overlays, in a namespace where "/" is read-only."""

    def __init__(self, place: Path) -> None:
        syscalls.mount_setattr("/", attr_set=syscalls.MOUNT_ATTR_RDONLY)
        self.place = place
        self.paths = Paths(str(place))
        (place / "run/extensionctl/staging").mkdir(parents=True)
        self.hierarchy = Hierarchy("usr", "/usr", self.paths)
        self.hierarchy.base = "/usr"

    def layer(self, files: dict[str, str | Path]) -> str:
        """A layer with `files`, by path below /usr: a text with "#!" is a program, a Path is copied."""
        layer = self.place / f"layer-{len(os.listdir(self.place))}"
        layer.mkdir()
        for path, content in files.items():
            file = layer / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, file)
            else:
                file.write_text(content)
                file.chmod(0o755)
        return str(layer)

    def failing(self, *layers: str, timeout: float = 60.0) -> list[str]:
        """What does not start on them; nothing is left of the trial."""
        mounts = mounted_here()
        programs = [argv for argv in trial.PROGRAMS if os.path.exists(argv[0])]
        top = stack.build(self.paths, self.hierarchy, layers[::-1], 0)
        found = trial.failing({"/usr": top}, programs, timeout)
        assert mounted_here() == mounts
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return found


def mounted_here() -> list[str]:
    return sorted(f"{mount.path} {mount.source}" for mount in mountinfo.read().mounts.values())


def real(path: str) -> str:
    """A path below /usr, links on the way followed."""
    return os.path.realpath(path).removeprefix("/usr/")


def loader() -> str:
    return next(real(place) for place in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
                if os.path.exists(place))  # fmt: skip


def test_this_machines_programs_start_on_a_harmless_layer(namespace: Path) -> None:
    machine = Machine(namespace)
    assert machine.failing(machine.layer({"share/x": "1"})) == []


def test_a_broken_interpreter_is_noticed(namespace: Path) -> None:
    machine = Machine(namespace)
    broken = machine.layer({real("/usr/bin/python3"): "#!/bin/sh\nexit 1\n"})
    assert machine.failing(broken) == ["/usr/bin/python3"]
    text = machine.layer({real("/usr/bin/python3"): "no program"})
    assert machine.failing(machine.layer({"share/x": "1"}), text) == ["/usr/bin/python3"]


def test_a_missing_loader_is_noticed_by_all(namespace: Path) -> None:
    machine = Machine(namespace)
    layer = machine.layer({"share/x": "1"})
    gone = Path(layer, loader())
    gone.parent.mkdir(parents=True)
    make(gone, "white", random.Random(0))
    assert "/bin/true" in machine.failing(layer)
    assert set(machine.failing(layer)) == {argv[0] for argv in trial.PROGRAMS if os.path.exists(argv[0])}
    assert os.system("/bin/true") == 0


def test_a_library_that_is_another_one_is_noticed(namespace: Path) -> None:
    """What no rule about files foresees."""
    machine = Machine(namespace)
    found = [
        f"/usr/lib/{os.uname().machine}-linux-gnu/{name}" for name in ("libm.so.6", "libz.so.1", "libselinux.so.1")
    ]
    there = [path for path in found if os.path.exists(path)]
    layer = machine.layer({real(path): "no library" for path in there})
    assert machine.failing(layer)


def test_a_program_that_hangs_is_ended_with_all_that_it_started(namespace: Path) -> None:
    machine = Machine(namespace)
    mark = f"extensions-hang-{os.getpid()}"
    hangs = f"#!/bin/bash\n(trap '' TERM HUP; setsid sleep 1000 & ) ; exec -a {mark} sleep 1000\n"
    begun = time.monotonic()
    failing = machine.failing(machine.layer({real("/bin/true"): hangs}), timeout=5.0)
    assert failing == ["/bin/true"]
    assert time.monotonic() - begun < 40
    leftover = [
        entry
        for entry in os.listdir("/proc")
        if entry.isdecimal() and namespace_of(entry) not in (None, namespace_of("self")) and mark in command(entry)
    ]
    assert leftover == []
    assert not [entry for entry in os.listdir("/proc") if entry.isdecimal() and command(entry) == "sleep 1000"
                and parent_is_gone(entry)]  # fmt: skip


def namespace_of(pid: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return None


def command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def parent_is_gone(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == "1"
    except OSError:
        return False


def test_who_is_forced_is_merged_until_an_unmerge(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.put("usr/share/here/file", "base")
    root.extension("good")
    white, other = root.tree("white"), root.tree("other")
    os.mknod(white / "usr/share/here", stat.S_IFCHR, 0)
    (other / "usr/lib/extension-release.d/extension-release.other").write_text("ID=nothing\n")
    for image in (white, other):
        root.install(image)
        root.manifest(image.name)
    assert root.merge().exit_code == 3
    assert {name: root.entry(name)["state"] for name in ("good", "white", "other")} == {
        "good": "merged", "white": "failed", "other": "skipped",
    }  # fmt: skip
    forced.add(Paths(str(root.path)), ["white", "other"])
    for _ in range(2):
        assert root.refresh().exit_code == 0
        assert [root.entry(name)["forced"] for name in ("good", "white", "other")] == [False, True, True]
        assert (root.has("usr/share/here"), root.has("usr/share/other")) == (False, True)
        assert ["merged by --force" in " ".join(root.entry(name)["remarks"]) for name in ("white", "other")] == [
            True
        ] * 2
    root.run("unmerge")
    assert root.read("usr/share/here/file") == "base"
    assert root.merge().exit_code == 3
    assert (root.entry("white")["state"], root.entry("other")["state"]) == ("failed", "skipped")
    root.check()
