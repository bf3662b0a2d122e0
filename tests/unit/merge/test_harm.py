#  SPDX-License-Identifier: MIT
"""What harms is left out, and what is replaced is noted; layers and bases are folders, and nothing is mounted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from based import Based
from extension_runtime.layers import harm as layers_harm
from extension_runtime.layers import outline
from extension_runtime.merge import harm
from extension_runtime.merge.choose import KEEP, LAST_GOOD, NEW, NONE, Choice
from extension_runtime.merge.state import Standing
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.paths import Paths
from injected import each_error


class Lab:
    """Bases, layers and manifests, and what `leave_out_harmful` makes of choices of them."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.paths = Paths(str(path))
        self.mounts: dict[str, bool] = {}
        self.hides: dict[str, tuple[str, ...]] = {}
        self.hierarchies: dict[str, Hierarchy] = {}
        for name in ("usr", "etc"):
            self.hierarchies[name] = Based(name, f"{path}/{name}", self.paths)
            os.makedirs(self.hierarchies[name].base)
            (path / name).mkdir()
        self.put(f"{self.hierarchies['usr'].base}/d/x")
        self.put(f"{self.hierarchies['usr'].base}/f")
        self.put(f"{self.hierarchies['etc'].base}/c")
        monkeypatch.setattr(harm, "mounted_below", lambda _target: self.mounts)

    def put(self, file: str, text: str = "base") -> None:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        Path(file).write_text(text)

    def choice(self, name: str, *files: str, source: str = NEW, compared: str = "", layer: str = "") -> Choice:
        """One whose layer has `files`."""
        folder = self.path / "layers" / (layer or name)
        for file in files:
            self.put(f"{folder}/{file}", name)
        stands = Standing(name, "merged", "", "/m", hierarchies=["usr", "etc"], layer=str(folder), compared=compared)
        return Choice(name, source, stands)

    def leave_out(self, choices: Sequence[Choice], *good: Standing, forced: Sequence[str] = ()) -> dict[str, str]:
        names = {choice.name for choice in choices}
        manifests = [SimpleNamespace(name=name, hides=self.hides.get(name, ())) for name in sorted(names)]
        outlook: Any = SimpleNamespace(
            hierarchies=self.hierarchies, paths=self.paths, plan=SimpleNamespace(extensions=manifests)
        )
        self.risky = harm.leave_out_harmful(outlook, choices, {item.name: item for item in good}, forced)
        return {choice.name: choice.source for choice in choices}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


def test_what_harms_is_left_out_with_path_and_reason_and_no_other(lab: Lab) -> None:
    bad, good = lab.choice("bad", "usr/d", "usr/a"), lab.choice("good", "usr/d/y", "etc/c")
    assert lab.leave_out([bad, good]) == {"bad": NONE, "good": NEW}
    assert bad.left_out and not good.left_out
    assert (bad.standing.state, bad.standing.layer, bad.standing.compared) == ("failed", "", "")
    assert bad.standing.reason.startswith("/usr/d: a file in the image in place of a folder in the base")
    assert (good.standing.overrides, good.standing.compared, good.standing.state) == ({"": 1}, "Hides=", "merged")


def test_a_reason_names_three(lab: Lab) -> None:
    for number in range(9):
        lab.put(f"{lab.hierarchies['etc'].base}/d{number}/x")
    for count, more in ((3, ""), (4, "; and 1 more"), (9, "; and 6 more")):
        bad = lab.choice(f"bad{count}", *(f"etc/d{number}" for number in range(count)))
        lab.leave_out([bad])
        assert bad.standing.reason.count("in the image in place of") == 3
        assert bad.standing.reason.endswith(more or "Hides=/etc/d2") or more == ""


def test_what_the_manifest_allows_is_merged_and_remembered(lab: Lab) -> None:
    lab.hides["app"] = ("/usr/e", "/usr/d")
    app = lab.choice("app", "usr/d")
    assert lab.leave_out([app]) == {"app": NEW}
    assert (app.standing.compared, app.standing.overrides) == ("Hides= /usr/d /usr/e", {"": 1})
    assert app.standing.remarks == [] and not app.standing.forced


def test_force_merges_in_spite_of_harm_and_says_so_and_not_in_spite_of_a_mount(lab: Lab) -> None:
    app = lab.choice("app", "usr/d")
    assert lab.leave_out([app], forced=["app"]) == {"app": NEW}
    assert app.standing.forced
    assert [line for line in app.standing.remarks if "/usr/d: a file in the image in place of a folder" in line]
    assert app.standing.compared == "Hides= --force"
    # Once more, without it: the same layer is left out.
    again = Choice("app", KEEP, app.standing)
    assert lab.leave_out([again], app.standing.but()) == {"app": NONE}
    assert again.standing.state == "failed"
    lab.mounts = {"d": True}
    app = lab.choice("app", "usr/d")
    assert lab.leave_out([app], forced=["app"]) == {"app": NONE}
    assert "a folder is mounted there" in app.standing.reason


def test_it_falls_back_to_the_version_that_was_merged(lab: Lab) -> None:
    old = lab.choice("app", "usr/a", layer="old", compared="Hides=").standing
    new = lab.choice("app", "usr/d", layer="new")
    assert lab.leave_out([new], old) == {"app": LAST_GOOD}
    assert new.left_out and new.standing.layer == old.layer
    assert new.standing.reason.startswith("kept at its last good version, because of the new one: /usr/d: a file")


@pytest.mark.parametrize("source", [KEEP, NEW])
def test_a_version_that_was_merged_without_being_compared_is_compared_once(lab: Lab, source: str) -> None:
    """As after an upgrade from a format of the state that did not know of it: it ends, and nothing harmful stays."""
    bad = lab.choice("bad", "usr/d", source=source)
    good = lab.choice("good", "usr/f", source=source)
    assert lab.leave_out([bad, good], bad.standing.but(), good.standing.but()) == {"bad": NONE, "good": source}
    old = lab.choice("app", "usr/d", layer="old").standing
    new = lab.choice("app", "usr/d", layer="new")
    assert lab.leave_out([new], old) == {"app": NONE}


def test_what_was_compared_before_is_not_read(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    scandir = os.scandir

    def scan(path: str) -> Any:
        seen.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    kept = [lab.choice(f"e{number}", "usr/d/z", source=KEEP, compared="Hides=") for number in range(3)]
    assert set(lab.leave_out(kept).values()) == {KEEP}
    assert seen == []
    # Of a new one, only the folders that it has.
    new = lab.choice("new", "usr/n/x", "usr/f")
    lab.leave_out([*kept, new])
    assert {os.path.basename(path) for path in seen} == {"usr", "etc"}
    # With another Hides=, once more.
    seen.clear()
    lab.hides["e1"] = ("/usr/q",)
    lab.leave_out(kept)
    assert seen
    seen.clear()
    lab.leave_out(kept)
    assert seen == []


def test_overrides_of_who_goes_are_forgotten(lab: Lab) -> None:
    one, two = lab.choice("one", "usr/a"), lab.choice("two", "usr/a", "usr/f")
    lab.leave_out([one, two])
    assert (one.standing.overrides, two.standing.overrides) == ({}, {"one": 1, "": 1})
    gone, kept = Choice("one", NONE, one.standing), Choice("two", KEEP, two.standing)
    lab.leave_out([gone, kept])
    assert two.standing.overrides == {"": 1}
    # One that comes below is counted in what was there before.
    lab.leave_out([lab.choice("three", "usr/a", "usr/f"), kept])
    assert kept.standing.overrides == {"": 1, "three": 2}


def test_overrides_of_one_that_is_left_out_do_not_count(lab: Lab) -> None:
    bad, good = lab.choice("bad", "usr/d", "usr/a"), lab.choice("good", "usr/a")
    lab.leave_out([bad, good])
    assert good.standing.overrides == {}


def test_remarks_are_said_once(lab: Lab) -> None:
    lab.mounts = {"d": True}
    app = lab.choice("app", "usr/d/y")
    lab.leave_out([app])
    said = ["/usr/d: not seen, because something else is mounted there"]
    assert app.standing.remarks == said
    lab.hides["app"] = ("/usr/q",)
    lab.leave_out([Choice("app", KEEP, app.standing)])
    assert app.standing.remarks == said


def test_folders_that_keep_what_the_base_has(lab: Lab) -> None:
    app = lab.choice("app", "usr/d/y")
    os.chmod(f"{app.standing.layer}/usr/d", 0o700)
    lab.leave_out([app])
    assert app.standing.mends == ["/usr/d"]


def test_whether_programs_may_find_something_else(lab: Lab) -> None:
    lab.put(f"{lab.hierarchies['usr'].base}/lib/x.so")
    found = []
    for choices in ([lab.choice("one", "usr/lib/y.so")], [lab.choice("two", "usr/lib/x.so")], []):
        lab.leave_out(choices)
        found.append(lab.risky)
    assert found == [False, True, False]


def test_a_layer_that_cannot_be_read_is_left_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = lab.choice("bad", "usr/d/y"), lab.choice("good", "usr/d/y")
    scandir = os.scandir

    def scan(path: str) -> Any:
        if str(path) == f"{bad.standing.layer}/usr/d":
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert lab.leave_out([bad, good]) == {"bad": NONE, "good": NEW}
    assert bad.standing.reason == "/usr/d: cannot be read: Input/output error"


@each_error
def test_a_layer_over_which_something_is_raised_is_left_out_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    original = outline.Outline.kinds

    def kinds(self: outline.Outline, folder: str) -> dict[str, str]:
        if "/bad/" in self.path:
            raise error
        return original(self, folder)

    monkeypatch.setattr(outline.Outline, "kinds", kinds)
    bad, good = lab.choice("bad", "usr/bad"), lab.choice("good", "usr/f")
    assert lab.leave_out([bad, good]) == {"bad": NONE, "good": NEW}
    assert bad.standing.reason.startswith("/usr: ")
    assert good.standing.overrides == {"": 1}


def test_names_that_are_no_text_are_told(lab: Lab) -> None:
    os.mkdir(os.fsencode(lab.hierarchies["etc"].base) + b"/\xff")
    os.mkdir(f"{lab.hierarchies['etc'].base}/new\nline")
    for name in ("\udcff", "new\nline"):
        bad = lab.choice(f"bad{len(name)}", f"etc/{name}")
        assert lab.leave_out([bad]) == {bad.name: NONE}
        assert "\n" not in bad.standing.reason
        bad.standing.reason.encode()
    forced = lab.choice("forced", "etc/\udcff")
    lab.leave_out([forced], forced=["forced"])
    "".join(forced.standing.remarks).encode()


def test_globs(lab: Lab) -> None:
    assert not harm.matcher([])("/usr/x")
    found = harm.matcher(["/usr/a", "/usr/b/*", "/usr/c/**", "/usr/d/"])
    for path in ("/usr/a", "/usr/b/x", "/usr/c/x/y", "/usr/d/x/y"):
        assert found(path)
    for path in ("/usr/a/x", "/usr/b/x/y", "/usr/b", "/usr", "/usr/aa"):
        assert not found(path)


def test_links_that_end_at_a_folder(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/file").touch()
    for name, target in (("sbin", "bin"), ("abs", "/usr/bin"), ("chain", "sbin"), ("lost", "gone"), ("f", "file"),
                         ("loop", "loop"), ("out", "../../../../usr/bin")):  # fmt: skip
        (tmp_path / "usr" / name).symlink_to(target)
    leads = harm.folders_of(str(tmp_path))
    assert [name for name in ("sbin", "abs", "chain", "lost", "f", "loop", "out") if leads(f"/usr/{name}")] == [
        "sbin", "abs", "chain", "out",
    ]  # fmt: skip


def test_what_is_not_known_of_one_is_nothing() -> None:
    assert layers_harm.Impact().harms == []
