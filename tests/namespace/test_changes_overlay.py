#  SPDX-License-Identifier: MIT
"""The difference of two stacks against what two real overlays show: whiteouts, opaque folders, precedence."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

from extension_runtime.kernel import syscalls
from extension_runtime.layers.compare import compare
from extension_runtime.layers.listing import sources
from extension_runtime.layers.lookup import Layer
from extension_runtime.layers.tree import View

NAMES = ("a", "b", "c")


def fill(path: Path, dice: random.Random, depth: int, whiteouts: bool) -> None:
    """Make a random tree of files, folders, links and, in layers, whiteouts of both kinds and opaque folders."""
    path.mkdir()
    files = whiteouts and dice.random() < 0.3
    if files:
        os.setxattr(path, "trusted.overlay.opaque", b"x")
    elif whiteouts and dice.random() < 0.3:
        os.setxattr(path, "trusted.overlay.opaque", b"y")
    for name in NAMES:
        kind = dice.choice(["none", "file", "link", "folder", "folder", "whiteout"])
        if kind == "file":
            (path / name).write_text(dice.choice(["1", "2", "long"]))
        elif kind == "link":
            (path / name).symlink_to(dice.choice(["x", "y"]))
        elif kind == "folder" and depth:
            fill(path / name, dice, depth - 1, whiteouts)
        elif kind == "whiteout" and whiteouts:
            if files:
                (path / name).write_text("")
                os.setxattr(path / name, "trusted.overlay.whiteout", b"y")
            else:
                os.mknod(path / name, stat.S_IFCHR, 0)


def seen(path: Path) -> dict[str, str]:
    """What a walk of the mounted tree shows."""
    found = {}
    for folder, folders, files in os.walk(path):
        for name in [*folders, *files]:
            full = Path(folder) / name
            if not os.path.lexists(full):
                continue  # the kernel lists whiteouts in folders that only one layer has, and finds nothing there
            text = f"->{full.readlink()}" if full.is_symlink() else "/" if full.is_dir() else full.read_text()
            found[f"/usr/{full.relative_to(path)}"] = text
    return found


def mounted(stack: list[Layer], base: Path, target: Path) -> dict[str, str]:
    lower = ":".join([*(layer.path for layer in reversed(stack)), str(base), str(target.parent / "empty")])
    syscalls.mount("test", str(target), "overlay", syscalls.MS_RDONLY, f"lowerdir={lower}")
    try:
        return seen(target)
    finally:
        syscalls.umount(str(target))


def test_equals_what_the_kernel_shows(namespace: Path) -> None:
    dice = random.Random(20)
    (namespace / "empty").mkdir()
    (namespace / "target").mkdir()
    differences = 0
    for number in range(60):
        lab = namespace / str(number)
        lab.mkdir()
        fill(lab / "base", dice, 2, whiteouts=False)
        pool = []
        for name in ("e1", "e2", "e3"):
            fill(lab / name, dice, 2, whiteouts=True)
            pool.append(Layer(name, str(lab / name)))
        old = dice.sample(pool, dice.randint(0, 3))
        new = dice.sample(pool, dice.randint(0, 3))
        before = mounted(old, lab / "base", namespace / "target")
        after = mounted(new, lab / "base", namespace / "target")
        expected = {path: "added" for path in after if path not in before}
        expected |= {path: "removed" for path in before if path not in after}
        expected |= {path: "modified" for path in after if path in before and before[path] != after[path]}
        found = compare(*sources(old, new, str(lab / "base")), "usr")
        assert {item.path: item.kind for item in found} == expected, (old, new)
        differences += len(expected)
        view = View({"usr": sources([], new, str(lab / "base"))[1]})
        for path, text in after.items():
            kind, target = view.kind(path)
            shown = f"->{target}" if kind == "link" else "/" if kind == "folder" else view.text(path)
            assert shown == text
    assert differences > 100
