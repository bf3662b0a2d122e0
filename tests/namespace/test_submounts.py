"""What is mounted below a hierarchy: carried over every swap, in order, and never lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import syscalls
from extension_runtime.steps import Step
from roots import Interruption, Root


def submount(root: Root, place: str, shared: bool = True) -> None:
    (root / place).mkdir(parents=True, exist_ok=True)
    syscalls.mount("sub", str(root / place), "tmpfs", 0, None)
    if shared:
        syscalls.mount("", str(root / place), None, syscalls.MS_SHARED, None)
    root.put(f"{place}/file", place)


def bind_file(root: Root, source: str, place: str) -> None:
    tree = syscalls.open_tree(str(root / source))
    syscalls.move_mount(tree, str(root / place))
    os.close(tree)


@pytest.fixture(params=[True, False], ids=["shared", "private"])
def shared(request: pytest.FixtureRequest) -> bool:
    value: bool = request.param
    return value


def made(namespace: Path, shared: bool) -> Root:
    root = Root(namespace / "r")
    for place in ("usr/local", "usr/local/deep", "usr/local/deep/deeper", "usr/local-x", "opt/a", "etc/net"):
        submount(root, place, shared)
    root.put("run/resolv.conf", "nameserver")
    root.put("etc/resolv.conf", "")
    bind_file(root, "run/resolv.conf", "etc/resolv.conf")
    root.extension("app", files={"opt/app": "1"})
    root.extension("conf", class_="confext")
    return root


def intact(root: Root) -> bool:
    places = ("usr/local", "usr/local/deep", "usr/local/deep/deeper", "usr/local-x", "opt/a", "etc/net")
    return all(root.read(f"{place}/file") == place for place in places) and root.read("etc/resolv.conf") == "nameserver"


def test_they_are_carried_over_every_verb(namespace: Path, shared: bool) -> None:
    root = made(namespace, shared)
    before = root.snapshot()
    root.merge()
    assert intact(root)
    for version in ("2", "3"):
        root.install(root.tree("app", version, files={"opt/app": version}))
        root.install(root.tree("conf", version, "confext"), "confext")
        root.refresh()
        assert intact(root)
        assert root.read("usr/share/app") == version
        root.check()
    assert [m.path for m in root.mounts()].count(str(root / "usr/local/deep")) == 2
    root.run("rollback")
    assert intact(root)
    root.run("unmerge")
    assert root.snapshot()["mounts"] == before["mounts"]
    assert intact(root)


def test_they_are_there_after_a_failure(namespace: Path, shared: bool) -> None:
    root = made(namespace, shared)
    for _ in range(2):
        for name in ("swap:usr", "swap:etc", "commit"):

            def fail(step: Step, name: str = name) -> None:
                if step.name == name:
                    raise Interruption(name)

            root.install(root.tree("app", name, files={"opt/app": name}))
            root.install(root.tree("conf", name, "confext"), "confext")
            before = root.snapshot()
            with pytest.raises(Interruption):
                root.run("refresh", before=fail)
            assert intact(root)
            assert root.snapshot()["mounts"] == before["mounts"]
        root.refresh()


def test_busy_ones_are_carried_over(namespace: Path) -> None:
    root = made(namespace, True)
    root.merge()
    with open(root / "usr/local/deep/open", "w") as file:
        os.chdir(root / "usr/local/deep")
        root.install(root.tree("app", "2"))
        assert root.refresh().exit_code == 0
        file.write("still")
        file.flush()
        assert root.read("usr/local/deep/open") == "still"
        assert Path("file").read_text() == "usr/local/deep"
    os.chdir("/")
    root.check()


def test_those_that_come_and_go_between_two_refreshes(namespace: Path) -> None:
    root = made(namespace, True)
    root.merge()
    syscalls.umount(str(root / "usr/local/deep/deeper"))
    syscalls.umount(str(root / "usr/local-x"))
    submount(root, "usr/local/added")
    syscalls.mount("new", str(root / "usr/bin"), "tmpfs", 0, None)
    root.put("usr/bin/new", "new")
    root.install(root.tree("app", "2"))
    assert root.refresh().exit_code == 0
    assert not root.has("usr/local/deep/deeper/file")
    assert not root.has("usr/local-x/file")
    assert (root.read("usr/local/added/file"), root.read("usr/bin/new")) == ("usr/local/added", "new")
    root.check()


def test_one_that_was_made_while_merged_is_there_after_unmerge(namespace: Path) -> None:
    root = made(namespace, True)
    root.merge()
    syscalls.mount("new", str(root / "usr/bin"), "tmpfs", 0, None)
    root.put("usr/bin/new", "precious")
    root.run("unmerge")
    assert root.read("usr/bin/new") == "precious"
    assert intact(root)


def test_one_without_a_place_in_the_new_tree_fails_the_refresh(namespace: Path) -> None:
    root = made(namespace, True)
    root.install(root.tree("app", "1", files={"usr/share/place/x": "1"}))
    root.merge()
    submount(root, "usr/share/place")
    root.install(root.tree("app", "2"))
    before = root.snapshot()
    with pytest.raises(ExtensionError, match=r"usr/share/place: mounted below .* has no place in the new tree"):
        root.refresh()
    after = root.snapshot()
    assert (after["mounts"], after["content"]) == (before["mounts"], before["content"])


def test_a_link_in_an_image_leads_no_submount_elsewhere(namespace: Path) -> None:
    root = made(namespace, True)
    (root / "var/aim").mkdir()
    root.merge()
    image = root.tree("app", "2")
    os.symlink(root / "var/aim", image / "usr/local")
    root.install(image)
    assert root.refresh().exit_code == 3
    assert "/usr/local: a link in the image, and " in root.entry("app")["reason"]
    assert root.read("usr/share/app") == "1"
    assert os.listdir(root / "var/aim") == []
    assert not [m for m in root.mounts() if m.path == str(root / "var/aim")]
    assert intact(root)


def test_a_mount_that_another_hides_stays_hidden(namespace: Path) -> None:
    root = Root(namespace / "r")
    submount(root, "usr/a/b")
    submount(root, "usr/a")
    submount(root, "usr/a-x")
    root.extension("app")
    before = root.snapshot()
    assert root.merge().exit_code == 0
    assert (root.read("usr/a/file"), root.has("usr/a/b")) == ("usr/a", False)
    root.run("unmerge")
    assert root.snapshot()["mounts"] == before["mounts"]


def test_names_that_mountinfo_escapes(namespace: Path) -> None:
    root = Root(namespace / "r")
    names = ["with space", "tab\there", "back\\slash", "new\nline", "\N{LINE SEPARATOR}sep", "é", "cr\rname", "\\040"]
    for name in names:
        submount(root, f"usr/{name}")
    root.extension("app")
    assert root.merge().exit_code == 0
    for name in names:
        assert root.read(f"usr/{name}/file") == f"usr/{name}"
    root.check()
