#  SPDX-License-Identifier: MIT
"""Upper and work folders: which are refused and why, and that nothing else is removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.overlay import upper
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths

DEFAULT = "/var/lib/extensions.mutable/etc"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path))


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_an_upper_is_a_folder_found_inside_the_root(tmp_path: Path, paths: Paths) -> None:
    made(tmp_path / "srv/real")
    (tmp_path / "up").symlink_to("/srv/real")
    assert upper.resolve(paths, "/srv/real", "etc") == f"{tmp_path}/srv/real"
    assert upper.resolve(paths, "/up", "etc") == f"{tmp_path}/srv/real"


@pytest.mark.parametrize(
    ("configured", "why"),
    [
        ("/missing", "No such file or directory"),
        ("/file", "Not a directory"),
        ("/file/below", "Not a directory"),
        ("/loop", "Too many levels of symbolic links"),
    ],
)
def test_an_upper_that_cannot_be_used_says_why_and_what_to_do(
    tmp_path: Path, paths: Paths, configured: str, why: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OverlayError) as raised:
        upper.resolve(paths, configured, "etc")
    assert str(raised.value) == (
        f"{tmp_path}{configured}: the upper folder of /etc cannot be used: {why}; "
        "make it, or name another with Upper= in extensions.conf"
    )


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [
        ("/a", "/b", False),
        ("/a", "/a", True),
        ("/a", "/a/inside", True),
        ("/a/inside", "/a", True),
        ("/a", "/a-more", False),
        ("/a", "/link-to-a", True),
        ("/missing", "/missing", False),
        ("/missing", "/a", False),
    ],
)
def test_two_hierarchies_do_not_write_to_one_folder(
    tmp_path: Path, paths: Paths, one: str, other: str, refused: bool
) -> None:
    for name in ("a/inside", "b", "a-more"):
        made(tmp_path / name)
    (tmp_path / "link-to-a").symlink_to("a")
    if not refused:
        upper.refuse_shared(paths, {"usr": one, "etc": other})
        return
    with pytest.raises(OverlayError) as raised:
        upper.refuse_shared(paths, {"usr": one, "etc": other})
    assert str(raised.value).endswith(
        ": the uppers of /usr and /etc are one folder, or one lies in the other; "
        "give each a folder of its own with Upper="
    )


def test_a_persistent_upper_must_be_there_and_look_like_the_hierarchy(tmp_path: Path, paths: Paths) -> None:
    base = made(tmp_path / "etc")
    base.chmod(0o755)
    own = made(tmp_path / "own")
    own.chmod(0o700)
    new: list[str] = []
    with pytest.raises(OverlayError, match="cannot be used: No such file or directory"):
        upper.persistent(paths, "etc", "/missing", str(base), new)
    with pytest.raises(OverlayError) as raised:
        upper.persistent(paths, "etc", "/own", str(base), new)
    owner = f"{os.geteuid()}:{own.stat().st_gid}"
    assert str(raised.value) == (
        f"{own}: mode 700 and owner {owner} would become those of /etc; "
        f"give it mode 755 and owner {os.geteuid()}:{base.stat().st_gid}"
    )
    assert new == []


def test_a_base_that_is_gone_is_said_as_all_else_is(tmp_path: Path, paths: Paths) -> None:
    own = made(tmp_path / "own")
    with pytest.raises(OverlayError) as raised:
        upper.persistent(paths, "etc", "/own", f"{tmp_path}/gone", [])
    why = f"cannot be used: {tmp_path}/gone: No such file or directory; mend it, or choose another Mode= or Upper="
    assert str(raised.value) == f"{own}: the upper of /etc {why} in extensions.conf"
    with pytest.raises(OverlayError) as raised:
        upper.ephemeral(paths, "etc", f"{tmp_path}/gone", [])
    assert str(raised.value) == f"{paths.upper}/etc/upper: the upper of /etc {why} in extensions.conf"


@pytest.mark.parametrize("base", ["", "missing"])
def test_what_was_made_for_an_upper_is_told_also_when_it_fails(tmp_path: Path, paths: Paths, base: str) -> None:
    """Whether an overlay takes it depends on the file system of the test; that it is told does not."""
    etc = made(tmp_path / "etc")
    etc.chmod(0o750)
    new: list[str] = []
    try:
        found = upper.persistent(paths, "etc", DEFAULT, str(etc) + base, new)
    except OverlayError:
        found = ""
    parent = tmp_path / "var/lib/extensions.mutable"
    assert new == [str(parent), str(parent / "etc")]
    assert found in ("", str(parent / "etc"))
    assert parent.is_dir()
    assert base or (parent / "etc").stat().st_mode & 0o777 == 0o750


def test_an_ephemeral_upper_is_made_like_the_hierarchy_in_a_folder_of_ours(tmp_path: Path, paths: Paths) -> None:
    etc = made(tmp_path / "etc")
    etc.chmod(0o751)
    new: list[str] = []
    try:
        upper.ephemeral(paths, "etc", str(etc), new)
    except OverlayError as error:
        assert "is on" in str(error)  # the file system of the test holds no upper
    place = f"{tmp_path}/run/extensionctl/upper"
    assert new == [place, f"{place}/etc", f"{place}/etc/upper"]
    assert os.stat(f"{place}/etc").st_mode & 0o777 == 0o700
    assert os.stat(f"{place}/etc/upper").st_mode & 0o777 == 0o751
    again: list[str] = []
    try:
        upper.ephemeral(paths, "etc", str(etc), again)
    except OverlayError:
        pass
    assert again == []


def test_the_work_folder_is_beside_the_upper_and_empty(tmp_path: Path) -> None:
    place = str(made(tmp_path / "up"))
    found = upper.work(place, "etc", 4)
    assert found == f"{tmp_path}/.up-work-4"
    Path(found, "rest").write_text("1")
    assert upper.work(place, "etc", 4) == found
    assert os.listdir(found) == []
    assert os.stat(found).st_mode & 0o777 == 0o700


def test_a_work_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(OverlayError) as raised:
        upper.work(f"{tmp_path}/missing/up", "etc", 4)
    where = f"{tmp_path}/missing/.up-work-4"
    assert str(raised.value) == f"{where}: the work folder of /etc cannot be used: No such file or directory"


def test_only_work_folders_of_other_generations_are_removed(tmp_path: Path, paths: Paths) -> None:
    place = made(tmp_path / "srv/up")
    (place / "precious").write_text("1")
    names = (".up-work-3", ".up-work-4", ".up-work-x", ".up-work-", ".other-work-3", "up-work-3")
    for name in names:
        made(tmp_path / "srv" / name / "work")
    upper.remove_old_work(paths, "etc", "/srv/up", 4)
    assert sorted(os.listdir(tmp_path / "srv")) == sorted([*names[1:], "up"])
    assert (place / "precious").read_text() == "1"
    upper.remove_old_work(paths, "etc", "/missing", 4)
    upper.remove_old_work(paths, "etc", "", 4)


def test_a_tree_is_removed_and_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    made(tmp_path / "other")
    (tmp_path / "other/precious").write_text("1")
    tree = made(tmp_path / "tree/deep/deeper").parents[1]
    (tree / "deep/file").write_text("")
    (tree / "deep/link").symlink_to(tmp_path / "other")
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "fifo")
    upper.remove_tree(str(tree))
    assert not tree.exists()
    (tmp_path / "link").symlink_to("other")
    upper.remove_tree(str(tmp_path / "link"))
    assert os.listdir(tmp_path) == ["other"]
    assert (tmp_path / "other/precious").read_text() == "1"


def test_a_tree_that_is_missing_is_removed_already(tmp_path: Path) -> None:
    upper.remove_tree(str(tmp_path / "missing"))
    upper.remove_tree(str(tmp_path / "missing/below"))
    assert os.listdir(tmp_path) == []
