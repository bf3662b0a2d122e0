"""Many extensions on one hierarchy, and what is more than an overlay takes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import crowd
import pytest
from extension_runtime.overlay import build as overlays
from requirements import require_tool
from roots import Root


def timed(what: str, root: Root, verb: str) -> int:
    begin = time.perf_counter()
    code = root.run(verb).exit_code
    print(f"{what}: {time.perf_counter() - begin:.3f} s")
    return code


def test_450_directories(namespace: Path) -> None:
    root = Root(namespace / "r")
    names = [f"app{number:03}" for number in range(450)]
    for name in names:
        root.extension(name)
    assert timed("merge of 450 directories", root, "merge") == 0
    assert all(root.has(f"usr/share/{name}") for name in names)
    root.check()
    root.install(root.tree("app200", "2"))
    assert timed("refresh of 450 directories, one changed", root, "refresh") == 0
    assert root.read("usr/share/app200") == "2"
    root.check()
    assert timed("refresh of 450 directories, none changed", root, "refresh") == 0
    for name in names:
        root.install(root.tree(name, "3"))
    assert timed("refresh of 450 directories, all changed", root, "refresh") == 0
    root.check()
    assert timed("unmerge of 450 directories", root, "unmerge") == 0
    assert len(root.mounts()) == 1


def test_more_than_an_overlay_takes(namespace: Path) -> None:
    root = Root(namespace / "r")
    for number in range(overlays.MAX_LOWERS + 3):
        root.extension(f"app{number:03}")
    assert root.merge().exit_code == 3
    left_out = [e for e in root.state["extensions"].values() if e["state"] == "failed"]
    assert [e["name"] for e in left_out] == ["app497", "app498", "app499"]
    assert all("already 497 layers" in e["reason"] for e in left_out)
    assert root.has("usr/share/app496")
    root.check()


def test_100_raw_images(namespace: Path) -> None:
    require_tool("mksquashfs")
    root = Root(namespace / "r")
    for number in range(100):
        root.raw(f"app{number:02}")
    assert timed("merge of 100 raw images", root, "merge") == 0
    assert len(root.loops()) == 100
    loops = root.loops()
    root.raw("app50", "2")
    assert timed("refresh of 100 raw images, one changed", root, "refresh") == 0
    assert root.read("usr/share/app50") == "2"
    assert len(set(root.loops()) - set(loops)) == 1
    root.check()
    root.run("unmerge")
    end = time.monotonic() + 10
    while root.loops() and time.monotonic() < end:
        time.sleep(0.05)
    assert root.loops() == []


def test_two_manifests_with_one_image(namespace: Path) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.manifest("twin", more="Image=app\n")
    root.extension("other")
    assert root.merge().exit_code == 3
    states = {name: item["state"] for name, item in root.state["extensions"].items()}
    assert states == {"app": "merged", "other": "merged", "twin": "failed"}
    assert root.entry("twin")["reason"] == "its image is that of app, too; an image can be stacked once"
    root.check()


def test_one_image_inside_another(namespace: Path) -> None:
    root = Root(namespace / "r")
    for name in ("app", "other", "tool"):
        root.extension(name)
    inner = root.tree("inner")
    os.rename(inner, root / "var/lib/extensions/app/usr/inner")
    root.manifest("inner", more="Image=/var/lib/extensions/app/usr/inner\n")
    assert root.merge().exit_code == 3
    states = {name: item["state"] for name, item in root.state["extensions"].items()}
    assert states == {"app": "merged", "other": "merged", "inner": "failed", "tool": "merged"}
    assert "a folder is there twice, or lies inside another one" in root.entry("inner")["reason"]
    root.check()


def test_a_comparison_of_50_layers_of_200_files(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = crowd.made(namespace)
    found, _ms = crowd.compared(namespace, names, names)
    best = min(crowd.compared(namespace, names, names)[1] for _ in range(3))
    print(f"comparison of 50 layers of 200 files: {best:.1f} ms")
    assert best < 1000  # bench/run wants 100, on a quiet machine
    assert sorted(found[names[0]].overrides[""]) == [f"/usr/bin/base-000{number}" for number in range(3)]
    assert [impact.harms + impact.stops for impact in found.values()] == [[]] * 50
    # A folder is read once; of those compared before only where a new one has folders; with none of them, nothing.
    scanned: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scanned.append(str(path)) or scandir(path))  # type: ignore[func-returns-value]
    crowd.compared(namespace, names, names)
    assert len(set(scanned)) == len(scanned)
    everything = len(scanned)
    scanned.clear()
    crowd.compared(namespace, names, names[:1])
    new = {
        os.path.relpath(path, namespace / names[0]) for path in scanned if path.startswith(f"{namespace}/{names[0]}")
    }
    assert {os.path.relpath(path, namespace).partition("/")[2] or "." for path in scanned} == new
    assert 0 < len(scanned) <= everything
    scanned.clear()
    crowd.compared(namespace, names, ())
    assert scanned == []
