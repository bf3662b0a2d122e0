"""Mistakes that images really have, as data: what each does to the tree and what must come of it.  Needs root.

    @pytest.mark.parametrize("incident", INCIDENTS, ids=str)
    def test_it(namespace: Path, incident: Incident) -> None:
        root = Root(namespace / "machine")
        furnish(root.path)
        root.install(incident.image(root / "var/lib/made"), incident.class_)
        root.manifest(incident.name, incident.class_)
        ...

`furnish` completes a small root with what the incidents meet: a loader, libc, an interpreter, systemd, accounts, a
link usr/sbin.  It leaves alone what is there, so that a real root can be furnished, too, before it is booted; there it
changes usr/sbin into a link.  `image` makes a directory image, with its release file and one innocent file, `innocent`,
which tells whether the image was merged; `squashfs` makes a raw image of one.  Where `mount` is set, the file of the
base at that path must be a mount point when the merge is made (`mount --bind FILE FILE`).

What must come of it:

- `left-out`: the extension is not merged, others are, exit 3; the reason names `path`.
- `base-wins`: the extension is merged, and `path`, which the base has, keeps the mode, owner and extended attributes
  that it has in the base; so do all folders that both have.  An empty opt leaves /opt alone, writable as it is.
- `told`: the extension is merged, and `check` and `explain` name `path`.

All paths are relative to the root.  `path` may be the beginning of a name where that depends on the base (python3.).
`tests/namespace/test_incidents.py` shows that the overlay does to the base what each of them says.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "ld-linux-x86-64.so.2"
PYTHONS = tuple(f"usr/bin/python3.{minor}" for minor in range(9, 16))
RELEASE = {"sysext": "usr/lib/extension-release.d", "confext": "etc/extension-release.d"}

Change = Callable[[Path], None]


class Incident(NamedTuple):
    """One mistake: `build` makes it in the tree of an image of `class_`; `outcome` and `path` are explained above."""

    name: str
    class_: str
    outcome: str
    path: str
    build: Change
    mount: str = ""
    raw: bool = False  # a mistake of squashfs images; all others are tried as directories and may be packed, too

    def __str__(self) -> str:
        return self.name

    @property
    def innocent(self) -> str:
        """The file of the image that nobody can object to."""
        return f"{'usr/share' if self.class_ == 'sysext' else 'etc'}/incident-{self.name}/innocent"

    def image(self, place: Path) -> Path:
        """Make the image below the folder `place` and return it; a directory `NAME`, or `NAME.raw` where it is raw."""
        tree = place / self.name
        for file, text in {
            f"{RELEASE[self.class_]}/extension-release.{self.name}": "ID=_any\n",
            self.innocent: self.name,
        }.items():
            _file(tree, file, text)
        self.build(tree)
        return squashfs(tree) if self.raw else tree


def squashfs(tree: Path) -> Path:
    """Pack a directory image into `NAME.raw` beside it and remove it; devices and extended attributes are kept."""
    image = tree.with_name(tree.name + ".raw")
    argv = ["mksquashfs", str(tree), str(image), "-noappend", "-quiet", "-no-progress", "-comp", "gzip", "-xattrs"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return image


# The base

_FURNITURE = {
    f"{LIBRARIES}/{LOADER}": "the loader",
    f"{LIBRARIES}/libc.so.6": "the libc",
    "usr/bin/mount": "mount",
    "usr/bin/systemctl": "systemctl",
    "usr/lib/systemd/systemd": "systemd",
    "usr/lib/systemd/systemd-executor": "the executor",
    "usr/lib/systemd/system/multi-user.target": "[Unit]\n",
    "usr/lib/extensions.d/50-vendor.conf": "",
    "usr/share/base/data": "data",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:20000:0:99999:7:::\n",
    "etc/gshadow": "root:*::\n",
    "etc/sudoers": "root ALL=(ALL:ALL) ALL\n",
    "etc/sudoers.d/README": "",
    "etc/hostname": "base\n",
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/host.conf": "multi on\n",
    "etc/systemd/system.conf": "[Manager]\n",
    "etc/ssl/openssl.cnf": "",
    "etc/pam.d/login": "",
}
_MODES = {"etc/shadow": 0o640, "etc/gshadow": 0o640, "etc/sudoers": 0o440, "etc/sudoers.d": 0o750}
_PROGRAMS = ("usr/bin/mount", "usr/bin/systemctl", "usr/lib/systemd/systemd", f"{LIBRARIES}/{LOADER}")


def furnish(root: Path) -> None:
    """Give `root` what the incidents meet and it has not; a real folder usr/sbin becomes a link to usr/bin."""
    for path, text in _FURNITURE.items():
        if not os.path.lexists(root / path):
            _file(root, path, text)
            if path in _PROGRAMS:
                (root / path).chmod(0o755)
            for each in (path, os.path.dirname(path)):
                if each in _MODES:
                    (root / each).chmod(_MODES[each])
    if not os.path.lexists(root / "usr/lib64"):
        _link(root, f"usr/lib64/{LOADER}", f"../lib/x86_64-linux-gnu/{LOADER}")
    if not os.path.lexists(root / "usr/bin/python3"):
        _file(root, "usr/bin/python3.13", "the interpreter").chmod(0o755)
        _link(root, "usr/bin/python3", "python3.13")
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root / "opt").mkdir(exist_ok=True)
    _join_sbin(root)


def _join_sbin(root: Path) -> None:
    sbin = root / "usr/sbin"
    if sbin.is_symlink():
        return
    if sbin.is_dir():
        for entry in sorted(sbin.iterdir()):
            place = root / "usr/bin" / entry.name
            if not os.path.lexists(place):
                entry.rename(place)
        shutil.rmtree(sbin)
    sbin.symlink_to("bin")


# How trees are made

_EXECUTABLE = "#!/bin/sh\nexit 1\n"


def _file(tree: Path, path: str, text: str = "not the base's\n", mode: int = 0o644) -> Path:
    """A file whose missing folders are 0755, whatever the umask."""
    place = tree / path
    _folder(tree, os.path.dirname(path))
    place.write_text(text)
    place.chmod(mode)
    return place


def _folder(tree: Path, path: str) -> Path:
    """A folder that is 0755, and those that it lies in, where they are missing; whatever the umask."""
    tree.mkdir(parents=True, exist_ok=True)
    place = tree
    for part in Path(path).parts:
        place = place / part
        if not place.exists():
            place.mkdir()
            place.chmod(0o755)
    return place


def _link(tree: Path, path: str, target: str) -> Path:
    _folder(tree, os.path.dirname(path))
    (tree / path).symlink_to(target)
    return tree / path


def _node(tree: Path, path: str, kind: int, major: int = 0, minor: int = 0) -> None:
    _folder(tree, os.path.dirname(path))
    os.mknod(tree / path, kind | 0o644, os.makedev(major, minor))


def _opaque(place: Path, value: bytes = b"y") -> None:
    os.setxattr(place, "trusted.overlay.opaque", value)


# Each returns what makes the mistake


def file(path: str, text: str = "not the base's\n", mode: int = 0o644) -> Change:
    return lambda tree: void(_file(tree, path, text, mode))


def program(*paths: str) -> Change:
    def build(tree: Path) -> None:
        for path in paths:
            _file(tree, path, _EXECUTABLE, 0o755)

    return build


def folder(path: str) -> Change:
    """A folder with a file in it."""
    return file(f"{path}/brought")


def link(path: str, target: str) -> Change:
    return lambda tree: void(_link(tree, path, target))


def link_to_moved(path: str, aside: str) -> Change:
    """The folder `path` of the image is called `aside`, in the same folder, and `path` is a link to it."""

    def build(tree: Path) -> None:
        place = _folder(tree, path)
        place.rename(place.with_name(aside))
        place.symlink_to(aside)

    return build


def device(path: str) -> Change:
    """The device that /dev/null is."""
    return lambda tree: _node(tree, path, stat.S_IFCHR, 1, 3)


def node(path: str, kind: int) -> Change:
    return lambda tree: _node(tree, path, kind)


def whiteout(path: str) -> Change:
    """What overlayfs writes where a file or folder was removed."""
    return lambda tree: _node(tree, path, stat.S_IFCHR)


def xattr_whiteout(path: str) -> Change:
    """The same as an empty file, in a folder that says that there are such (Linux 6.7)."""

    def build(tree: Path) -> None:
        place = _file(tree, path, "")
        os.setxattr(place, "trusted.overlay.whiteout", b"")
        _opaque(place.parent, b"x")

    return build


def opaque(path: str) -> Change:
    """What overlayfs writes where a folder was removed and made anew; without effect on a hierarchy itself."""
    return lambda tree: _opaque(_folder(tree, path))


def redirect(path: str, to: str) -> Change:
    """What overlayfs writes where a folder was renamed: `path` continues the base's `to` (absolute in it)."""
    return lambda tree: os.setxattr(_folder(tree, path), "trusted.overlay.redirect", to.encode())


def modes(mode: int, *paths: str) -> Change:
    def build(tree: Path) -> None:
        for path in paths:
            _folder(tree, path)
        for path in reversed(paths):
            (tree / path).chmod(mode)

    return build


def umask_077(tree: Path) -> None:
    """The whole tree as it is made under umask 077, with programs beside the base's."""
    for path in ("usr/bin/incident-tool", "usr/lib/systemd/system/incident.service", "usr/share/base/more"):
        _file(tree, path, _EXECUTABLE, 0o755)
    for top, _folders, files in os.walk(tree):
        for path in (top, *(os.path.join(top, name) for name in files)):
            os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode) & ~0o077)


def owner(uid: int, *paths: str) -> Change:
    def build(tree: Path) -> None:
        for path in paths:
            os.chown(_folder(tree, path), uid, uid)

    return build


def attribute(path: str, name: str, value: bytes) -> Change:
    return lambda tree: os.setxattr(_folder(tree, path), name, value)


def both(*changes: Change) -> Change:
    def build(tree: Path) -> None:
        for change in changes:
            change(tree)

    return build


def void(_made: Path) -> None:
    """Forget what was made."""


def _sysext(name: str, outcome: str, path: str, build: Change, raw: bool = False) -> Incident:
    return Incident(name, "sysext", outcome, path, build, raw=raw)


def _confext(name: str, outcome: str, path: str, build: Change, mount: str = "") -> Incident:
    return Incident(name, "confext", outcome, path, build, mount)


OUT, BASE, TOLD = "left-out", "base-wins", "told"

INCIDENTS: tuple[Incident, ...] = (
    # Modes, owners, labels
    _sysext("umask", BASE, "usr/bin", umask_077),
    _sysext("mode-usr", BASE, "usr", modes(0o700, "usr")),
    _sysext("mode-deep", BASE, "usr/lib/systemd/system", modes(0o777, "usr/lib/systemd", "usr/lib/systemd/system")),
    _sysext("mode-sticky", BASE, "usr/share", modes(0o1777, "usr/share")),
    _sysext("mode-opt", BASE, "opt", modes(0o700, "opt")),
    _sysext("owner", BASE, "usr/bin", owner(1000, "usr", "usr/bin", "usr/lib", "usr/share")),
    _sysext("label", BASE, "usr", attribute("usr", "security.selinux", b"system_u:object_r:tmp_t:s0\0")),
    _confext("mode-etc", BASE, "etc", modes(0o700, "etc")),
    _confext(
        "sudoers-folder", BASE, "etc/sudoers.d", both(modes(0o777, "etc/sudoers.d"), owner(1000, "etc/sudoers.d"))
    ),
    _sysext("empty-opt", BASE, "opt", modes(0o755, "opt")),
    # Another kind of file
    _sysext("folder-over-sbin-link", OUT, "usr/sbin", program("usr/sbin/incident-daemon")),
    _sysext("link-over-lib64", OUT, "usr/lib64", link("usr/lib64", "lib")),
    _sysext("file-over-bin", OUT, "usr/bin", file("usr/bin")),
    _sysext("link-over-lib", OUT, "usr/lib", link_to_moved("usr/lib", "lib-of-incident")),
    _sysext("link-over-local", OUT, "usr/local", link("usr/local", "/tmp/x")),
    _sysext("link-over-share", OUT, "usr/share/base", link("usr/share/base", "../../nowhere")),
    _sysext("file-over-folder", OUT, "usr/lib/systemd/system", file("usr/lib/systemd/system")),
    _sysext("folder-over-file", OUT, "usr/share/base/data", folder("usr/share/base/data")),
    _sysext("device-over-program", OUT, "usr/bin/mount", device("usr/bin/mount")),
    _sysext("pipe-over-file", OUT, "usr/share/base/data", node("usr/share/base/data", stat.S_IFIFO)),
    _sysext("socket-over-file", OUT, "usr/share/base/data", node("usr/share/base/data", stat.S_IFSOCK)),
    _confext("file-over-etc-systemd", OUT, "etc/systemd", file("etc/systemd")),
    _confext("folder-over-hostname", OUT, "etc/hostname", folder("etc/hostname")),
    _confext("link-over-ssl", OUT, "etc/ssl", link("etc/ssl", "/usr/share/ssl")),
    _confext("device-over-hostname", OUT, "etc/hostname", device("etc/hostname")),
    # Taken away
    _sysext("whiteout-bin", OUT, "usr/bin", whiteout("usr/bin")),
    _sysext("whiteout-systemd", OUT, "usr/lib/systemd/systemd", whiteout("usr/lib/systemd/systemd")),
    _sysext("whiteout-link", OUT, "usr/sbin", whiteout("usr/sbin")),
    _sysext("xattr-whiteout", OUT, "usr/bin/mount", xattr_whiteout("usr/bin/mount")),
    _sysext("opaque-bin", OUT, "usr/bin", opaque("usr/bin")),
    _sysext("opaque-systemd", OUT, "usr/lib/systemd", opaque("usr/lib/systemd")),
    _sysext("opaque-manifests", OUT, "usr/lib/extensions.d", opaque("usr/lib/extensions.d")),
    _sysext("redirect-bin", OUT, "usr/bin", redirect("usr/bin", "/share")),
    _confext("whiteout-passwd", OUT, "etc/passwd", whiteout("etc/passwd")),
    _confext("whiteout-ssl", OUT, "etc/ssl", whiteout("etc/ssl")),
    _confext("opaque-pam", OUT, "etc/pam.d", opaque("etc/pam.d")),
    _sysext("squashfs-whiteout", OUT, "usr/bin", whiteout("usr/bin"), raw=True),
    _sysext("squashfs-xattr-whiteout", OUT, "usr/bin/mount", xattr_whiteout("usr/bin/mount"), raw=True),
    _sysext("squashfs-opaque", OUT, "usr/lib/systemd", opaque("usr/lib/systemd"), raw=True),
    # Replaced, though nobody may without Hides=
    _sysext("loader", OUT, f"{LIBRARIES}/{LOADER}", program(f"{LIBRARIES}/{LOADER}")),
    _sysext("loader-link", OUT, f"usr/lib64/{LOADER}", link(f"usr/lib64/{LOADER}", "../lib/other-loader")),
    _sysext("loader-file", OUT, f"usr/lib64/{LOADER}", program(f"usr/lib64/{LOADER}")),
    _sysext("libc", OUT, f"{LIBRARIES}/libc.so.6", program(f"{LIBRARIES}/libc.so.6")),
    _sysext("python3", OUT, "usr/bin/python3", program("usr/bin/python3")),
    _sysext("python3-minor", OUT, "usr/bin/python3.", program(*PYTHONS)),
    _sysext("systemctl", OUT, "usr/bin/systemctl", program("usr/bin/systemctl")),
    _sysext("systemd", OUT, "usr/lib/systemd/systemd", program("usr/lib/systemd/systemd")),
    _sysext("executor", OUT, "usr/lib/systemd/systemd-executor", program("usr/lib/systemd/systemd-executor")),
    _sysext("os-release", OUT, "usr/lib/os-release", file("usr/lib/os-release", "ID=other\n")),
    _confext("passwd", OUT, "etc/passwd", file("etc/passwd", "root::0:0:root:/root:/bin/sh\n")),
    _confext("group", OUT, "etc/group", file("etc/group", "root:x:0:mallory\n")),
    _confext("shadow", OUT, "etc/shadow", file("etc/shadow", "root::20000:0:99999:7:::\n", 0o640)),
    _confext("gshadow", OUT, "etc/gshadow", file("etc/gshadow", "root:::\n", 0o640)),
    _confext("sudoers", OUT, "etc/sudoers", file("etc/sudoers", "ALL ALL=(ALL) NOPASSWD: ALL\n", 0o440)),
    # A mount of the machine's is in the way
    _confext(
        "link-over-mount",
        OUT,
        "etc/resolv.conf",
        link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
        mount="etc/resolv.conf",
    ),
    # Allowed, but told
    _sysext("override", TOLD, "usr/share/base/data", file("usr/share/base/data")),
    _confext("override-etc", TOLD, "etc/host.conf", file("etc/host.conf")),
    _sysext("outside-etc", TOLD, "etc", file("etc/incident/conf")),
    _sysext(
        "outside-lib", TOLD, "lib", file("lib/systemd/system/incident.service", "[Service]\nExecStart=/bin/true\n")
    ),
    _sysext("outside-bin", TOLD, "bin", program("bin/incident")),
    _sysext("outside-var", TOLD, "var", file("var/lib/incident/data")),
    _confext("outside-usr", TOLD, "usr", program("usr/bin/incident")),
)
