#  SPDX-License-Identifier: MIT
"""Images of every kind, attached for real; and what must be left when one is bad: nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import attach, record, records
from extension_runtime.kernel import syscalls
from extension_runtime.kernel.mountinfo import FLAGS, Mount
from extension_runtime.paths import Paths
from requirements import require_filesystem, require_tool

TOP = Path(__file__).resolve().parents[2]
HELPER = TOP / "helpers/mount.extension"
SYSEXT_RELEASE = "usr/lib/extension-release.d/extension-release."
CONFEXT_RELEASE = "etc/extension-release.d/extension-release."
RAW = ("squashfs", "erofs", "ext4", "btrfs")


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def host(root: Path) -> None:
    """Make `root` a host that images can be made for."""
    put(root / "etc/os-release", "ID=debian\nVERSION_ID=12\n")


def tree(path: Path, name: str, release: str = "ID=_any\n") -> Path:
    """A directory that is an image, as sysext and confext."""
    put(path / (SYSEXT_RELEASE + name), release)
    put(path / (CONFEXT_RELEASE + name), release)
    put(path / "usr/share/hello", "hello\n")
    put(path / "etc/hello.conf", "hello\n")
    return path


def pack(kind: str, source: Path, image: Path) -> Path:
    """Make the raw image `image` with file system `kind` out of the directory `source`."""
    image.parent.mkdir(parents=True, exist_ok=True)
    if kind == "squashfs":
        require_tool("mksquashfs")
        run("mksquashfs", source, image, "-quiet", "-no-progress", "-noappend")
    elif kind == "erofs":
        require_tool("mkfs.erofs")
        subprocess.run(["mkfs.erofs", image, source], check=True, capture_output=True)
    elif kind == "ext4":
        require_tool("mkfs.ext4")
        with open(image, "wb") as file:
            file.truncate(4 << 20)
        run("mkfs.ext4", "-q", "-d", source, image)
    else:
        require_tool("mkfs.btrfs")
        with open(image, "wb") as file:
            file.truncate(128 << 20)
        run("mkfs.btrfs", "-q", "--rootdir", source, image)
    require_filesystem(kind)
    return image


def mounts(root: Path) -> list[Mount]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [mount for mount in map(Mount, file) if mount.path.startswith(f"{root}/run/extension/")]


def loops(root: Path) -> list[str]:
    """The loop devices over files below `root`."""
    found = []
    for name in os.listdir("/sys/block"):
        try:
            backing = Path("/sys/block", name, "loop/backing_file").read_text()
        except OSError:
            continue
        if backing.startswith(str(root)):
            found.append(name)
    return found


def left(root: Path) -> tuple[list[str], list[str]]:
    """What is still mounted, and which loop devices are, once the kernel had the time to clear them."""
    end = time.monotonic() + 5
    while loops(root) and time.monotonic() < end:
        time.sleep(0.02)
    return [mount.path for mount in mounts(root)], loops(root)


def request(
    root: Path, image: str = "foo", classes: tuple[str, ...] = ("sysext",), mismatch: str = "skip"
) -> attach.Request:
    return attach.Request(str(root), "foo", image, classes, mismatch)


def flags(mount: Mount) -> tuple[str, ...]:
    return tuple(flag for flag in FLAGS if flag in mount.options)


@pytest.fixture(params=RAW)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def counted(call: Callable[[], record.Record]) -> record.Record:
    """Call it, and see that it leaves no descriptor open."""
    before = os.listdir("/proc/self/fd")
    became = call()
    assert os.listdir("/proc/self/fd") == before
    return became


@pytest.mark.parametrize(
    ("classes", "expected", "hierarchies"),
    [
        (("sysext",), ("ro", "nodev"), ["usr"]),
        (("confext",), ("ro", "nosuid", "nodev", "noexec"), ["etc"]),
        (("sysext", "confext"), ("ro", "nodev"), ["usr", "etc"]),
    ],
)
def test_directory(
    namespace: Path, classes: tuple[str, ...], expected: tuple[str, ...], hierarchies: list[str]
) -> None:
    host(namespace)
    place = "var/lib/extensions" if "sysext" in classes else "var/lib/confexts"
    source = tree(namespace / place / "foo", "foo", "ID=debian\nVERSION_ID=12\nIMAGE_VERSION=7\n")
    became = counted(lambda: attach.attach(request(namespace, classes=classes)))
    assert (became.state, became.reason, became.format) == ("attached", "", "directory")
    assert (became.image, became.version, became.hierarchies) == (f"/{place}/foo", "7", hierarchies)
    (mount,) = mounts(namespace)
    assert flags(mount) == expected
    target = namespace / "run/extension/foo"
    assert (target / "usr/share/hello").read_text() == "hello\n"
    with pytest.raises(OSError, match="Read-only"):
        (target / "usr/new").write_text("")
    (source / "usr/new").write_text("")  # the place it came from is as it was
    assert records.attached(Paths(str(namespace)))["foo"].identity == became.identity
    assert (namespace / "run/extensionctl/attached").stat().st_mode & 0o777 == 0o700
    attach.detach(Paths(str(namespace)), "foo")
    assert left(namespace) == ([], [])
    assert records.attached(Paths(str(namespace))) == {}
    assert not target.exists()


def test_raw(namespace: Path, kind: str) -> None:
    host(namespace)
    source = tree(namespace / "source", "foo")
    (source / "opt").mkdir()
    (source / "opt/file").touch()
    pack(kind, source, namespace / "var/lib/extensions/foo.raw")
    became = counted(lambda: attach.attach(request(namespace)))
    assert (became.state, became.reason, became.format) == ("attached", "", kind)
    assert (became.image, became.hierarchies) == ("/var/lib/extensions/foo.raw", ["usr", "opt"])
    (mount,) = mounts(namespace)
    assert (mount.fstype, flags(mount)) == (kind, ("ro", "nodev"))
    assert len(loops(namespace)) == 1
    assert (namespace / "run/extension/foo/usr/share/hello").read_text() == "hello\n"
    attach.detach(Paths(str(namespace)), "foo")
    assert left(namespace) == ([], [])


def test_an_ext4_image_cannot_ask_for_a_panic(namespace: Path) -> None:
    require_tool("tune2fs")
    host(namespace)
    image = pack("ext4", tree(namespace / "source", "foo"), namespace / "var/lib/extensions/foo.raw")
    run("tune2fs", "-e", "panic", image)
    assert attach.attach(request(namespace)).state == "attached"
    (mount,) = mounts(namespace)
    assert "panic" not in mount.super_options and "remount-ro" in mount.super_options, mount.super_options


def test_btrfs_subvolume(namespace: Path) -> None:
    require_tool("mkfs.btrfs", "btrfs")
    require_filesystem("btrfs")
    host(namespace)
    with open(namespace / "disk", "wb") as file:
        file.truncate(128 << 20)
    run("mkfs.btrfs", "-q", namespace / "disk")
    (namespace / "var/lib/extensions").mkdir(parents=True)
    run("mount", "-o", "loop", namespace / "disk", namespace / "var/lib/extensions")
    run("btrfs", "subvolume", "create", namespace / "var/lib/extensions/foo")
    tree(namespace / "var/lib/extensions/foo", "foo")
    became = attach.attach(request(namespace))
    assert (became.state, became.reason, became.format) == ("attached", "", "directory")
    assert (namespace / "run/extension/foo/usr/share/hello").exists()
    attach.detach(Paths(str(namespace)), "foo")
    run("umount", namespace / "var/lib/extensions")
    assert left(namespace) == ([], [])


def test_newest_version(namespace: Path) -> None:
    host(namespace)
    place = namespace / "var/lib/extensions/foo.raw.v"
    for version in ("1.9", "1.10", "1.10~rc1"):
        pack("squashfs", tree(namespace / version, "foo"), place / f"foo_{version}.raw")
    put(place / "foo_2+0-3.raw", "")
    became = attach.attach(request(namespace))
    assert (became.state, became.reason, became.version) == ("attached", "", "1.10")
    assert became.image == "/var/lib/extensions/foo.raw.v/foo_1.10.raw"


def test_a_link_to_an_image_inside_the_root(namespace: Path) -> None:
    host(namespace)
    tree(namespace / "srv/image", "foo")
    (namespace / "etc/extensions").mkdir(parents=True)
    (namespace / "etc/extensions/foo").symlink_to("/srv/image")
    assert attach.attach(request(namespace)).state == "attached"


def test_release_file_of_another_name(namespace: Path) -> None:
    host(namespace)
    tree(namespace / "srv/foo_1.2", "foo")
    assert attach.attach(request(namespace, "/srv/foo_1.2")).state == "attached"
    other = tree(namespace / "srv/other", "foo")
    assert "extension-release.other: missing" in attach.attach(request(namespace, "/srv/other")).reason
    os.setxattr(other / (SYSEXT_RELEASE + "foo"), "user.extension-release.strict", b"0")
    assert attach.attach(request(namespace, "/srv/other")).state == "attached"
    put(other / (SYSEXT_RELEASE + "more"), "ID=_any\n")
    os.setxattr(other / (SYSEXT_RELEASE + "more"), "user.extension-release.strict", b"false")
    assert "more than one" in attach.attach(request(namespace, "/srv/other")).reason


def test_mismatch_skips(namespace: Path) -> None:
    host(namespace)
    tree(namespace / "srv/foo", "foo", "ID=fedora\n")
    became = counted(lambda: attach.attach(request(namespace, "/srv/foo")))
    assert (became.state, became.image) == ("skipped", "/srv/foo")
    assert became.reason == "/srv/foo: made for ID=fedora, this host is ID=debian (sysext)"
    # PID 1 takes a mount unit without a mount for failed.
    (mount,) = mounts(namespace)
    assert (mount.fstype, flags(mount)) == ("tmpfs", ("ro", "nosuid", "nodev", "noexec"))
    assert os.listdir(namespace / "run/extension/foo") == []
    with pytest.raises(OSError, match="Read-only"):
        (namespace / "run/extension/foo/x").write_text("")
    assert records.attached(Paths(str(namespace)))["foo"].state == "skipped"


def test_mismatch_fails(namespace: Path) -> None:
    host(namespace)
    pack("squashfs", tree(namespace / "t", "foo", "ID=fedora\n"), namespace / "srv/foo.raw")
    became = attach.attach(request(namespace, "/srv/foo.raw", mismatch="fail"))
    assert (became.state, became.format) == ("failed", "squashfs")
    assert "made for ID=fedora" in became.reason
    assert left(namespace) == ([], [])


def test_each_class_must_match(namespace: Path) -> None:
    host(namespace)
    source = tree(namespace / "srv/foo", "foo")
    (source / (CONFEXT_RELEASE + "foo")).write_text("ID=fedora\n")
    assert attach.attach(request(namespace, "/srv/foo")).state == "attached"
    became = attach.attach(request(namespace, "/srv/foo", ("sysext", "confext")))
    assert (became.state, became.reason.endswith("(confext)")) == ("skipped", True)


def test_a_masked_image_is_skipped(namespace: Path) -> None:
    host(namespace)
    tree(namespace / "var/lib/extensions/foo", "foo")
    (namespace / "etc/extensions/foo").mkdir(parents=True)
    became = attach.attach(request(namespace, mismatch="fail"))
    assert became.state == "skipped"
    assert "/etc/extensions/foo: is an empty directory" in became.reason


Make = Callable[[Path, Path], None]


def raw(make: Make) -> Make:
    """A squashfs of the directory that `make` spoils."""

    def packed(image: Path, root: Path) -> None:
        source = tree(root / "source", "foo")
        make(source, root)
        pack("squashfs", source, image)

    return packed


def spoiled(make: Make) -> Make:
    """The directory that `make` spoils."""

    def directory(image: Path, root: Path) -> None:
        make(tree(image, "foo"), root)

    return directory


def _usr_link(source: Path, root: Path) -> None:
    shutil.rmtree(source / "usr")
    (source / "usr").symlink_to("/")


def _usr_file(source: Path, root: Path) -> None:
    shutil.rmtree(source / "usr")
    put(source / "usr", "x")


def _opt_link(source: Path, root: Path) -> None:
    (source / "opt").symlink_to("usr")


def _release(make: Callable[[Path], None]) -> Make:
    def spoil(source: Path, root: Path) -> None:
        (source / (SYSEXT_RELEASE + "foo")).unlink()
        make(source / (SYSEXT_RELEASE + "foo"))

    return spoil


def _huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(100 << 20)


def _file(path: str) -> Make:
    return lambda source, root: put(source / path, "x")


def _manifest_link(source: Path, root: Path) -> None:
    (source / "usr/lib/extensions.d").symlink_to("/srv/outside")


def _empty(image: Path, root: Path) -> None:
    put(image, "")


def _truncated(image: Path, root: Path) -> None:
    raw(lambda source, root: None)(image, root)
    os.truncate(image, 200)


def _corrupt_squashfs(image: Path, root: Path) -> None:
    raw(lambda source, root: None)(image, root)
    with open(image, "r+b") as file:
        file.seek(96)
        file.write(b"\xaa" * (image.stat().st_size // 2))


def _corrupt_ext4(image: Path, root: Path) -> None:
    pack("ext4", tree(root / "source", "foo"), image)
    with open(image, "r+b") as file:
        file.seek(2048)
        file.write(b"\xaa" * (1 << 20))


def _corrupt_directory_ext4(image: Path, root: Path) -> None:
    """The root directory is sound, /usr is not: found only when it is looked at."""
    pack("ext4", tree(root / "source", "foo"), image)
    subprocess.run(
        ["debugfs", "-w", "-R", "set_inode_field /usr block[0] 99999999", image], check=True, capture_output=True
    )


def _bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _gpt(image: Path, root: Path) -> None:
    with open(image, "wb") as file:
        file.truncate(1 << 20)
        file.seek(510)
        file.write(b"\x55\xaaEFI PART")


def _link(target: str) -> Make:
    return lambda image, root: image.symlink_to(target)


BAD: dict[str, tuple[Make, str]] = {
    "missing": (lambda image, root: None, "/srv/foo.raw: no such image"),
    "empty": (_empty, "/srv/foo.raw: is empty"),
    "truncated": (_truncated, "/srv/foo.raw: is truncated"),
    "text": (lambda image, root: put(image, "hello world\n"), "/srv/foo.raw: is no known file system"),
    "disk": (_gpt, "/srv/foo.raw: is a disk image (DDI) with a GPT; disk images are not yet supported"),
    "corrupt squashfs": (_corrupt_squashfs, "/srv/foo.raw: "),
    "corrupt ext4": (_corrupt_ext4, "/srv/foo.raw: no sound ext4 file system"),
    "corrupt ext4 directory": (_corrupt_directory_ext4, "/srv/foo.raw: /usr: Structure needs cleaning"),
    "fifo": (lambda image, root: os.mkfifo(image), "/srv/foo.raw: is a FIFO"),
    "device": (lambda image, root: os.mknod(image, 0o020666, os.makedev(1, 5)), "is a character device"),
    "dangling": (_link("nothing"), "/srv/foo.raw: is a link to a place that does not exist inside the root"),
    "outside": (_link("../../../../../../../../usr"), "is a link to a place that does not exist inside the root"),
    "outside, absolute": (_link(str(TOP)), "is a link to a place that does not exist inside the root"),
    "loop": (_link("foo.raw"), "/srv/foo.raw: Too many levels of symbolic links"),
    "empty directory": (lambda image, root: image.mkdir(), "extension-release.foo.raw: missing"),
    "usr is a link": (raw(_usr_link), "/srv/foo.raw: usr in it is a link"),
    "usr is a link, directory": (spoiled(_usr_link), "/srv/foo.raw: usr in it is a link"),
    "usr is a file": (raw(_usr_file), "/srv/foo.raw: usr in it is a regular file"),
    "opt is a link": (raw(_opt_link), "/srv/foo.raw: opt in it is a link"),
    "no release": (raw(_release(lambda path: None)), "/extension-release.foo: missing"),
    "release is a fifo": (raw(_release(os.mkfifo)), "/extension-release.foo: is a FIFO"),
    "release is a directory": (raw(_release(os.mkdir)), "/extension-release.foo: is a directory"),
    "release is a device": (
        raw(_release(lambda path: os.mknod(path, 0o020666, os.makedev(1, 5)))),
        "/extension-release.foo: is a character device",
    ),
    "release dangles": (raw(_release(lambda path: path.symlink_to("/x"))), "/extension-release.foo: No such file"),
    "release is the host's": (
        raw(_release(lambda path: path.symlink_to("/proc/self/environ"))),
        "/extension-release.foo: No such file",
    ),
    "release is huge": (raw(_release(_huge)), "/extension-release.foo: has 104857600 bytes"),
    "release is binary": (
        raw(_release(lambda path: _bytes(path, b"ID=a\n\0\xff"))),
        "/extension-release.foo:2: holds a NUL byte",
    ),
    "release is not UTF-8": (
        raw(_release(lambda path: _bytes(path, b"ID=a\xff\n"))),
        "/extension-release.foo:1: is not UTF-8",
    ),
    "release is empty": (raw(_release(lambda path: path.touch())), "/extension-release.foo: holds no data"),
    "release has an open quote": (
        raw(_release(lambda path: put(path, 'ID="a\n'))),
        "/extension-release.foo:1: the quote in ID= never ends",
    ),
    "manifest in usr": (raw(_file("usr/lib/extensions.d/x.extension")), "carries /usr/lib/extensions.d"),
    "manifest in local": (raw(_file("usr/local/lib/extensions.d/x")), "carries /usr/local/lib/extensions.d"),
    "manifest in etc": (raw(_file("etc/extensions.d/x.extension")), "carries /etc/extensions.d"),
    "manifests are a link": (raw(_manifest_link), "carries /usr/lib/extensions.d"),
    "os-release": (raw(_file("usr/lib/os-release")), "carries /usr/lib/os-release"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_images(namespace: Path, case: str) -> None:
    make, text = BAD[case]
    host(namespace)
    (namespace / "srv").mkdir()
    if "ext4" in case:
        require_tool("debugfs")
    make(namespace / "srv" / "foo.raw", namespace)
    began = time.monotonic()
    became = counted(lambda: attach.attach(request(namespace, "/srv/foo.raw")))
    assert time.monotonic() - began < 5
    assert (became.state, text in became.reason) == ("failed", True), became
    assert became.reason.startswith("/srv/foo.raw: ")
    assert became.reason.isprintable()
    assert records.attached(Paths(str(namespace)))["foo"].reason == became.reason
    assert left(namespace) == ([], [])


def test_a_confext_may_bring_an_os_release_in_usr(namespace: Path) -> None:
    host(namespace)
    put(tree(namespace / "srv/foo", "foo") / "usr/lib/os-release", "ID=a\n")
    assert attach.attach(request(namespace, "/srv/foo", ("confext",))).state == "attached"


def test_an_empty_directory_of_manifests_is_harmless(namespace: Path) -> None:
    host(namespace)
    (tree(namespace / "srv/foo", "foo") / "usr/lib/extensions.d").mkdir()
    assert attach.attach(request(namespace, "/srv/foo")).state == "attached"


def test_attaching_again_replaces(namespace: Path) -> None:
    host(namespace)
    pack("squashfs", tree(namespace / "t", "foo"), namespace / "var/lib/extensions/foo.raw")
    tree(namespace / "srv/foo", "foo")
    for image, amount in (("foo", 1), ("foo", 1), ("/srv/foo", 0), ("foo", 1)):
        assert attach.attach(request(namespace, image)).state == "attached"
        assert len(mounts(namespace)) == 1
        end = time.monotonic() + 5
        while len(loops(namespace)) != amount and time.monotonic() < end:
            time.sleep(0.02)
        assert len(loops(namespace)) == amount
    assert attach.attach(request(namespace, "/srv/none")).state == "failed"
    assert left(namespace) == ([], [])


def test_what_is_unmounted_is_not_attached(namespace: Path) -> None:
    host(namespace)
    tree(namespace / "srv/foo", "foo")
    attach.attach(request(namespace, "/srv/foo"))
    syscalls.umount(str(namespace / "run/extension/foo"))
    assert records.attached(Paths(str(namespace))) == {}


def test_what_is_mounted_in_the_source_later_stays_out(namespace: Path) -> None:
    host(namespace)
    source = tree(namespace / "srv/foo", "foo")
    syscalls.mount("none", str(namespace), None, syscalls.MS_SHARED, None)
    attach.attach(request(namespace, "/srv/foo"))
    syscalls.mount("tmpfs", str(source / "usr"), "tmpfs", 0, None)
    assert (namespace / "run/extension/foo/usr/share/hello").exists()


def test_no_record_no_mount(namespace: Path) -> None:
    """A mount unit whose helper mounted and then failed is active: so nothing may stay mounted."""
    host(namespace)
    tree(namespace / "srv/foo", "foo")
    put(namespace / "run/extensionctl", "in the way")
    with pytest.raises(ImageError, match=r"run/extensionctl/attached/foo.json: cannot be written"):
        attach.attach(request(namespace, "/srv/foo"))
    assert left(namespace) == ([], [])


@pytest.mark.parametrize("name", ["", "..", "a/b", ".a", "a b", "a:b", "a,b", "a\\b", "a\nb", "a" * 300])
def test_bad_names(namespace: Path, name: str) -> None:
    with pytest.raises(ImageError) as raised:
        attach.attach(attach.Request(str(namespace), name, "foo"))
    assert str(raised.value).isprintable()
    assert not (namespace / "run/extension").exists()


def test_a_run_that_is_a_link_stays_in_the_root(namespace: Path, tmp_path: Path) -> None:
    host(namespace)
    tree(namespace / "srv/foo", "foo")
    (namespace / "real").mkdir()
    (namespace / "run").symlink_to("/real")
    assert attach.attach(request(namespace, "/srv/foo")).state == "attached"
    assert (namespace / "real/extension/foo/usr/share/hello").exists()


# mount.extension itself


def helper(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HELPER, *argv], capture_output=True, text=True, check=False)


def test_helper(namespace: Path) -> None:
    host(namespace)
    pack("squashfs", tree(namespace / "t", "foo"), namespace / "var/lib/extensions/foo.raw")
    target = namespace / "run/extension/foo"
    ran = helper("foo", target, "-sv", "-o", "rw,ext.class=sysext:confext,ext.mismatch=skip,ext.noexec=0,ext.nosuid=1")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    (mount,) = mounts(namespace)
    assert flags(mount) == ("ro", "nosuid", "nodev")
    assert helper("foo", target, "-o", "remount,rw").returncode == 0
    assert helper("none", target, "-f", "-n").returncode == 0
    assert len(mounts(namespace)) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("", "/var/lib/extensions/foo: made for ID=fedora"),
        ("ext.class=other", "ext.class=other: write sysext"),
        ("ext.mismatch=x", "ext.mismatch=x: write skip or fail"),
        ("ext.noexec=yes", "ext.noexec=yes: write 0 or 1"),
        ("ext.new=1", "unknown option ext.new"),
        ("ext.roothash=12", "RootHash= is not yet supported"),
        ("ext.policy=verity", "ImagePolicy= is not yet supported"),
        ("ext.error=\\zz", "begins no \\xNN"),
        (
            "ext.error=/etc/extensions.d/foo.extension:3:\\x20wrong\\x2c\\x20so",
            "/etc/extensions.d/foo.extension:3: wrong, so",
        ),
    ],
)
def test_helper_fails(namespace: Path, options: str, text: str) -> None:
    host(namespace)
    tree(namespace / "var/lib/extensions/foo", "foo", "ID=fedora\n")
    attach.attach(request(namespace))
    ran = helper("foo", namespace / "run/extension/foo", "-o", f"rw,ext.mismatch=fail,{options}")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (32, "", 1)
    assert text in ran.stderr
    assert mounts(namespace) == []
    assert records.attached(Paths(str(namespace)))["foo"].reason == ran.stderr.strip()


@pytest.mark.parametrize(
    "argv", [(), ("a",), ("a", "b", "c"), ("a", "/srv/foo"), ("a", "run/extension/a"), ("a", "-z", "b")]
)
def test_helper_refuses(namespace: Path, argv: tuple[str, ...]) -> None:
    ran = helper(*argv)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (32, "", 1)


def test_helper_skips(namespace: Path) -> None:
    host(namespace)
    tree(namespace / "var/lib/extensions/foo", "foo", "ID=fedora\n")
    ran = helper("foo", namespace / "run/extension/foo", "-o", "rw,ext.mismatch=skip")
    assert (ran.returncode, ran.stderr[:9]) == (0, "skipped: ")
    assert len(mounts(namespace)) == 1


def test_many_at_once(namespace: Path) -> None:
    """Processes that ask for a free loop device at the same time are given the same one."""
    host(namespace)
    names = [f"foo{number}" for number in range(8)]
    source = tree(namespace / "t", "foo0")
    for name in names[1:]:
        put(source / (SYSEXT_RELEASE + name), "ID=_any\n")
    for name in names:
        pack("squashfs", source, namespace / f"var/lib/extensions/{name}.raw")
    for _ in range(3):
        running = [
            subprocess.Popen([HELPER, name, namespace / f"run/extension/{name}"], stderr=subprocess.PIPE, text=True)
            for name in names
        ]
        said = [process.communicate()[1] for process in running]
        assert ([process.returncode for process in running], said) == ([0] * 8, [""] * 8)
        assert len(mounts(namespace)) == 8
        assert {found.state for found in records.attached(Paths(str(namespace))).values()} == {"attached"}
        for name in names:
            attach.detach(Paths(str(namespace)), name)
        assert left(namespace) == ([], [])


def test_mount_8(namespace: Path) -> None:
    """mount(8) makes a path of a name that its working directory holds: ext.image= tells the name that was meant."""
    host(namespace)
    tree(namespace / "var/lib/extensions/usr", "usr")
    shadow = namespace / "sbin"
    shadow.mkdir()
    (shadow / "mount.extension").symlink_to(HELPER)
    syscalls.mount("overlay", "/usr/sbin", "overlay", 0, f"lowerdir={shadow}:/usr/sbin")
    target = namespace / "run/extension/usr"
    target.mkdir(parents=True)
    argv = ["mount", "-t", "extension", "usr", str(target), "-o"]
    ran = subprocess.run([*argv, "ext.class=sysext"], cwd="/", capture_output=True, text=True, check=False)
    assert (ran.returncode, "/usr: no such image" in ran.stderr) == (32, True)
    subprocess.run([*argv, "ext.class=sysext,ext.image=usr"], cwd="/", check=True)
    assert records.attached(Paths(str(namespace)))["usr"].image == "/var/lib/extensions/usr"
    run("mount", "-o", "remount", target)
    run("umount", target)
    assert left(namespace) == ([], [])


def test_diet() -> None:
    """This is a process for each image at boot; what it imports is most of its time."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import extension_runtime.image.main, extension_runtime.image.attach;"
        "print(*sorted(m for m in sys.modules))"
    )
    paths = [str(TOP / "helpers"), str(TOP / "generators")]
    ran = subprocess.run([sys.executable, "-ISB", "-c", code, *paths], capture_output=True, text=True, check=True)
    heavy = {"re", "json", "typing", "dataclasses", "argparse", "logging", "pathlib", "subprocess", "enum", "functools"}
    assert heavy & set(ran.stdout.split()) == set()
