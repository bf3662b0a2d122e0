#  SPDX-License-Identifier: MIT
"""One broken thing among others: it has a state and a reason, and the others are merged.

First what people and disks do; then, made of a table, what is raised at every call of every boundary.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from extension_manifests import load
from extension_manifests.errors import reason_of
from extension_runtime.cli import explain, facts
from extension_runtime.image import attach, content, find, identity, record, records, request
from extension_runtime.layers import compare
from extension_runtime.layers.listing import sources
from extension_runtime.layers.lookup import Layer
from extension_runtime.layers.tree import View
from extension_runtime.merge import choose, fit
from extension_runtime.merge.result import Result
from extension_runtime.overlay import upper
from injected import each_error
from roots import Root, remove
from unit.merge.test_modes import WRONG


def three(path: Path) -> Root:
    root = Root(path)
    for name in ("a", "bad", "c"):
        root.extension(name, files={f"opt/{name}/x": "1"})
    return root


def update(root: Root) -> None:
    """New versions of the two that are right."""
    for name in ("a", "c"):
        root.install(root.tree(name, "2"))


def held(root: Root, result: Result, versions: str, kept: str = "") -> str:
    """Hold that the others are merged, in their `versions`; return the reason of the bad one.

    `kept` is the version of it that is merged, "" for none.
    """
    assert result.exit_code == 3
    assert [root.read(f"usr/share/{name}") for name in ("a", "c")] == [versions, versions]
    assert root.has("usr/share/bad") is bool(kept)
    assert not kept or root.read("usr/share/bad") == kept
    found = facts.gather(str(root.path))
    shown = {extension.name: extension for extension in found.extensions()}
    assert [shown[name].state for name in ("a", "c")] == ["merged", "merged"]
    assert shown["bad"].state == ("merged" if kept else "failed")
    assert explain.collect(found, shown["bad"])["Reason"]
    stands = root.entry("bad")
    assert (stands["state"], bool(stands["reason"])) == (shown["bad"].state, True)
    root.check()
    reason: str = stands["reason"]
    return reason


# A directory image is what somebody makes of it


def instead(inside: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """What puts something else in the place of an image's folder, or the image itself."""

    def put(image: Path) -> None:
        place = image / inside if inside else image
        shutil.rmtree(place)
        make(place)

    return put


BREAKS: dict[str, Callable[[Path], None]] = {
    "loop": instead("usr", lambda place: place.symlink_to("usr")),
    "link": instead("usr", lambda place: place.symlink_to("/")),
    "no usr": instead("usr", lambda _place: None),
    "usr is a file": instead("usr", lambda place: place.write_text("")),
    "usr is a fifo": instead("usr", os.mkfifo),
    "deleted": instead("", lambda _place: None),
    "a file": instead("", lambda place: place.write_text("")),
    "a loop of links": instead("", lambda place: place.symlink_to(place.name)),
    "a fifo": instead("", os.mkfifo),
}


@pytest.mark.parametrize("wrong", BREAKS)
@pytest.mark.parametrize("before", ["merge", "refresh", "always", "nothing else"])
def test_a_directory_image_that_somebody_breaks(namespace: Path, wrong: str, before: str) -> None:
    root = three(namespace / "r")
    if before != "merge":
        root.merge()
    BREAKS[wrong](root / "var/lib/extensions/bad")
    if before in ("refresh", "always"):
        update(root)
    result = root.run("merge" if before == "merge" else "refresh", always=before == "always")
    if result.exit_code == 0:
        pytest.fail("nobody noticed")
    reason = held(root, result, "2" if before in ("refresh", "always") else "1")
    assert "should not have happened" not in reason
    # And the way back.
    if root.has("var/lib/extensions/bad"):
        remove(root / "var/lib/extensions/bad")
    root.install(root.tree("bad", "3"))
    assert root.refresh().exit_code == 0
    assert root.read("usr/share/bad") == "3"


def deep(folder: Path, depth: int) -> None:
    """A folder in a folder, and so on: deeper than a path can tell."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)


@pytest.mark.parametrize("depth", [1200, 3000])
def test_folders_without_an_end(namespace: Path, depth: int) -> None:
    root = three(namespace / "r")
    for version in ("1", "2"):
        image = root.tree("bad", version)
        deep(image / "usr/share", depth)
        root.install(image)
        root.settings(usr="ephemeral")
        assert root.run("refresh").exit_code == 0
        assert root.read("usr/share/bad") == version
    (root / "usr/written").mkdir()
    deep(root / "usr/written", depth)  # in the upper
    assert root.run("unmerge").exit_code == 0


@pytest.mark.parametrize("depth", [1200, 3000])
def test_work_folders_without_an_end_are_removed(namespace: Path, depth: int) -> None:
    """With few descriptors, too."""
    top = namespace / "work"
    top.mkdir()
    deep(top, depth)
    for name in ("beside", "more"):
        (top / name).mkdir()
        (top / name / "file").write_text("")
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    upper.remove_tree(str(top))
    assert not top.exists()


@pytest.mark.parametrize("depth", [1200, 3000])
def test_changes_in_folders_without_an_end_are_found(namespace: Path, depth: int) -> None:
    for name in ("old", "new"):
        (namespace / name).mkdir()
        deep(namespace / name, depth)
        (namespace / name / "x").write_text(name)
    old, new = sources([Layer("e", f"{namespace}/old")], [Layer("e", f"{namespace}/new")], None)
    found = {change.path for change in compare.compare(old, new, "usr")}
    # What no path can tell is compared as far as paths go, and the layer says so.
    assert "/usr/x" in found
    problems = [source.listing.problem for source in (*old, *new)]
    if depth > 2000:
        assert all(isinstance(problem, OSError) and problem.errno == errno.ENAMETOOLONG for problem in problems)
    else:
        assert problems == [None, None]
        assert found == {"/usr/x"}
    view = View({"usr": new})
    assert view.kind("/usr" + "/d" * depth)[0] == ("folder" if depth < 2000 else "")


# What is in the place of what this program writes


def sparse(path: Path) -> None:
    path.write_text("")
    os.truncate(path, 1 << 40)


PLACES: dict[str, Callable[[Path], object]] = {
    "no JSON": lambda path: path.write_text("{"),
    "nothing": lambda path: path.write_text(""),
    "a list": lambda path: path.write_text("[]"),
    "numbers": lambda path: path.write_text('{"state": 7, "classes": 7, "hierarchies": 7}'),
    "a state of none": lambda path: path.write_text('{"state": "great"}'),
    "a hierarchy of none": lambda path: path.write_text('{"state": "attached", "hierarchies": ["../.."]}'),
    "deep": lambda path: path.write_text("[" * 100_000),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\0"),
    "huge": sparse,
    "a folder": lambda path: (path / "x").mkdir(parents=True),
    "a fifo": os.mkfifo,
    "a link": lambda path: path.symlink_to("/dev/zero"),
    "a loop": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize("first", [True, False])
def test_a_record_that_is_none(namespace: Path, what: str, first: bool) -> None:
    root = three(namespace / "r")
    place = root / "run/extensionctl/attached/bad.json"
    if first:
        place.parent.mkdir(parents=True)
        os.chmod(place.parent.parent, 0o700)
    else:
        root.merge()
        update(root)
        remove(place)
    PLACES[what](place)
    [read] = [found for found in records.read_all(str(place.parent)).values() if found.name == "bad"]
    assert read.state == "failed"
    assert read.reason.startswith(f"{place}: ")
    assert read.reason.endswith("; restart the extension's mount unit")
    begin = time.monotonic()
    result = root.run("merge" if first else "refresh")
    assert time.monotonic() - begin < 5
    if what != "a folder":
        # It is written anew.
        assert result.exit_code == 0
        assert root.read("usr/share/bad") == "1"
        return
    reason = held(root, result, "1" if first else "2", "" if first else "1")
    assert reason.endswith(f"{place}: cannot be written: Is a directory; remove it")


OBSTACLES: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: path.write_text(""),
    "a link": lambda path: path.symlink_to("/"),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a fifo": os.mkfifo,
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_is_in_the_place_of_a_mount(namespace: Path, what: str) -> None:
    root = three(namespace / "r")
    place = root / "run/extension/bad"
    place.parent.mkdir(parents=True)
    OBSTACLES[what](place)
    reason = held(root, root.merge(), "1")
    assert reason == f"{place}: is no directory; remove it"
    update(root)
    assert held(root, root.refresh(), "2") == reason
    place.unlink()
    assert root.refresh().exit_code == 0
    assert root.read("usr/share/bad") == "1"


# Whatever is raised


def of_descriptor(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


CALLS: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "prepare": (attach, "_prepare", lambda request, _became: request.name == "bad"),
    "place": (attach, "_place", lambda _paths, name: name == "bad"),
    "find": (find, "find", lambda _root, image, _classes: image == "bad"),
    "identity": (identity, "identity", lambda fd: of_descriptor(fd).endswith("/bad")),
    "judge": (content, "judge", lambda _tree, _names, image, *_more: image == "bad"),
    "hierarchies": (content, "hierarchies", lambda _tree, _names, shown: shown.endswith("/bad")),
    "release": (content, "read_release", lambda _tree, _class, name, _shown: name == "bad"),
    "mount": (attach, "mount_directory", lambda fd, _attributes: of_descriptor(fd).endswith("/bad")),
    "write": (record, "write", lambda _folder, became: became.name == "bad"),
    "attach": (attach, "attach", lambda request: request.name == "bad"),
    "request": (request, "of_manifest", lambda _root, manifest: manifest.name == "bad"),
    "read": (records, "from_json", lambda _text, path: path.endswith("/bad.json")),
    "choose": (choose, "_choose_one", lambda candidate, _merged: candidate.manifest.name == "bad"),
    "standing": (choose, "standing", lambda manifest, state, *_more: manifest.name == "bad" and state == "merged"),
    "fit": (fit, "_look", lambda choice, _hierarchy: choice.name == "bad" and choice.source == choose.NEW),
    "manifest": (load, "read", lambda item, _warnings: item.name == "bad"),
}
"""Where something about one extension is done: the module, the function, and whether a call is about the bad one."""


@each_error
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("verb", ["merge", "refresh"])
def test_whatever_is_raised_over_one_extension_is_its_reason(
    namespace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: Exception, call: str,
    verb: str,
) -> None:  # fmt: skip
    root = three(namespace / "r")
    if verb == "refresh":
        root.merge()
        update(root)
        root.install(root.tree("bad", "2"))
    module, name, about_bad = CALLS[call]
    original = getattr(module, name)
    raised = 0

    def fail(*arguments: Any, **keywords: Any) -> Any:
        nonlocal raised
        if about_bad(*arguments):
            raised += 1
            raise error
        return original(*arguments, **keywords)

    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "debug")
    monkeypatch.setattr(module, name, fail)
    result = root.run(verb)
    assert raised
    monkeypatch.setattr(module, name, original)
    # What is merged of it stays, whatever it is that fails.
    reason = held(root, result, "2" if verb == "refresh" else "1", "1" if verb == "refresh" else "")
    assert reason_of(error) in reason
    # The generators know no log of ours, and that the kernel does not mount an image is its answer.
    if call != "manifest" and (call, type(error)) != ("mount", OSError):
        assert " in fail\n" in capfd.readouterr().err
    assert root.refresh().exit_code == 0
    assert root.read("usr/share/bad") == ("2" if verb == "refresh" else "1")


# Settings


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("reboots", [True, False])
def test_a_mistake_in_the_settings_takes_no_mode_away(namespace: Path, wrong: str, reboots: bool) -> None:
    root = three(namespace / "r")
    root.extension("conf", class_="confext")
    (root / "var/lib/up").mkdir()
    place = root / "etc/extensions.d/extensions.conf"
    place.parent.mkdir()
    place.write_text("[Etc]\nMode=persistent\nUpper=/var/lib/up\n")
    assert root.merge().exit_code == 0
    root.put("etc/passwd", "users")
    assert root.refresh().exit_code == 0
    if reboots:
        root.run("unmerge")
        shutil.rmtree(root / "run/extensionctl")
    # Where a person would write it: in what is merged, or in the base.
    (root / "run/extensions.d/extensions.conf").write_bytes(WRONG[wrong])
    place.unlink()
    result = root.run("merge" if reboots else "refresh")
    assert result.exit_code == 3
    assert root.read("etc/passwd") == "users"
    assert (root / "var/lib/up/passwd").read_text() == "users"
    told = [line for line in result.messages if line.startswith("/run/extensions.d/extensions.conf")]
    assert told[-1].endswith("; until that is mended, hierarchies keep the mode that they had last")
    assert root.refresh().exit_code == 3
    dry = facts.gather(str(root.path))
    assert dry.plan.settings.etc.mode == "persistent"
    (root / "run/extensions.d/extensions.conf").write_text("[Etc]\nMode=auto\n")
    assert root.refresh().exit_code == 0
    assert not root.has("etc/passwd")
    root.check()
