"""Mutable modes: what was written stays, modes change in every direction, and an upper that is no good is refused."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import syscalls
from roots import Root

MODES = ("auto", "read-only", "ephemeral", "persistent")
UPPERS = {"ephemeral": "run/extensionctl/upper/etc/upper", "persistent": "var/lib/extensions.mutable/etc"}


def made(namespace: Path, mode: str, more: str = "") -> Root:
    root = Root(namespace / "r")
    root.extension("conf", class_="confext", files={"etc/conf.d/a": "1"})
    configure(root, mode, more)
    return root


def configure(root: Root, mode: str, more: str = "") -> None:
    root.put("run/extensions.d/extensions.conf", f"[Etc]\nMode={mode}\n{more}")


def update(root: Root, version: str) -> None:
    root.install(root.tree("conf", version, "confext", {"etc/conf.d/a": version}), "confext")


@pytest.mark.parametrize("mode", ["ephemeral", "persistent"])
def test_what_was_written_stays(namespace: Path, mode: str) -> None:
    root = made(namespace, mode)
    root.put("etc/old/file", "of the base")
    root.merge()
    root.put("etc/written", "kept")
    root.put("etc/base.conf", "changed")
    (root / "etc/share/conf").unlink()
    (root / "etc/old/file").unlink()
    (root / "etc/old").rmdir()
    root.put("etc/old/other", "opaque")
    for version in ("2", "3"):
        update(root, version)
        assert root.refresh().exit_code == 0
        assert (root.read("etc/written"), root.read("etc/base.conf")) == ("kept", "changed")
        assert root.read("etc/conf.d/a") == version
        assert not root.has("etc/share/conf")
        assert os.listdir(root / "etc/old") == ["other"]
        assert len(root.works()) == 1
        root.put("etc/written", "kept")
        root.check()
    root.run("unmerge")
    assert root.read("etc/base.conf") == "base"
    root.merge()
    assert (root.read("etc/written"), root.has("etc/share/conf")) == ("kept", False)


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(MODES, 2)))
def test_a_mode_changes_cleanly(namespace: Path, old: str, new: str) -> None:
    root = made(namespace, old)
    root.merge()
    if old in UPPERS:
        root.put("etc/written", old)
    configure(root, new)
    assert root.refresh().exit_code == 0
    root.check()
    item = root.state["hierarchies"]["etc"]
    assert (item["mode"], item["writable"]) == (new, new in UPPERS)
    assert not root.has("etc/written")
    assert len(root.works()) == (1 if new in UPPERS else 0)
    if new in UPPERS:
        root.put("etc/written", new)
        assert root.read(f"{UPPERS[new]}/written") == new
    else:
        with pytest.raises(OSError, match="Read-only"):
            root.put("etc/written")
    configure(root, old)
    assert root.refresh().exit_code == 0
    assert root.has("etc/written") == (old in UPPERS)
    root.check()


def test_read_only_without_extensions_and_back(namespace: Path) -> None:
    root = Root(namespace / "r")
    configure(root, "read-only")
    assert root.merge().exit_code == 0
    with pytest.raises(OSError, match="Read-only"):
        root.put("etc/written")
    configure(root, "auto")
    assert root.refresh().exit_code == 0
    root.put("etc/written")
    root.check()


def test_import_shows_the_upper_as_a_layer(namespace: Path) -> None:
    root = made(namespace, "persistent")
    root.merge()
    root.put("etc/written", "kept")
    (root / "etc/base.conf").unlink()
    configure(root, "auto", "Import=yes\n")
    assert root.refresh().exit_code == 0
    assert (root.read("etc/written"), root.has("etc/base.conf")) == ("kept", False)
    with pytest.raises(OSError, match="Read-only"):
        root.put("etc/more")
    update(root, "2")
    root.refresh()
    assert (root.read("etc/written"), root.read("etc/share/conf")) == ("kept", "2")
    configure(root, "ephemeral", "Import=yes\n")
    assert root.refresh().exit_code == 0
    root.put("etc/more", "1")
    assert root.read("etc/written") == "kept"
    assert not root.has("var/lib/extensions.mutable/etc/more")
    root.check()


def test_the_mode_of_an_upper_is_that_of_its_hierarchy(namespace: Path) -> None:
    root = made(namespace, "persistent")
    os.chmod(root / "etc", 0o750)
    os.chown(root / "etc", 3, 4)
    root.merge()
    for path in ("etc", UPPERS["persistent"]):
        found = os.stat(root / path)
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o750, 3, 4)


def test_an_upper_may_be_a_link(namespace: Path) -> None:
    root = made(namespace, "persistent")
    (root / "var/data").mkdir()
    (root / "var/lib/extensions.mutable").mkdir()
    os.symlink("/var/data", root / "var/lib/extensions.mutable/etc")
    root.merge()
    root.put("etc/written", "1")
    assert root.read("var/data/written") == "1"


# Uppers that are no good


def missing(root: Root) -> str:
    configure(root, "persistent", "Upper=/var/nowhere\n")
    return "No such file or directory; make it, or name another"


def read_only(root: Root) -> str:
    at = root / "var/lib/up"
    at.mkdir()
    syscalls.mount("ro", str(at), "tmpfs", 0, None)
    (at / "etc").mkdir(mode=0o755)
    syscalls.mount_setattr(str(at), attr_set=syscalls.MOUNT_ATTR_RDONLY)
    configure(root, "persistent", "Upper=/var/lib/up/etc\n")
    return "read-only file system"


def wrong_mode(root: Root) -> str:
    (root / "var/up").mkdir()
    os.chmod(root / "var/up", 0o700)
    configure(root, "persistent", "Upper=/var/up\n")
    return "give it mode 755"


def other_file_system(root: Root) -> str:
    (root / "var/up").mkdir()
    syscalls.mount("up", str(root / "var/up"), "tmpfs", 0, "mode=0755")
    configure(root, "persistent", "Upper=/var/up\n")
    return "is a mount point"


def bound(root: Root) -> str:
    for name in ("var/real", "var/up"):
        (root / name).mkdir()
    tree = syscalls.open_tree(str(root / "var/real"))
    syscalls.move_mount(tree, str(root / "var/up"))
    os.close(tree)
    configure(root, "persistent", "Upper=/var/up\n")
    return "is a mount point"


def on_an_overlay(root: Root) -> str:
    for name in ("low", "up", "work", "over"):
        (root / "var" / name).mkdir()
    (root / "var/low/etc").mkdir()
    options = ",".join(
        f"{k}={root.path}/var/{v}" for k, v in (("lowerdir", "low"), ("upperdir", "up"), ("workdir", "work"))
    )
    syscalls.mount("over", str(root / "var/over"), "overlay", 0, options)
    configure(root, "persistent", "Upper=/var/over/etc\n")
    return "is on an overlay"


def on_an_unbindable_mount(root: Root) -> str:
    (root / "var/up").mkdir()
    syscalls.mount("up", str(root / "var/up"), "tmpfs", 0, "mode=0755")
    syscalls.mount("", str(root / "var/up"), None, syscalls.MS_UNBINDABLE, None)
    (root / "var/up/etc").mkdir()
    configure(root, "persistent", "Upper=/var/up/etc\n")
    return f"is on an unbindable mount, which cannot hold an upper; mount --make-private {root / 'var/up'}"


def link_to_itself(root: Root) -> str:
    (root / "var/lib/extensions.mutable").mkdir()
    os.symlink("etc", root / "var/lib/extensions.mutable/etc")
    configure(root, "persistent")
    return "Too many levels of symbolic links"


def a_file(root: Root) -> str:
    root.put("var/up", "")
    configure(root, "persistent", "Upper=/var/up\n")
    return "Not a directory"


def full(root: Root) -> str:
    at = root / "var/small"
    at.mkdir()
    syscalls.mount("small", str(at), "tmpfs", 0, "mode=0755,size=64k")
    (at / "etc").mkdir(mode=0o755)
    try:
        with open(at / "filler", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    configure(root, "persistent", "Upper=/var/small/etc\n")
    return "No space left on device"


@pytest.mark.parametrize(
    "spoil",
    [
        missing,
        read_only,
        wrong_mode,
        other_file_system,
        bound,
        on_an_overlay,
        on_an_unbindable_mount,
        link_to_itself,
        a_file,
        full,
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_an_upper_that_is_no_good(namespace: Path, spoil: Callable[[Root], str], first: bool) -> None:
    root = made(namespace, "auto")
    if not first:
        root.merge()
        update(root, "2")
    said = spoil(root)
    before = root.snapshot()
    with pytest.raises(ExtensionError) as caught:
        root.refresh()
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    after = root.snapshot()
    assert (after["content"], after["mounts"]) == (before["content"], before["mounts"])
    configure(root, "auto")
    assert root.refresh().exit_code == 0
    root.check()


def test_two_hierarchies_with_one_upper(namespace: Path) -> None:
    root = made(namespace, "auto")
    (root / "var/up").mkdir()
    root.put(
        "run/extensions.d/extensions.conf",
        "[Etc]\nMode=persistent\nUpper=/var/up\n[Opt]\nMode=persistent\nUpper=/var/up\n",
    )
    before = root.content()
    with pytest.raises(ExtensionError, match=r"/opt and /etc|/etc and /opt|used by"):
        root.merge()
    assert root.content() == before
