"""Hierarchies that are missing or lead elsewhere: made and followed, or the extension says what is not seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import syscalls
from extension_runtime.merge import transaction
from extension_runtime.steps import Step
from roots import Interruption, Root


def read_only(root: Root) -> None:
    """As on an image-based machine: only /run and /var can be written."""
    for name in ("run", "var"):
        tree = syscalls.open_tree(str(root / name))
        syscalls.move_mount(tree, str(root / name))
        os.close(tree)
    syscalls.mount("", str(root.path), None, syscalls.MS_BIND | 0x20 | syscalls.MS_RDONLY, None)


def link(root: Root, to: str) -> None:
    (root / "opt").rmdir()
    os.symlink(to, root / "opt")


def elsewhere(root: Root) -> None:
    link(root, "srv/apps/../opt")


def through(root: Root) -> None:
    os.symlink("/a/b", root / "c")
    os.symlink("/var/deep", root / "a")
    link(root, "c/opt")


MADE: dict[str, tuple[Callable[[Root], None], str]] = {
    "missing": (lambda root: (root / "opt").rmdir(), "opt"),
    "a link to nowhere": (lambda root: link(root, "var/opt"), "var/opt"),
    "an absolute link": (lambda root: link(root, "/var/lib/apps/opt"), "var/lib/apps/opt"),
    "a link out of the root": (lambda root: link(root, "../../var/opt"), "var/opt"),
    "a link with dots": (elsewhere, "srv/opt"),
    "links on the way": (through, "var/deep/b/opt"),
}


@pytest.mark.parametrize("kind", MADE)
def test_it_is_made_and_followed(namespace: Path, kind: str) -> None:
    prepare, where = MADE[kind]
    root = Root(namespace / "r")
    prepare(root)
    root.extension("app", files={"opt/app/f": "1"})
    os.umask(0o77)
    before = root.snapshot()["mounts"]

    def fail(step: Step) -> None:
        if step.name == "commit":
            raise Interruption("injected")

    with pytest.raises(Interruption):
        root.run("merge", before=fail)
    assert not root.has(where)
    assert [m for m in root.snapshot()["mounts"] if "/run/extension/" not in m[0]] == before
    result = root.merge()
    assert (result.exit_code, root.entry("app")["state"], root.entry("app")["reason"]) == (0, "merged", "")
    assert root.read(f"{where}/app/f") == "1"
    root.check() if where == "opt" else None
    assert root.refresh().messages == ["nothing has changed"]
    root.run("unmerge")
    assert (os.listdir(root / where), os.stat(root / where).st_mode) == ([], 0o40755)
    assert root.snapshot()["mounts"] == before


def test_a_dry_run_makes_nothing_and_says_what_would_be(namespace: Path) -> None:
    root = Root(namespace / "r")
    link(root, "var/opt")
    root.extension("app", files={"opt/app/f": "1"})
    result = transaction.run("merge", str(root.path), dry_run=True)
    opt = str(root / "var/opt")
    assert [text for text in result.steps if opt in text] == [
        f"make {opt}",
        f"bind {opt} without extensions at {root / 'run/extensionctl/base/opt'}",
        f"stage {opt}: app over the base, auto",
        f"swap {opt}",
    ]
    assert not root.has("var/opt")


def test_what_cannot_be_made_is_said_and_the_rest_is_merged(namespace: Path) -> None:
    root = Root(namespace / "r")
    (root / "opt").rmdir()
    root.extension("app", files={"opt/app/f": "1"})
    root.extension("tool", files={"usr/bin/tool": "1"})
    image = root.tree("only", "1", files={"opt/only/f": "1"})
    os.remove(image / "usr/share/only")
    os.rmdir(image / "usr/share")
    root.install(image)
    root.manifest("only")
    root.put("etc/extensions.d/extensions.conf", "[Opt]\nMode=read-only\n")
    read_only(root)
    why = f"/opt: {root / 'opt'} is missing, and cannot be made: Read-only file system; make it"
    for verb in ("merge", "refresh"):
        assert root.run(verb).exit_code == 3
        known = {name: (item["state"], item["reason"]) for name, item in root.state["extensions"].items()}
        assert known == {"app": ("merged", why), "tool": ("merged", ""), "only": ("failed", why)}
        assert root.entry("app")["hierarchies"] == ["usr"]
        assert (root.has("usr/share/app"), root.has("usr/bin/tool")) == (True, True)
    assert root.log == []
    (root / "run/extensions.d/app.extension").unlink()
    (root / "run/extensions.d/only.extension").unlink()
    root.refresh()
    assert root.log == [why]
    root.run("unmerge")


ELSEWHERE = {
    "usr/opt": "/opt: leads to /usr/opt, which is part of /usr; make it a folder, or a link to elsewhere",
    "/usr/new/opt": "/opt: leads to /usr/new/opt, which is part of /usr; make it a folder, or a link to elsewhere",
    "usr": "/opt: leads to /usr, which is part of /usr; make it a folder, or a link to elsewhere",
    ".": "/opt: leads to /; make it a folder",
    "opt": "/opt: Too many levels of symbolic links; make it a folder",
    "var/file": "/var/file: is a regular file; make it a folder",
}


@pytest.mark.parametrize("to", ELSEWHERE)
def test_what_leads_where_nothing_can_be_merged_is_said(namespace: Path, to: str) -> None:
    root = Root(namespace / "r")
    (root / "usr/opt").mkdir()
    root.put("var/file")
    link(root, to)
    root.extension("app", files={"opt/app/f": "1"})
    assert root.merge().exit_code == 3
    assert (root.entry("app")["state"], root.entry("app")["reason"]) == ("merged", ELSEWHERE[to])
    assert root.has("usr/share/app")
    (root / "opt").unlink()
    (root / "opt").mkdir()
    assert root.refresh().exit_code == 0
    assert (root.read("opt/app/f"), root.entry("app")["reason"]) == ("1", "")
    root.check()


def test_one_that_leads_elsewhere_since_is_kept_and_said_and_leaves_no_trace(namespace: Path) -> None:
    root = Root(namespace / "r")
    link(root, "var/opt")
    root.extension("app", files={"opt/app/f": "1"})
    before = root.snapshot()["mounts"]
    root.merge()
    (root / "opt").unlink()
    (root / "opt").mkdir()
    root.install(root.tree("app", "2", files={"opt/app/f": "2"}))
    assert root.refresh().exit_code == 3
    why = f"/opt: was {root / 'var/opt'} when it was merged; unmerge, and merge again"
    assert (root.entry("app")["state"], root.entry("app")["reason"]) == ("merged", why)
    assert (root.read("var/opt/app/f"), os.listdir(root / "opt")) == ("2", [])
    root.run("unmerge")
    assert root.snapshot()["mounts"] == before
    assert root.merge().exit_code == 0
    assert root.read("opt/app/f") == "2"


@pytest.mark.parametrize(("name", "class_"), [("opt", "sysext"), ("etc", "sysext"), ("usr", "confext")])
def test_an_empty_folder_of_an_image_is_none(namespace: Path, name: str, class_: str) -> None:
    root = Root(namespace / "r")
    image = root.tree("app", "1", class_)
    (image / name).mkdir(exist_ok=True)
    root.install(image, class_)
    root.manifest("app", class_)
    assert root.merge().exit_code == 0
    assert root.entry("app")["hierarchies"] == ["etc" if class_ == "confext" else "usr"]
    root.put("opt/written", "w")


def test_an_image_that_is_gone_is_named_with_what_to_do(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    root.install(root.tree("app", "2"))
    root.refresh()
    before = root.content()
    for old in (root / "var/lib/made").iterdir():
        for folder, _names, files in os.walk(old, topdown=False):
            for file in files:
                os.unlink(f"{folder}/{file}")
            os.rmdir(folder)
    with pytest.raises(ExtensionError) as raised:
        root.run("rollback")
    said = str(raised.value)
    assert said.startswith(f"{root / 'usr'}: cannot be stacked: ") and "Errno" not in said, said
    assert "is gone" in said and "extensionctl refresh" in said and said.endswith("; nothing was changed"), said
    assert root.content() == before
