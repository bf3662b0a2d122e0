#  SPDX-License-Identifier: MIT
"""What is merged is no input: images, manifests, settings, actions and os-release come from the bases, and what people
wrote into the upper of a mutable hierarchy counts as theirs.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests import load
from extension_manifests.classes import CLASSES
from extension_manifests.origin import Origin
from extension_runtime.cli import facts
from extension_runtime.image import host
from extension_runtime.kernel import syscalls
from extension_runtime.react import actionfile
from roots import Root

TOP = Path(__file__).resolve().parents[2]
MODES = ("auto", "ephemeral", "persistent")
KINDS = ("{0}", "{0}.raw", "{0}.v/{0}_1", "{0}.raw.v/{0}_1.raw")
EVIL = "[Extension]\nImage=/srv/evil\n"
ACTION = "[Trigger]\nPath=/usr/share/x\n[Action]\nRestart=x.service\n"
Inputs = dict[str, object]


def inputs(root: Root) -> Inputs:
    """All that is read of a root, other than images."""
    plan = load.load(str(root.path))
    system = host.read(str(root.path))
    return {
        "manifests": plan.names(),
        "masked": plan.masked,
        "problems": [str(problem) for problem in plan.diagnostics],
        "modes": {name: plan.settings.hierarchy(name).mode for name in ("usr", "opt", "etc")},
        "actions": [action.name for action in actionfile.load(str(root.path))[0]],
        "system": (system.id, system.version_id, system.scope),
        "units": units(root),
    }


def units(root: Root) -> str:
    """What the generator makes of a root."""
    command = [sys.executable, "-I", "-S", "-B", str(TOP / "generators/extensions-generator"), "--dry-run"]
    done = subprocess.run(command, env={"EXTENSIONS_ROOT": str(root.path)}, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def image(root: Root, place: str, name: str, class_: str) -> None:
    """Make an image at `place`, a squashfs where that ends in .raw."""
    tree = root.tree(name, class_=class_)
    target = root / place
    target.parent.mkdir(parents=True, exist_ok=True)
    if not place.endswith(".raw"):
        shutil.copytree(tree, target)
        return
    command = ["mksquashfs", str(tree), str(target), "-quiet", "-no-progress", "-noappend", "-comp", "gzip"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


# Who stands for what


def test_nothing_merged_is_read_as_it_is(namespace: Path) -> None:
    root = Root(namespace / "r")
    found = Origin(str(root.path))
    assert found.merged == {}
    assert found.real("/etc/base.conf") == f"{root.path}/etc/base.conf"


@pytest.mark.parametrize("mode", [*MODES, "read-only"])
def test_a_hierarchy_stands_for_its_base_and_what_people_wrote(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.extension("conf", class_="confext", files={"etc/base.conf": "layer", "etc/only/layer": "1"})
    root.settings(etc=mode, usr=mode)
    assert root.merge().exit_code == 0
    assert root.read("etc/base.conf") == "layer"
    run = f"{root.path}/run/extensionctl"
    uppers = {"ephemeral": f"{run}/upper/etc/upper", "persistent": f"{root.path}/var/lib/extensions.mutable/etc"}
    found = Origin(str(root.path))
    assert found.merged["/etc"] == (*([uppers[mode]] if mode in uppers else []), f"{run}/base/etc")
    assert Path(found.real("/etc/base.conf")).read_text() == "base"
    assert found.entry("/etc/only/layer") is None
    assert "only" not in found.listing("/etc")
    with pytest.raises(FileNotFoundError):
        found.real("/usr/share/app")
    link = root.path.parent / "link"
    link.symlink_to(root.path)
    assert Origin(str(link)).merged == found.merged
    root.run("unmerge")
    assert Origin(str(root.path)).merged == {}


def test_an_upper_counts_as_long_as_it_is_seen(namespace: Path) -> None:
    """From one mode to another, over a rollback, and not from another generation."""
    root = Root(namespace / "r")
    root.extension("app")
    bases = root / "run/extensionctl/base"
    seen = []
    for mode in ("auto", "persistent", "ephemeral", "ephemeral", "auto", "persistent"):
        root.settings(etc=mode, usr="read-only")
        root.refresh(always=True)
        seen.append((len(Origin(str(root.path)).merged.get("/etc", ())), len(list(bases.glob("etc.upper.*")))))
    assert seen == [(0, 0), (2, 1), (2, 1), (2, 1), (0, 0), (2, 1)]
    root.run("unmerge")
    assert not bases.exists() or list(bases.iterdir()) == []


def test_an_upper_that_nobody_noted_counts_all_the_same(namespace: Path) -> None:
    """What an earlier version of this program merged is read as it was, until it is swapped."""
    root = Root(namespace / "r")
    root.extension("app")
    root.settings(etc="persistent")
    root.merge()
    root.put("etc/extensions.d/late.extension", "")
    (root / "run/extensionctl/base/etc.upper.1").unlink()
    found = Origin(str(root.path))
    assert sorted(found.merged) == ["/usr"]
    assert "late" in load.load(found).masked
    root.refresh(always=True)
    assert sorted(Origin(str(root.path)).merged) == ["/etc", "/usr"]
    assert "late" in load.load(str(root.path)).masked


def test_a_foreign_mount_over_a_hierarchy_is_what_is_seen(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    syscalls.mount("tmpfs", str(root / "usr"), "tmpfs", 0, "mode=0755")
    root.put("usr/foreign")
    assert Origin(str(root.path)).real("/usr/foreign") == f"{root.path}/usr/foreign"


def test_who_looks_while_tops_are_swapped_sees_one_of_them(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.settings(etc="persistent")
    root.merge()
    root.put("etc/extensions.d/late.extension", "")
    pid = os.fork()
    if pid == 0:
        try:
            for _ in range(25):
                root.refresh(always=True)
        finally:
            os._exit(0)
    looks = 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        found = Origin(str(root.path))
        assert [len(found.merged[name]) for name in ("/usr", "/etc")] == [1, 2]
        assert "late" in load.load(found).masked
        looks += 1
    assert root.state["generation"] == 26
    assert looks > 50


def test_an_ordinary_user_is_told_of_what_is_merged(namespace: Path) -> None:
    """The bases are not for their eyes: no error, and what they can see."""
    root = Root(namespace / "r")
    root.extension("conf", class_="confext", files={"etc/os-release": "ID=layer\n"})
    root.merge()
    syscalls.mount(str(root.path), "/mnt", None, 0x5000, None)  # with what is mounted in it, where others may look
    os.seteuid(65534)
    try:
        assert Origin("/mnt").merged == {}
        assert load.load("/mnt").names() == ["conf"]
        assert host.read("/mnt").id == "layer"
    finally:
        os.seteuid(0)
    assert sorted(Origin("/mnt").merged) == ["/etc"]
    assert host.read("/mnt").id == "debian"


# Against the kernel: the upper over the base is what an overlay without layers would show.


def tree_of(listing: Callable[[str], list[str]], place: Callable[[str], str], folder: str = "/etc") -> dict[str, str]:
    """Every path below `folder`, with what it is."""
    found = {}
    for name in listing(folder):
        path = f"{folder}/{name}"
        real = place(path)
        mode = os.lstat(real).st_mode
        if stat.S_ISDIR(mode):
            found[path] = "folder"
            found.update(tree_of(listing, place, path))
        else:
            found[path] = os.readlink(real) if stat.S_ISLNK(mode) else Path(real).read_text()
    return found


def scramble(folder: Path, seed: int) -> None:
    """Do to a tree what people do."""
    chance = random.Random(seed)
    for number in range(60):
        every = sorted(folder.rglob("*"))
        folders = [folder, *(path for path in every if path.is_dir() and not path.is_symlink())]
        where = chance.choice(folders)
        path = chance.choice(every) if every else folder / "first"
        what = chance.choice(("write", "write", "make", "link", "remove", "rename", "again", "chmod"))
        new = where / f"n{chance.randrange(8)}"
        if what == "write" and not new.is_dir():
            new.unlink(missing_ok=True)
            new.write_text(str(number))
        elif what == "make" and not os.path.lexists(new):
            new.mkdir()
        elif what == "link" and not os.path.lexists(new):
            new.symlink_to(f"n{number}")
        elif what == "chmod":
            where.chmod(0o755 if where == folder else 0o750)
        elif what == "rename" and not os.path.lexists(new) and not str(new).startswith(f"{path}/") and every:
            path.rename(new)
        elif what in ("remove", "again") and os.path.lexists(path):
            is_folder = path.is_dir() and not path.is_symlink()
            if is_folder:
                shutil.rmtree(path)
            else:
                path.unlink()
            if is_folder and what == "again":
                path.mkdir()


@pytest.mark.parametrize("mode", ["ephemeral", "persistent"])
@pytest.mark.parametrize("seed", range(8))
def test_upper_over_base_is_as_the_kernel_has_it(namespace: Path, mode: str, seed: int) -> None:
    root = Root(namespace / "r")
    for number in range(4):
        for deep in range(3):
            root.put(f"etc/d{number}/e{deep}/f{deep}", "base")
            root.put(f"etc/d{number}/n{deep}", "base")
    root.settings(etc=mode)
    root.merge()
    for round_ in range(3):
        scramble(root / "etc", seed * 100 + round_)
        found = Origin(str(root.path))
        assert len(found.merged["/etc"]) == 2
        live = tree_of(lambda path: sorted(os.listdir(f"{root.path}{path}")), lambda path: f"{root.path}{path}")
        assert tree_of(found.listing, found.place) == live
        root.refresh(always=True)


# Images


@pytest.mark.parametrize("mode", MODES)
def test_images_in_every_folder_are_the_same_at_each_refresh(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    (root / "var/usrlocal").mkdir()
    (root / "usr/local").symlink_to("../var/usrlocal")
    root.extension("over")
    root.extension("conf", class_="confext")
    names, raws = ["over", "conf"], 0
    for class_, about in CLASSES.items():
        for folder in (*about.folders, "/opt/images"):
            for kind in KINDS:
                name = f"x{len(names)}"
                place = f"{folder.strip('/')}/{kind.format(name)}"
                image(root, place, name, class_)
                raws += kind.endswith(".raw")
                more = f"Image=/{place.replace('_1', '___')}\n" if folder == "/opt/images" else ""
                root.manifest(name, class_, more)
                names.append(name)
    root.settings(usr=mode, opt=mode, etc=mode)
    first = root.merge()
    assert first.exit_code == 0, first.messages
    state, mounts, loops, fds = root.state, len(root.mounts()), root.loops(), descriptors()
    assert sorted(name for name, item in state["extensions"].items() if item["state"] == "merged") == sorted(names)
    assert len(loops) == raws
    for _ in range(34):
        assert root.refresh().messages == ["nothing has changed"]
    assert root.state["generation"] == state["generation"]
    assert (len(root.mounts()), root.loops(), descriptors()) == (mounts, loops, fds)
    for round_ in range(5):
        root.install(root.tree("over", f"{round_}"))
        assert root.refresh().exit_code == 0
        assert root.read("usr/share/over") == f"{round_}"
        assert (root.loops(), descriptors()) == (loops, fds)
        assert root.state["generation"] == state["generation"] + round_ + 1
    root.check()
    root.run("unmerge")
    assert root.loops() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_images_on_what_is_mounted_below_a_hierarchy(namespace: Path, when: str) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.extension("conf", class_="confext")
    for place in ("usr/local", "etc/extensions", "etc/deep/er"):
        (root / place).mkdir(parents=True)
    if when == "after":
        root.merge()
    for place in ("usr/local", "etc/extensions", "etc/deep/er"):
        syscalls.mount("tmpfs", str(root / place), "tmpfs", 0, "mode=0755")
    image(root, "etc/extensions/one.raw", "one", "sysext")
    image(root, "usr/local/lib/confexts/two", "two", "confext")
    image(root, "etc/deep/er/three.raw", "three", "sysext")
    root.manifest("one")
    root.manifest("two", "confext")
    root.manifest("three", more="Image=/etc/deep/er/three.raw\n")
    root.put("usr/local/lib/extensions.d/four.extension", "")
    for _ in range(4):
        assert root.refresh().exit_code == 0
    assert root.state["generation"] == (1 if when == "before" else 2)
    assert {name for name, item in root.state["extensions"].items() if item["layer"]} == {
        "app", "conf", "one", "two", "three",
    }  # fmt: skip
    assert root.state["extensions"]["four"]["state"] == "masked"
    syscalls.umount(str(root / "etc/deep/er"), syscalls.MNT_DETACH)
    assert Origin(str(root.path)).entry("/etc/deep/er/three.raw") is None


def test_a_file_that_is_mounted_on_a_file_counts(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("conf", class_="confext")
    root.put("etc/extensions.d/one.extension", "[Extension]\n")
    root.put("srv/one", "[Extension]\nImage=/srv/other\n")
    root.put("dev/null")
    root.merge()
    syscalls.mount(str(root / "srv/one"), str(root / "etc/extensions.d/one.extension"), None, 0x1000, None)
    (found,) = [m for m in load.load(str(root.path)).extensions if m.name == "one"]
    assert found.image == "/srv/other"


def test_an_image_inside_of_an_image_is_never_found(namespace: Path) -> None:
    root = Root(namespace / "r")
    image(root, "srv/made/carried", "carried", "confext")
    tree = root.tree("carrier")
    (tree / "usr/lib/confexts").mkdir(parents=True)
    os.rename(root / "srv/made/carried", tree / "usr/lib/confexts/carried")
    root.install(tree)
    root.manifest("carrier")
    root.manifest("carried", "confext")
    reasons = []
    for _ in range(3):
        assert root.refresh().exit_code == 3
        reasons.append((root.entry("carried")["state"], root.entry("carried")["reason"]))
        assert root.has("usr/lib/confexts/carried/etc")
        assert facts.gather(str(root.path)).extension("carried").state == "failed"
    assert len(set(reasons)) == 1
    assert "no such image" in reasons[0][1]
    assert root.state["generation"] == 1


@pytest.mark.parametrize("mode", ["ephemeral", "persistent"])
def test_a_directory_that_is_half_in_the_upper_is_left_as_it_was(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    image(root, "etc/extensions/app", "app", "sysext")
    root.manifest("app")
    root.settings(etc=mode)
    root.merge()
    (root / "etc/extensions/app").chmod(0o750)
    root.refresh()
    assert root.entry("app")["reason"] == ""
    root.put("etc/extensions/app/usr/share/more", "1")
    assert root.refresh().exit_code == 3
    assert "a part of it is in the upper" in root.entry("app")["reason"]
    assert root.entry("app")["state"] == "merged"
    assert root.read("usr/share/app") == "1"
    image(root, "etc/extensions/new.raw", "new", "sysext")
    root.manifest("new")
    root.refresh()
    for _ in range(4):
        root.refresh(always=True)
        assert len(root.loops()) <= 2  # and what can be gone back to
    assert root.entry("new")["state"] == "merged"


# What layers bring and hide


def link_out(root: Root) -> None:
    for name, text in (
        ("evil.extension", EVIL),
        ("evil.action", ACTION),
        ("extensions.conf", "[Usr]\nMode=ephemeral\n"),
    ):
        root.put(f"srv/x/lib/extensions.d/{name}", text)
    tree = root.tree("bad")
    (tree / "usr/local").symlink_to("/srv/x")
    root.install(tree)


def two_together(root: Root) -> None:
    tree = root.tree("bad")
    (tree / "usr/local").symlink_to("share/x")
    root.install(tree)
    more = {f"usr/share/x/lib/extensions.d/{name}": text for name, text in (("evil.extension", EVIL), ("v.action", ""))}
    root.extension("worse", files=more)


def hidden(place: str, class_: str = "sysext") -> Callable[[Root], None]:
    def make(root: Root) -> None:
        tree = root.tree("bad", class_=class_)
        (tree / place).mkdir(parents=True, exist_ok=True)
        os.setxattr(tree / place, "trusted.overlay.opaque", b"y")
        root.install(tree, class_)
        root.manifest("bad", class_, "Hides=/**\n")

    return make


def removed(place: str, class_: str = "sysext") -> Callable[[Root], None]:
    def make(root: Root) -> None:
        tree = root.tree("bad", class_=class_)
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(tree / place, stat.S_IFCHR, 0)
        root.install(tree, class_)
        root.manifest("bad", class_, "Hides=/**\n")

    return make


def brand(root: Root) -> None:
    root.extension("bad", class_="confext", files={"etc/os-release": "ID=other\n", "etc/initrd-release": "ID=x\n"})


LAYERS = {
    "a link out": link_out,
    "two together": two_together,
    "opaque extensions.d": hidden("usr/lib/extensions.d"),
    "opaque lib": hidden("usr/lib"),
    "opaque usr": hidden("usr"),
    "opaque etc": hidden("etc", "confext"),
    "lib removed": removed("usr/local"),
    "os-release removed": removed("etc/os-release", "confext"),
    "os-release brought": brand,
}


@pytest.mark.parametrize("mode", ["auto", "ephemeral"])
@pytest.mark.parametrize("what", LAYERS)
def test_what_layers_bring_and_hide_is_no_input(namespace: Path, what: str, mode: str) -> None:
    root = Root(namespace / "r")
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    root.put("usr/lib/extensions.d/vendor.extension", "[Extension]\n")
    root.put("usr/lib/extensions.d/hidden.extension", "[Extension]\n")
    root.put("etc/extensions.d/hidden.extension", "")
    root.put("usr/local/lib/extensions.d/local.action", ACTION)
    root.put("usr/lib/extensions.d/extensions.conf.d/a.conf", f"[Usr]\nMode={mode}\n[Etc]\nMode={mode}\n")
    root.install(root.tree("vendor"))
    root.manifest("bad", more="Hides=/**\n")
    LAYERS[what](root)
    before = inputs(root)
    root.merge()
    assert "bad" in {name for name, item in root.state["extensions"].items() if item["layer"]}
    assert inputs(root) == before
    root.refresh()
    assert inputs(root) == before
    assert root.state["generation"] == 1
    assert facts.gather(str(root.path)).extension("vendor").state == "merged"


def test_the_generator_finds_manifests_that_an_image_hides(namespace: Path) -> None:
    """All of them: then the directories that it looks into first are empty."""
    root = Root(namespace / "r")
    root.put("usr/lib/extensions.d/bad.extension", "[Extension]\nHides=/**\n")
    tree = root.tree("bad")
    (tree / "usr/lib/extensions.d").mkdir()
    os.setxattr(tree / "usr/lib/extensions.d", "trusted.overlay.opaque", b"y")
    root.install(tree)
    before = units(root)
    root.merge()
    assert os.listdir(root / "usr/lib/extensions.d") == []
    assert "run-extension-bad.mount" in before
    assert units(root) == before


# What people write


@pytest.mark.parametrize("mode", ["ephemeral", "persistent"])
def test_what_people_write_while_merged_counts(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    for name in ("app", "other", "third"):
        root.install(root.tree(name))
        root.put(f"etc/extensions.d/{name}.extension", "[Extension]\n")
    root.install(root.tree("added"))
    root.extension("conf", class_="confext", files={"etc/conf": "1"})
    root.settings(etc=mode)
    root.merge()
    before = units(root)
    root.put("etc/extensions.d/added.extension", "[Extension]\n")
    (root / "etc/extensions.d/app.extension").unlink()
    (root / "etc/extensions.d/other.extension").unlink()
    (root / "etc/extensions.d/other.extension").symlink_to("/dev/null")
    root.put("etc/extensions.d/third.extension", "")
    root.put("etc/extensions.d/mine.action", ACTION)
    root.put("etc/extensions.d/extensions.conf.d/opt.conf", "[Opt]\nMode=read-only\n")
    root.put("etc/os-release", "ID=mine\n")
    now = inputs(root)
    assert now["manifests"] == ["added", "conf", "other", "third"]
    assert sorted(now["masked"]) == ["other", "third"]  # type: ignore[call-overload]
    assert now["actions"] == ["mine"]
    assert now["modes"] == {"usr": "auto", "opt": "read-only", "etc": mode}
    assert now["system"] == ("mine", "", "system")
    assert "run-extension-added.mount" in units(root) and "run-extension-added.mount" not in before
    root.refresh()
    assert {name for name, item in root.state["extensions"].items() if item["layer"]} == {"added", "conf"}
    assert root.top("opt").fstype == "overlay"
    assert inputs(root) == now


def test_an_upper_that_is_not_seen_any_more_does_not_count(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.extension("conf", class_="confext")
    root.settings(etc="persistent")
    root.merge()
    root.put("etc/extensions.d/app.extension", "")
    assert "app" in load.load(str(root.path)).masked
    root.settings(etc="auto")
    root.refresh()
    assert load.load(str(root.path)).masked == {}
