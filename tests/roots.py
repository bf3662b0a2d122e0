"""A small system below a directory, on which merges are tried for real; for tests in a mount namespace of their own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.kernel.mountinfo import Mount
from extension_runtime.merge import transaction
from extension_runtime.merge.result import Result
from extension_runtime.merge.state import State
from extension_runtime.overlay.top import generation_of
from extension_runtime.steps import Step

RELEASE = {
    "sysext": "usr/lib/extension-release.d/extension-release.",
    "confext": "etc/extension-release.d/extension-release.",
}
IMAGES = {"sysext": "var/lib/extensions", "confext": "var/lib/confexts"}
LOOP_GET_STATUS64 = 0x4C05
Snapshot = dict[str, Any]


class Interruption(ExtensionError):
    """The fault that tests inject at a step."""


class Root:
    """A root on a tmpfs of its own, whose mounts are shared as they are on a machine run by systemd."""

    def __init__(self, path: Path, size: str = "64m") -> None:
        self.path = path
        self.log: list[str] = []
        path.mkdir(exist_ok=True)
        syscalls.mount("tmpfs", str(path), "tmpfs", 0, f"mode=0755,size={size}")
        syscalls.mount("", str(path), None, syscalls.MS_SHARED, None)
        self.put("usr/lib/os-release", "ID=debian\nVERSION_ID=12\n")
        self.put("usr/bin/base", "base")
        self.put("etc/base.conf", "base")
        for name in ("opt", "run", "var/lib/extensions", "var/lib/confexts"):
            (path / name).mkdir(parents=True)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def put(self, name: str, text: str = "") -> Path:
        """Write a file, with its folders."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, newline="")
        return file

    def read(self, name: str) -> str:
        with open(self.path / name, newline="") as file:
            return file.read()

    def has(self, name: str) -> bool:
        return os.path.lexists(self.path / name)

    # Extensions

    def manifest(self, name: str, class_: str = "sysext", more: str = "") -> None:
        """Write the manifest of an extension; `more` are further lines of [Extension]."""
        self.put(f"run/extensions.d/{name}.extension", f"[Extension]\nClass={class_}\n{more}")

    def settings(self, **modes: str) -> None:
        """Write extensions.conf: `etc="persistent"`, further lines of the section after a newline."""
        text = "".join(f"[{name.capitalize()}]\nMode={mode}\n" for name, mode in modes.items())
        self.put("run/extensions.d/extensions.conf", text)

    def tree(self, name: str, version: str = "1", class_: str = "sysext", files: dict[str, str] | None = None) -> Path:
        """Make a directory image of `version` beside its place and return it; `install` puts it there."""
        self._serial = getattr(self, "_serial", 0) + 1
        image = self.path / f"var/lib/made/{self._serial}/{name}"
        first = "etc" if class_ == "confext" else "usr"
        for path, text in {f"{first}/share/{name}": version, **(files or {})}.items():
            (image / path).parent.mkdir(parents=True, exist_ok=True)
            (image / path).write_text(text)
        release = image / (RELEASE[class_] + name)
        release.parent.mkdir(parents=True, exist_ok=True)
        release.write_text("ID=_any\n")
        return image

    def install(self, image: Path, class_: str = "sysext", suffix: str = "") -> Path:
        """Put an image into the image directory, by rename, as an update does."""
        place = self.path / IMAGES[class_] / (image.name.removesuffix(suffix) + suffix)
        if place.is_dir():
            os.rename(place, self.path / f"var/lib/made/{os.urandom(4).hex()}")
        os.rename(image, place)
        return place

    def extension(
        self, name: str, version: str = "1", class_: str = "sysext", files: dict[str, str] | None = None
    ) -> None:
        """Install a directory image of `version` and its manifest."""
        self.install(self.tree(name, version, class_, files), class_)
        self.manifest(name, class_)

    def raw(self, name: str, version: str = "1") -> Path:
        """Install a squashfs image and its manifest."""
        tree = self.tree(name, version)
        image = tree.with_suffix(".raw")
        subprocess.run(
            ["mksquashfs", tree, image, "-quiet", "-no-progress", "-noappend", "-comp", "gzip"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.manifest(name)
        return self.install(image, suffix=".raw")

    # Verbs

    def run(self, verb: str, *, always: bool = False, before: Callable[[Step], None] | None = None) -> Result:
        """Do a verb in this process."""
        return transaction.run(
            verb, str(self.path), always=always, log=self.log.append, before=before or (lambda _step: None)
        )

    def merge(self) -> Result:
        return self.run("merge")

    def refresh(self, always: bool = False) -> Result:
        return self.run("refresh", always=always)

    # What is there

    @property
    def state(self) -> dict[str, Any]:
        with open(self.path / "run/extensionctl/state.json", encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        return found

    def entry(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.state["extensions"][name]
        return found

    def mounts(self) -> list[Mount]:
        """Every mount below the root, in path order."""
        table = mountinfo.read()
        return sorted(table.below(str(self.path)), key=lambda mount: (mount.path, mount.id))

    def top(self, hierarchy: str) -> Mount:
        """The visible mount of a hierarchy."""
        return mountinfo.read().mounts[mountinfo.visible(str(self.path / hierarchy))]

    def loops(self) -> list[int]:
        """The inodes of the files of this root that loop devices are made of."""
        device = os.lstat(self.path).st_dev
        found = []
        for entry in Path("/sys/block").glob("loop*/loop"):
            information = bytearray(232)  # struct loop_info64: device and inode of the file come first (linux/loop.h)
            try:
                with open(f"/dev/{entry.parent.name}", "rb") as loop:
                    fcntl.ioctl(loop, LOOP_GET_STATUS64, information)
            except OSError:
                continue
            if int.from_bytes(information[:8], sys.byteorder) == device:
                found.append(int.from_bytes(information[8:16], sys.byteorder))
        return sorted(found)

    def snapshot(self) -> Snapshot:
        """All that a verb which failed must leave as it was."""
        return {
            "mounts": self._mount_table(),
            "listing": self._listing(),
            "records": {p.name: p.read_text() for p in sorted((self / "run/extensionctl/attached").glob("*.json"))},
            "state": self._lasting_state(),
            "loops": self.loops(),
            "content": self.content(),
        }

    def _mount_table(self) -> list[tuple[str, ...]]:
        found = []
        groups: dict[str, list[str]] = {}
        for mount in self.mounts():
            for field in mount.propagation:
                groups.setdefault(field, []).append(mount.path)
        for mount in self.mounts():
            peers = sorted(str(groups[field]) for field in mount.propagation)
            found.append(
                (mount.path, mount.fstype, mount.source, mount.dev, mount.root, ",".join(mount.options), *peers)
            )
        return sorted(found)

    def _listing(self) -> list[str]:
        """Every path in what verbs make, without what is mounted there and without what tells of each verb."""
        found: list[str] = []
        todo = [str(self.path / place) for place in ("run", "var/lib/extensions.mutable", "var/lib/upper")]
        while todo:
            folder = todo.pop()
            ours = folder.startswith(str(self.path / "run/extensionctl")) and folder.count("/layers/") == 0
            inside = mountinfo.is_mount_point(folder) and not (ours and "/base/" not in folder)
            if inside or not os.path.isdir(folder) or os.path.islink(folder):
                continue
            todo += (paths := [f"{folder}/{name}" for name in os.listdir(folder)])
            found += [path for path in paths if os.path.basename(path) not in ("state.json", "lock")]
        return sorted(found)

    def _lasting_state(self) -> dict[str, Any]:
        try:
            known = self.state
        except FileNotFoundError:
            return State().data()
        return {**known, "last": None, "history": []}

    def content(self) -> dict[str, str]:
        """Every file of the hierarchies with its text, links and devices by their kind."""
        found = {}
        for hierarchy in ("usr", "opt", "etc"):
            for folder, _names, files in os.walk(self.path / hierarchy):
                for name in files:
                    path = Path(folder, name)
                    found[str(path.relative_to(self.path))] = path.read_text() if path.is_file() else "?"
        return found

    def check(self, tidy: bool = True) -> None:
        """Hold what must be true between any two verbs: state and mounts agree and nothing is left over.

        Not `tidy`: where tidying up failed, which the next verb makes up for, unused layers may be left.
        """
        known = self.state
        table = mountinfo.read()
        for name, item in known["hierarchies"].items():
            here = [m for m in table.mounts.values() if m.path == str(self.path / name)]
            generations = [g for m in here if (g := generation_of(m)) is not None]
            assert generations == ([item["generation"]] if item["generation"] else []), (name, here)
            assert len(here) in (0, 2), (name, [m.source for m in here])
        run = self.path / "run/extensionctl"
        used = {e["layer"] for e in known["extensions"].values()}
        used |= {e["layer"] for e in (known["previous"] or {"extensions": {}})["extensions"].values()}
        layers = {str(path) for path in run.glob("layers/*/*")}
        assert layers == used - {""} or (not tidy and layers > used - {""})
        assert not tidy or all(os.listdir(folder) for folder in run.glob("layers/*"))
        pinned = {m.path for m in table.below(str(run / "layers"))} - {str(run / "layers")}
        assert pinned == layers or (not tidy and used - {""} <= pinned <= layers)
        uppers = {f"{n}.upper.{item['generation']}" for n, item in known["hierarchies"].items() if item["writable"]}
        present = {path.name for path in run.glob("base/*.upper.*")}
        assert present == uppers or (not tidy and present > uppers)
        assert not tidy or os.listdir(run / "staging") == []
        assert not [m for m in table.mounts.values() if m.path.startswith(f"{run}/staging/")]
        marked = {n for n, e in known["extensions"].items() if e["layer"]}
        assert set(os.listdir(run / "merged")) == marked
        assert not [n for n in os.listdir(run) if n.endswith(".new")]

    def works(self) -> list[Path]:
        """The work folders of uppers, wherever they are."""
        places = ("run/extensionctl/upper/*", "var/lib/extensions.mutable", "var/lib/upper")
        return sorted(found for place in places for found in self.path.glob(f"{place}/.*-work-*"))


@contextmanager
def failing_call(number: int, error: int, names: list[tuple[Any, str]]) -> Iterator[list[str]]:
    """Have the `number`-th call (from 0) of any of the functions `names` (module, name) raise OSError `error`, once.

    Yields the list of calls made, which is filled in as they are.
    """
    calls: list[str] = []
    originals = [(module, name, getattr(module, name)) for module, name in names]

    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            calls.append(f"{name}{arguments}")
            if len(calls) == number + 1:
                raise OSError(error, f"{name}: injected: {os.strerror(error)}")
            return original(*arguments, **keywords)

        return call

    for module, name, original in originals:
        setattr(module, name, wrapped(name, original))
    try:
        yield calls
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


def remove(path: Path) -> None:
    """Remove a file or folder of a test, which has no mounts in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
