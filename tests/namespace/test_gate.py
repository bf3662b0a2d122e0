#  SPDX-License-Identifier: MIT
"""Every way of attaching takes the image that is meant, refuses what it cannot verify, and keeps what is promised."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from extension_manifests.escape import mount_unit
from extension_manifests.names import name_problem
from extension_manifests.unitfile import parse
from extension_runtime.image import records
from extension_runtime.kernel import syscalls
from extension_runtime.paths import Paths
from roots import IMAGES, RELEASE, Root

TOP = Path(__file__).resolve().parents[2]
HELPER = TOP / "helpers/mount.extension"
GENERATOR = TOP / "generators/extensions-generator"
HASH = "RootHash=" + "00" * 32
UNVERIFIABLE = (HASH, "Signature=/x.p7s", "ImagePolicy=root=verity")

# What is attached is what is meant


def _with_helper(root: Root) -> None:
    """Have mount(8) find the helper of this checkout."""
    shadow = root / "sbin"
    shadow.mkdir()
    (shadow / "mount.extension").symlink_to(HELPER)
    syscalls.mount("overlay", "/usr/sbin", "overlay", 0, f"lowerdir={shadow}:/usr/sbin")


def _by_pid_1(root: Root, name: str, folder: str) -> subprocess.CompletedProcess[str]:
    """Generate the units of a root and run what PID 1 runs for the image's mount unit of one, in `folder`."""
    out = root / f"units-{os.urandom(4).hex()}"
    out.mkdir()
    environment = {"EXTENSIONS_ROOT": str(root.path), "PATH": os.environ["PATH"]}
    subprocess.run([GENERATOR, out], env=environment, check=False, capture_output=True)
    unit = {entry.key: entry.value for entry in parse((out / mount_unit(name)).read_text(), "unit")}
    target = root / unit["Where"].lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    # As mount_enter_mounting() of systemd has it; it runs in /.
    argv = ["mount", unit["What"], str(target), "-t", unit["Type"], "-o", unit["Options"].replace("%%", "%")]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


def _hostile_names(root: Root) -> list[str]:
    names = sorted(os.listdir("/"))
    return [*names, "a-b", "--bind", "-o", "-", "bind", "a=b", "UUID=1", "LABEL=x", "extension", "none", "x___.v"]


def test_no_name_is_taken_for_a_path_an_option_or_a_tag(namespace: Path) -> None:
    """Below a folder that holds, for every name there is, a tree which would be merged."""
    root = Root(namespace / "r")
    _with_helper(root)
    here = root / "here"
    for number, image in enumerate(_hostile_names(root)):
        for place in (image, f"extension:{image}", f"extension:e{number}"):
            release = here / place / (RELEASE["sysext"] + os.path.basename(image))
            release.parent.mkdir(parents=True)
            release.write_text("ID=_any\n")
        manifest = root.put(f"etc/extensions.d/e{number}.extension", f"[Extension]\nImage={image}\n")
        for folder in (str(here), "/"):
            ran = _by_pid_1(root, f"e{number}", folder)
            broken = "is no name of an image" in ran.stderr
            assert ran.returncode == 32, (image, ran)
            assert broken or f"{image}: no such image: no {image}, {image}.raw, " in ran.stderr, (image, ran)
        assert records.attached(Paths(str(root.path)))[f"e{number}"].state == "failed"
        if not broken:
            root.install(root.tree(image))
            assert _by_pid_1(root, f"e{number}", str(here)).returncode == 0, image
            became = records.attached(Paths(str(root.path)))[f"e{number}"]
            assert (became.state, became.image) == ("attached", f"/var/lib/extensions/{image}")
            subprocess.run(["umount", root / f"run/extension/e{number}"], check=True)
        manifest.unlink()


@pytest.mark.parametrize("name", [name for name in sorted(os.listdir("/")) if not name_problem(name)])
def test_no_extension_is_taken_for_a_path(namespace: Path, name: str) -> None:
    root = Root(namespace / "r")
    _with_helper(root)
    root.put(f"etc/extensions.d/{name}.extension", "[Extension]\n")
    ran = _by_pid_1(root, name, "/")
    assert (ran.returncode, f"{name}: no such image: no {name}, " in ran.stderr) == (32, True), ran
    root.install(root.tree(name))
    assert _by_pid_1(root, name, "/").returncode == 0
    assert records.attached(Paths(str(root.path)))[name].image == f"/var/lib/extensions/{name}"
    subprocess.run(["mount", "-o", "remount", root / f"run/extension/{name}"], check=True)


@pytest.mark.parametrize("image", ["/srv/a b,c%d", "/srv//images/./x", "/srv/UUID=1", "/srv/-x", '/srv/ä\\x20"q"'])
def test_an_absolute_path_is_taken_as_it_is_written(namespace: Path, image: str) -> None:
    root = Root(namespace / "r")
    _with_helper(root)
    root.put("etc/extensions.d/app.extension", f"[Extension]\nImage={image}\n")
    place = root / image.lstrip("/")
    release = place / (RELEASE["sysext"] + place.name)
    release.parent.mkdir(parents=True)
    release.write_text("ID=_any\n")
    ran = _by_pid_1(root, "app", "/")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("options", ["", "ext.class=sysext", "ext.image="])
def test_without_an_image_nothing_is_attached(namespace: Path, options: str) -> None:
    """As by a unit that an older version has made, whatever its What= is."""
    root = Root(namespace / "r")
    root.extension("usr")
    argv: list[str | Path] = [HELPER, "/usr", root / "run/extension/usr", "-o", f"rw,{options}"]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.startswith("ext.image= is missing")) == (32, True)
    assert records.attached(Paths(str(root.path)))["usr"].state == "failed"


# What cannot be verified is refused, every way and whatever was there before


def _standing(root: Root, name: str = "app") -> tuple[str, bool]:
    return root.entry(name)["state"], root.has(f"usr/share/{name}")


@pytest.mark.parametrize("key", UNVERIFIABLE)
@pytest.mark.parametrize("verb", ["merge", "refresh"])
def test_it_is_not_merged(namespace: Path, key: str, verb: str) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.extension("other")
    root.manifest("app", more=f"{key}\n")
    assert root.run(verb).exit_code == 3
    assert _standing(root) == ("failed", False)
    assert _standing(root, "other") == ("merged", True)
    assert root.entry("app")["reason"].startswith(f"{key.partition('=')[0]}= is not yet supported")
    root.manifest("app")
    assert root.refresh().exit_code == 0
    assert _standing(root) == ("merged", True)


@pytest.mark.parametrize("key", UNVERIFIABLE)
@pytest.mark.parametrize("change", ["none", "new version", "bad version", "broken manifest", "gone"])
@pytest.mark.parametrize("always", [False, True])
def test_what_was_merged_without_is_left_out(namespace: Path, key: str, change: str, always: bool) -> None:
    root = Root(namespace / "r")
    root.extension("app", "1")
    root.extension("other")
    root.merge()
    root.manifest("app", more=f"{key}\n" if change != "broken manifest" else key.partition("=")[0] + "=/../x,y\n")
    if change == "new version":
        root.install(root.tree("app", "2"))
    elif change == "bad version":
        root.install(root.tree("app", "2"))
        shutil.rmtree(root / "var/lib/extensions/app/usr/lib")
    elif change == "gone":
        os.rename(root / "var/lib/extensions/app", root / "elsewhere")
    assert root.refresh(always).exit_code == 3
    assert _standing(root) == ("failed", False)
    assert _standing(root, "other") == ("merged", True)
    root.check()
    # And not by going back, either.
    root.run("rollback")
    assert _standing(root)[1] is (change == "broken manifest")


@pytest.mark.parametrize("policy", ["*", "root=unprotected+absent", "root=open:usr=signed"])
def test_a_policy_that_asks_for_nothing_passes(namespace: Path, policy: str) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.manifest("app", more=f"ImagePolicy={policy}\n")
    assert root.merge().exit_code == 0
    assert _standing(root) == ("merged", True)


def test_what_an_old_unit_has_attached_is_not_merged(namespace: Path) -> None:
    """PID 1 goes by the units that it has read, a merge by the manifests that are there."""
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    root.run("unmerge")
    argv: list[str | Path] = [HELPER, "x", root / "run/extension/app", "-o", "ext.image=app,ext.class=sysext"]
    subprocess.run(argv, check=True)
    root.manifest("app", more=f"{HASH}\n")
    paths = Paths(str(root.path))
    from extension_manifests import load
    from extension_runtime.merge import choose
    from extension_runtime.merge.choose import Candidate

    [manifest] = load.load(str(root.path)).extensions
    [choice] = choose.choose([Candidate(manifest, records.attached(paths)["app"])], {})
    assert (choice.source, choice.standing.state) == (choose.NONE, "failed")


def test_a_change_of_a_key_is_a_change_and_otherwise_nothing_changes(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.install(root.tree("app", files={"etc/x": "", f"{RELEASE['confext']}app": "ID=_any\n"}))
    root.manifest("app")
    root.merge()
    paths = Paths(str(root.path))
    for more, class_ in (("NoSuid=yes\n", "sysext"), ("NoExec=yes\n", "sysext"), ("Mismatch=fail\n", "sysext"),
                         ("", "sysext confext"), ("ImagePolicy=*\n", "sysext"), ("", "sysext")):  # fmt: skip
        before = records.attached(paths)["app"].options
        root.manifest("app", class_, more)
        assert root.refresh().exit_code == 0
        after = records.attached(paths)["app"].options
        assert after != before
        assert root.has("etc/x") is ("confext" in class_)
        assert root.refresh().messages == ["nothing has changed"]


def test_a_state_of_an_older_version_is_taken_over(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.merge()
    generation = root.state["generation"]
    record = root / "run/extensionctl/attached/app.json"
    attached = json.loads(record.read_text())
    del attached["options"]
    record.write_text(json.dumps(attached))
    state = root.state | {"format": 1}
    for key in ("compared", "forced", "mends", "options", "overrides", "remarks"):
        del state["extensions"]["app"][key]
    root.put("run/extensionctl/state.json", json.dumps(state))
    assert root.refresh().exit_code == 0
    assert root.state["generation"] == generation
    assert root.entry("app")["options"] == records.attached(Paths(str(root.path)))["app"].options != ""


# What is promised of rights holds for another user


def _as_nobody(root: Root, *argv: str) -> str:
    """What a program says that another user runs; "" when that user may not even run it."""
    # Relative to a folder that is open already: the test's own is for its maker alone.
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    ran = subprocess.run([*who, *argv], cwd=root.path, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def _rights(root: Root, folder: str) -> tuple[str, str]:
    """The effective user of a set-user-ID program, and the capabilities of one that has some."""
    status = _as_nobody(root, f"./{folder}/capable", "/proc/self/status")
    capabilities = [line.split()[1].lstrip("0") for line in status.splitlines() if line.startswith("CapEff:")]
    return _as_nobody(root, f"./{folder}/suid", "-u"), (capabilities or ["cannot be run"])[0]


def _programs(place: Path) -> None:
    """A set-user-ID copy of id(1), a copy of cat(1) with a capability, and a plain one of true(1)."""
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy("/usr/bin/id", place / "suid")
    (place / "suid").chmod(0o4755)
    shutil.copy("/usr/bin/cat", place / "capable")
    (place / "capable").chmod(0o755)
    # struct vfs_cap_data, linux/capability.h: revision 2, effective; CAP_NET_RAW
    os.setxattr(place / "capable", "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))


WITH_RIGHTS, WITHOUT = ("0", "2000"), ("65534", "")


def test_in_etc_nothing_gives_rights(namespace: Path) -> None:
    root = Root(namespace / "r")
    _programs(root / "etc/base")
    _programs(root / "usr/base")
    image = root.tree("conf", class_="confext")
    _programs(image / "etc/conf")
    assert _rights(root, "etc/base") == _rights(root, "usr/base") == WITH_RIGHTS
    root.install(image, "confext")
    root.manifest("conf", "confext")
    root.merge()
    assert _rights(root, "etc/conf") == _rights(root, "etc/base") == WITHOUT
    assert _rights(root, "usr/base") == WITH_RIGHTS
    assert {"nosuid", "nodev"} <= set(root.top("etc").flags)
    root.manifest("conf", "confext", "NoSuid=no\n")
    root.refresh(always=True)
    assert _rights(root, "etc/conf") == WITHOUT
    root.run("unmerge")
    assert _rights(root, "etc/base") == WITH_RIGHTS


@pytest.mark.parametrize("mode", ["read-only", "ephemeral", "persistent"])
def test_in_a_kept_etc_neither(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    _programs(root / "etc/base")
    root.settings(etc=mode)
    root.merge()
    assert _rights(root, "etc/base") == WITHOUT
    if mode != "read-only":
        _programs(root / "etc/written")
        assert _rights(root, "etc/written") == WITHOUT


@pytest.mark.parametrize("raw", [False, True])
def test_what_a_sysext_brings_works_where_it_is_merged_and_nowhere_else(namespace: Path, raw: bool) -> None:
    root = Root(namespace / "r")
    image = root.tree("app")
    _programs(image / "usr/app")
    if raw:
        packed = image.with_suffix(".raw")
        subprocess.run(["mksquashfs", image, packed, "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL)
        root.install(packed, suffix=".raw")
    else:
        root.install(image)
    root.manifest("app")
    root.merge()
    assert _rights(root, "usr/app") == WITH_RIGHTS
    assert _rights(root, "run/extension/app/usr/app") == ("", "cannot be run")
    for layer in (root / "run/extensionctl/layers").glob("*/*"):
        assert _rights(root, f"{layer.relative_to(root.path)}/usr/app") == ("", "cannot be run")
    # What a higher layer has taken the place of cannot be run either.
    higher = root.tree("higher", files={"usr/app/suid": "gone", "usr/app/capable": "gone"})
    root.install(higher)
    root.manifest("higher", more="Above=app.extension\n")
    root.refresh()
    assert _rights(root, "usr/app") == ("", "cannot be run")
    assert _rights(root, "run/extension/app/usr/app") == ("", "cannot be run")


@pytest.mark.parametrize("class_", ["sysext", "sysext confext"])
@pytest.mark.parametrize("place", ["usr", "opt"])
def test_no_suid_in_usr_and_opt_is_kept_by_refusing(namespace: Path, class_: str, place: str) -> None:
    root = Root(namespace / "r")
    files = {"etc/x": "", f"{RELEASE['confext']}app": "ID=_any\n"} if "confext" in class_ else {}
    root.install(root.tree("app", "1", files=files))
    root.manifest("app", class_, "NoSuid=yes\n")
    assert root.merge().exit_code == 0
    with_programs = root.tree("app", "2", files=files)
    _programs(with_programs / place / "app")
    root.install(with_programs)
    assert root.refresh().exit_code == 3
    # The last good version kept the promise.
    assert (root.read("usr/share/app"), root.entry("app")["state"]) == ("1", "merged")
    assert f"/{place}/app/capable: is a file with capabilities, and NoSuid=yes" in root.entry("app")["reason"]
    # Without the promise it is merged, and gone as soon as it is promised again.
    root.manifest("app", class_)
    assert root.refresh().exit_code == 0
    assert _rights(root, f"{place}/app") == WITH_RIGHTS
    root.manifest("app", class_, "NoSuid=yes\n")
    assert root.refresh().exit_code == 3
    assert _standing(root) == ("failed", False)


@pytest.mark.parametrize(("class_", "place"), [("sysext", "usr"), ("sysext", "opt"), ("confext", "etc")])
def test_no_exec_is_kept_by_refusing(namespace: Path, class_: str, place: str) -> None:
    root = Root(namespace / "r")
    image = root.tree("app", class_=class_)
    (image / place).mkdir(exist_ok=True)
    shutil.copy("/usr/bin/true", image / place / "program")
    root.install(image, class_)
    root.manifest("app", class_)
    assert root.merge().exit_code == 0
    assert subprocess.run([root / place / "program"], check=False).returncode == 0
    root.manifest("app", class_, "NoExec=yes\n")
    assert root.refresh().exit_code == 3
    assert root.entry("app")["state"] == "failed"
    assert root.entry("app")["reason"] == (
        f"/{IMAGES[class_]}/app: /{place}/program: is an executable file, and NoExec=yes takes no image with one"
    )
    assert not root.has(f"{place}/program")


def test_programs_and_libraries_of_a_sysext_run(namespace: Path) -> None:
    """The mount that they come from is noexec and nosuid; an overlay goes by its own flags."""
    root = Root(namespace / "r")
    image = root.tree("app")
    (image / "usr/lib").mkdir(exist_ok=True)
    shutil.copy("/usr/bin/true", image / "usr/lib/program")
    ran = subprocess.run(["ldd", "/usr/bin/true"], capture_output=True, text=True, check=True).stdout
    libc = next(word for word in ran.split() if word.startswith("/") and "libc.so" in word)
    shutil.copy(libc, image / "usr/lib/libc.so.6")
    (image / "usr/lib/script").write_text("#!/bin/sh\nexit 7\n")
    (image / "usr/lib/script").chmod(0o755)
    root.install(image)
    root.manifest("app")
    root.merge()
    loaded = {"LD_LIBRARY_PATH": str(root / "usr/lib"), "LD_TRACE_LOADED_OBJECTS": "1"}
    traced = subprocess.run([root / "usr/lib/program"], env=loaded, capture_output=True, text=True, check=True).stdout
    assert str(root / "usr/lib/libc.so.6") in traced
    del loaded["LD_TRACE_LOADED_OBJECTS"]
    subprocess.run([root / "usr/lib/program"], env=loaded, check=True)
    assert subprocess.run([root / "usr/lib/script"], check=False).returncode == 7


# Who else may change it


def test_who_else_may_change_it_is_told_once(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.extension("other")
    (root / "var/lib/extensions/app").chmod(0o777)
    os.chown(root / "run/extensions.d/app.extension", 1000, 1000)
    assert root.merge().exit_code == 0
    told: list[Any] = list(root.log)
    assert told == [
        "/run/extensions.d/app.extension: belongs to user 1000, who can change what is merged; make it root's",
        "/var/lib/extensions/app: can be written by everybody, who can so change what is merged; chmod o-w",
    ]
    root.refresh()
    assert root.log == told
