#  SPDX-License-Identifier: MIT
"""The merged tree is read without being mounted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from extension_runtime.layers import tree
from extension_runtime.layers.listing import sources
from extension_runtime.layers.lookup import Layer
from extension_runtime.layers.tree import View
from extension_runtime.react.unitfiles import UnitFiles
from fake_systemd import layer


@pytest.fixture
def view(tmp_path: Path) -> View:
    """A /usr of two layers."""
    layers: list[Layer] = [
        layer(tmp_path / "base", "", {"lib/a": "low", "lib/b": "base", "lib/abs": "->/usr/lib/b", "share/x": "x"}),
        layer(tmp_path / "top", "e", {"lib/a": "high", "lib/rel": "->../share/x", "lib/out": f"->{tmp_path}/outside"}),
    ]
    (tmp_path / "outside").write_text("outside")
    _none, stack = sources([], layers, None)
    return View({"usr": stack})


def test_the_highest_layer_counts(view: View) -> None:
    assert view.text("/usr/lib/a") == "high"
    assert view.text("/usr/lib/b") == "base"
    assert view.names("/usr/lib") == ["a", "abs", "b", "out", "rel"]
    assert view.names("/usr") == ["lib", "share"]


def test_links_are_followed_within_and_without(view: View, tmp_path: Path) -> None:
    assert view.resolve("/usr/lib/rel") == "/usr/share/x"
    assert view.resolve("/usr/lib/abs") == "/usr/lib/b"
    assert view.resolve("/usr/lib/out") == f"{tmp_path}/outside"
    assert view.text("/usr/lib/rel") == "x"
    assert view.text("/usr/lib/out") == "outside"
    (tmp_path / "in").symlink_to("/usr/share")
    assert view.text(f"{tmp_path}/in/x") == "x"
    assert view.names(f"{tmp_path}/in") == ["x"]


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/", "/"),
        ("", "/"),
        ("/usr/", "/usr"),
        ("//usr/./lib/../share", "/usr/share"),
        ("/../usr", "/usr"),
        ("/dev/null", "/dev/null"),
        ("/usr/missing", None),
        ("/usr/missing/x", None),
    ],
)
def test_resolved(path: str, real: str | None, view: View) -> None:
    assert view.resolve(path) == real


def test_kinds(view: View, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    assert view.kind("/usr") == ("folder", "")
    assert view.kind("/usr/lib") == ("folder", "")
    assert view.kind("/usr/lib/a") == ("file", "")
    assert view.kind("/usr/lib/rel") == ("link", "../share/x")
    assert view.kind("/usr/lib/missing") == ("", "")
    assert view.kind(str(tmp_path)) == ("folder", "")
    assert view.kind(f"{tmp_path}/outside") == ("file", "")
    assert view.kind(f"{tmp_path}/fifo") == ("other", "")
    assert view.kind(f"{tmp_path}/link") == ("link", "fifo")
    assert view.kind(f"{tmp_path}/missing") == ("", "")


def test_what_lies_outside_of_the_stacks_has_no_node(view: View, tmp_path: Path) -> None:
    assert view.node(str(tmp_path)) is None
    assert view.node("/usr/lib/a") is view.node("/usr/lib/a")


def test_what_holds_no_text_and_no_names_is_empty(view: View, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in ("/usr/lib", "/usr/missing", f"{tmp_path}/fifo", f"{tmp_path}/missing", str(tmp_path)):
        assert view.text(path) == ""
    for path in ("/usr/lib/a", "/usr/missing", f"{tmp_path}/fifo", f"{tmp_path}/missing"):
        assert view.names(path) == []


@pytest.mark.parametrize(("links", "fine"), [(tree.LINKS_MAX, True), (tree.LINKS_MAX + 1, False)])
def test_a_chain_of_links_ends(links: int, fine: bool, tmp_path: Path) -> None:
    chain: dict[str, str | None] = {f"l{number}": f"->l{number + 1}" for number in range(links)}
    _none, stack = sources([], [layer(tmp_path / "layer", "e", {**chain, f"l{links}": "end"})], None)
    view = View({"opt": stack})
    assert view.resolve("/opt/l0") == (f"/opt/l{links}" if fine else None)
    assert view.text("/opt/l0") == ("end" if fine else "")


def test_text_is_cut_and_undecodable_bytes_are_replaced(tmp_path: Path) -> None:
    made = layer(tmp_path / "layer", "e", {"large": "x" * (tree.TEXT_MAX + 1), "latin": ""})
    (tmp_path / "layer/latin").write_bytes(b"a\xffb")
    _none, stack = sources([], [made], None)
    view = View({"etc": stack})
    assert len(view.text("/etc/large")) == len(view.text(f"{made.path}/large")) == tree.TEXT_MAX
    assert view.text("/etc/latin") == view.text(f"{made.path}/latin") == "a\ufffdb"


def test_a_file_that_goes_meanwhile_is_empty(view: View, tmp_path: Path) -> None:
    assert view.kind("/usr/lib/a") == ("file", "")
    (tmp_path / "top/lib/a").unlink()
    assert view.text("/usr/lib/a") == ""


def test_a_unit_file_without_an_end_is_cut_and_not_read_whole(tmp_path: Path) -> None:
    """3 GiB of nothing are a file of 4 KiB."""
    made = layer(tmp_path / "layer", "e", {"lib/systemd/system/a.service": "[Unit]\nDescription=a\n"})
    for place in ("layer/lib/systemd/system/a.service", "outside.service"):
        with (tmp_path / place).open("a") as file:
            file.truncate(3 << 30)
    _none, stack = sources([], [made], None)
    view = View({"usr": stack})
    begin = time.process_time()
    files = UnitFiles(view)
    assert files.words("a.service", "Description") == ["a"]
    assert len(view.text("/usr/lib/systemd/system/a.service")) == tree.TEXT_MAX
    assert len(view.text(f"{tmp_path}/outside.service")) == tree.TEXT_MAX
    assert time.process_time() - begin < 2


def test_a_path_may_be_as_deep_as_it_likes(view: View) -> None:
    assert view.kind("/usr" + "/d" * 100_000) == ("", "")
    assert view.resolve("/usr" + "/d" * 100_000) is None
