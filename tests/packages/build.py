"""Makes images of Debian packages as people do: unpack, split, done.  Needs root, the network and Debian's tools.

Packages are resolved against the very base that the images are for; a plan that changes the base is refused.  They are
unpacked (`dpkg-deb -x`: no maintainer script runs), what is in /bin, /sbin and /lib* goes to /usr, and the tree is
split into a sysext `NAME` (/usr, /opt) and, where it has any file in /etc, a confext `NAME-etc`.  The rest is dropped;
empty folders of /var become lines of a tmpfiles.d file.

Everything is kept in the cache: `debs/`, the packages; `packages/SUITE/plan.json`, what was resolved, until the base or
the list of images changes; `packages/SUITE/NAME/`, the images, until one of their packages has another version.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from packages.wanted import Wanted

MERGED = ("bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin")  # links into /usr on every Debian since 12
# Bulk that no machine needs; the cached roots do without, too.
BULK = tuple(f"usr/share/{name}" for name in ("bug", "doc", "doc-base", "info", "lintian", "locale", "man"))
_INSTALL = re.compile(r"Inst (\S+) (\[\S+\] )?\((\S+) .*\[(\S+)\]\)")
_THIS = Path(__file__)


class PackagesError(Exception):
    """Images of packages cannot be made; the text is one line that says what to do."""


class Deb(NamedTuple):
    """One binary package."""

    name: str
    version: str
    architecture: str

    @property
    def file(self) -> str:
        """What apt calls the file of it."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"

    @property
    def upstream(self) -> str:
        """The version as a program tells it: no epoch, no revision, no +dfsg."""
        return re.sub(r"[+~].*", "", self.version.partition(":")[2] or self.version).partition("-")[0]


class Image(NamedTuple):
    """What was made: folders of directory images, and of which packages; the first is the one that was asked for."""

    wanted: Wanted
    folder: Path
    debs: tuple[Deb, ...]

    @property
    def says(self) -> str:
        """What programs of the image must print."""
        if self.wanted.says:
            return self.wanted.says
        return next(deb.upstream for deb in self.debs if deb.name == self.wanted.packages[0])

    @property
    def trees(self) -> dict[str, Path]:
        """The directory images by class."""
        found = {"sysext": self.folder / self.wanted.name, "confext": self.folder / f"{self.wanted.name}-etc"}
        return {class_: tree for class_, tree in found.items() if tree.is_dir()}


def images(cache: Path, suite: str, wanted: Sequence[Wanted], jobs: int = 2) -> list[Image]:
    """All images for the cached root of `suite`, made where they are missing.  Raises PackagesError."""
    place = cache / "packages" / suite
    place.mkdir(parents=True, exist_ok=True)
    base = cache / "roots" / suite
    with _alone(place / "lock"):
        plan = _plan(cache, suite, base, wanted)
        made = [Image(one, place / one.name, plan[one.name]) for one in wanted]
        stamps = {image.wanted.name: _stamp(base, image) for image in made}
        missing = [image for image in made if _read(image.folder / ".stamp") != stamps[image.wanted.name]]
        if missing:
            _download(cache, suite, base, {deb for image in missing for deb in image.debs})
        with ThreadPoolExecutor(jobs) as pool:
            for _done in pool.map(lambda image: _build(cache, base, image, stamps[image.wanted.name]), missing):
                pass
    return made


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """A second run waits for what the first one makes."""
    with open(lock, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _say(text: str) -> None:
    print(f"packages: {text}", file=sys.stderr, flush=True)


# Which packages


class _Apt:
    """apt for another root than that of this machine; it reads that root's package status and writes to the cache."""

    def __init__(self, cache: Path, suite: str, base: Path) -> None:
        self._state = cache / "apt" / suite
        for name in ("lists/partial", "cache", "none"):
            (self._state / name).mkdir(parents=True, exist_ok=True)
        none = self._state / "none"
        settings = {
            "Dir::State": self._state,
            "Dir::State::lists": self._state / "lists",
            "Dir::State::status": base / "var/lib/dpkg/status",
            "Dir::Cache": self._state / "cache",
            "Dir::Cache::pkgcache": "pkgcache.bin",  # containers switch it off, a second for each call
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Dir::Etc::sourcelist": base / "etc/apt/sources.list",
            "Dir::Etc::sourceparts": base / "etc/apt/sources.list.d",
            "Dir::Etc::trusted": base / "etc/apt/trusted.gpg",
            "Dir::Etc::trustedparts": base / "etc/apt/trusted.gpg.d",
            "Dir::Etc::preferences": none / "preferences",
            "Dir::Etc::preferencesparts": none,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        self._options = [f"-o{key}={value}" for key, value in settings.items()]

    def run(self, *argv: str, folder: Path | None = None) -> str:
        """The output of apt-get.  Raises PackagesError with what it said last."""
        ran = subprocess.run(
            ["apt-get", "-q", *self._options, *argv], cwd=folder, capture_output=True, text=True, check=False
        )
        if ran.returncode != 0:
            last = (ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1:] or [f"status {ran.returncode}"]
            raise PackagesError(f"apt-get {' '.join(argv[:6])}: {last[0]}")
        return ran.stdout


def _plan(cache: Path, suite: str, base: Path, wanted: Sequence[Wanted]) -> dict[str, tuple[Deb, ...]]:
    """The packages of each image, by its name."""
    status = (base / "var/lib/dpkg/status").read_bytes()
    key = hashlib.sha256(status + repr([(one.name, one.packages, one.only) for one in wanted]).encode()).hexdigest()
    file = cache / "packages" / suite / "plan.json"
    known = json.loads(_read(file) or "{}")
    if known.get("key") != key:
        _say(f"resolving {len(wanted)} images against {base}")
        apt = _Apt(cache, suite, base)
        apt.run("update")
        resolved = {one.name: resolve(apt.run("-s", "install", *one.packages), base, one) for one in wanted}
        known = {"key": key, "images": resolved}
        new = file.with_suffix(".new")
        new.write_text(json.dumps(known, indent=1))
        new.rename(file)
    return {name: tuple(Deb(*deb) for deb in debs) for name, debs in known["images"].items()}


def resolve(simulation: str, base: Path, wanted: Wanted) -> list[Deb]:
    """The packages that `apt-get -s install` would add.  Raises PackagesError where it would change the base."""
    found = []
    for line in simulation.splitlines():
        match = _INSTALL.match(line)
        if line.startswith("Remv ") or (match and match[2]):
            raise PackagesError(
                f"{wanted.name}: {line} would change the base, which is older than the archive; "
                f"remove {base} and have tests/prepare make it again"
            )
        if match and match[1].startswith(wanted.only):
            found.append(Deb(match[1].partition(":")[0], match[3], match[4]))
    if not found:
        raise PackagesError(f"{wanted.name}: the base {base} has {' '.join(wanted.packages)}; choose another package")
    return found


def _download(cache: Path, suite: str, base: Path, debs: Iterable[Deb]) -> None:
    """Have the files of all `debs` in the cache; apt verifies what it downloads and finishes files by rename."""
    place = cache / "debs"
    place.mkdir(exist_ok=True)
    missing = sorted(deb for deb in debs if not (place / deb.file).exists())
    if not missing:
        return
    _say(f"downloading {len(missing)} packages")
    with tempfile.TemporaryDirectory(dir=place, prefix=".") as name:
        folder = Path(name)
        names = [f"{deb.name}:{deb.architecture}={deb.version}" for deb in missing if deb.architecture != "all"]
        names += [f"{deb.name}={deb.version}" for deb in missing if deb.architecture == "all"]
        _Apt(cache, suite, base).run("download", *names, folder=folder)
        for deb in missing:
            (folder / deb.file).rename(place / deb.file)


# Building


def _stamp(base: Path, image: Image) -> str:
    """All that decides what the image is."""
    release = (base / "usr/lib/os-release").read_text()
    how = hashlib.sha256(_THIS.read_bytes() + release.encode()).hexdigest()
    one = image.wanted
    added = repr((one.unit, one.users, one.folders))
    return "\n".join([how, added, *sorted("_".join(deb) for deb in image.debs), ""])


def _build(cache: Path, base: Path, image: Image, stamp: str) -> None:
    _say(f"making {image.wanted.name} of {len(image.debs)} packages")
    with tempfile.TemporaryDirectory(dir=image.folder.parent, prefix=f".{image.wanted.name}.") as name:
        new, raw = Path(name, "new"), Path(name, "raw")
        new.mkdir()
        for deb in image.debs:
            subprocess.run(["dpkg-deb", "-x", cache / "debs" / deb.file, raw], check=True)
        tidy(raw)
        add(raw, base, image.wanted)
        split(raw, base, new, image.wanted.name)
        (new / ".stamp").write_text(stamp)
        if image.folder.exists():
            image.folder.rename(Path(name, "old"))
        new.rename(image.folder)


def tidy(raw: Path) -> None:
    """Move what is in the folders that are links on the base to where these lead, and drop the bulk."""
    for top in MERGED:
        if (raw / top).is_dir() and not (raw / top).is_symlink():
            _move_into(raw / top, raw / "usr" / top)
    for bulk in BULK:
        shutil.rmtree(raw / bulk, ignore_errors=True)


def add(raw: Path, base: Path, wanted: Wanted) -> None:
    """What no package has as a file: folders of /var, users, links that enable a unit."""
    for place, lines in (
        ("tmpfiles.d", [*_tmpfiles(raw, base, wanted), *wanted.folders]),
        ("sysusers.d", list(wanted.users)),
    ):
        file = raw / f"usr/lib/{place}/image-{wanted.name}.conf"
        if lines:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{line}\n" for line in lines))
    if wanted.unit:
        link = raw / "usr/lib/systemd/system/multi-user.target.wants" / wanted.unit
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(f"../{wanted.unit}")


def split(raw: Path, base: Path, place: Path, name: str) -> None:
    """Make the images `name` and `name-etc` below `place` of an unpacked tree, which is used up."""
    told = (base / "usr/lib/os-release").read_text().splitlines(keepends=True)
    release = "".join(line for line in told if line.startswith(("ID=", "VERSION_ID=")))
    for tops, image, where in ((("usr", "opt"), name, "usr/lib"), (("etc",), f"{name}-etc", "etc")):
        tree = place / image
        for top in tops:
            if _has_files(raw / top):
                tree.mkdir(exist_ok=True)
                (raw / top).rename(tree / top)
        if tree.exists():
            file = tree / where / f"extension-release.d/extension-release.{image}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(release)


def _move_into(source: Path, target: Path) -> None:
    """Merge the folder `source` into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and not entry.is_symlink() and place.is_dir():
            _move_into(entry, place)
        else:
            entry.rename(place)
    source.rmdir()


def _has_files(folder: Path) -> bool:
    return any(files or any(os.path.islink(f"{top}/{name}") for name in names) for top, names, files in os.walk(folder))


def _tmpfiles(raw: Path, base: Path, wanted: Wanted) -> list[str]:
    """tmpfiles.d lines that make the folders of /var that neither the base has nor another line makes."""
    texts = [file.read_text() for file in (raw / "usr/lib/tmpfiles.d").glob("*.conf")]
    known = {word for text in [*texts, *wanted.folders] for word in text.split()}
    lines = []
    for top, names, _files in os.walk(raw / "var"):
        for path in (Path(top, name).relative_to(raw) for name in names):
            found = os.lstat(raw / path)
            if stat.S_ISDIR(found.st_mode) and not os.path.lexists(base / path) and f"/{path}" not in known:
                lines.append(f"d /{path} {stat.S_IMODE(found.st_mode):04o} {found.st_uid} {found.st_gid} -")
    return sorted(lines)
