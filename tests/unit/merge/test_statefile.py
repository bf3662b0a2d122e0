#  SPDX-License-Identifier: MIT
"""state.json: read, written, and put aside when it is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from extension_runtime.files import StateError
from extension_runtime.merge import statefile
from extension_runtime.merge.state import Merged, Stale, State
from extension_runtime.paths import Paths


def run(root: Path) -> Path:
    folder = root / "run/extensionctl"
    folder.mkdir(parents=True)
    return folder


def test_no_state_is_an_unmerged_one(tmp_path: Path) -> None:
    assert statefile.read(Paths(str(tmp_path))) == State()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = run(tmp_path)
    wanted = State(Merged(3, 7, {}, {}), stale=[Stale("é.service", "x")])
    statefile.write(Paths(str(tmp_path)), wanted)
    assert statefile.read(Paths(str(tmp_path))) == wanted
    assert os.listdir(folder) == ["state.json"]
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"format": 2}', '{"no": "format"}', "\x00", "[" * 99999])
def test_a_state_that_is_none_is_put_aside_with_one_message(tmp_path: Path, text: str) -> None:
    folder = run(tmp_path)
    (folder / "state.json").write_text(text)
    with pytest.raises(StateError, match=r"state\.json: ."):
        statefile.read(Paths(str(tmp_path)))
    state, problem = statefile.read_or_empty(Paths(str(tmp_path)))
    assert (state, os.listdir(folder)) == (State(), ["state.json"])
    assert problem.endswith("; the next merge or refresh puts it aside")
    state, problem = statefile.read_or_put_aside(Paths(str(tmp_path)))
    assert (state, os.listdir(folder)) == (State(), ["state.json.aside"])
    assert problem.endswith(f"; kept as {folder}/state.json.aside, and all extensions are merged anew")
    assert "\n" not in problem
    assert statefile.read_or_put_aside(Paths(str(tmp_path))) == (State(), "")


def test_what_is_no_file_of_text_is_no_state_and_is_put_aside(tmp_path: Path) -> None:
    place = run(tmp_path) / "state.json"

    def sparse() -> None:
        place.write_text("")
        os.truncate(place, 1 << 40)

    makers: dict[str, Callable[[], object]] = {
        "is not UTF-8; remove it": lambda: place.write_bytes(b"\xff\xfe{"),
        "has more than 16777216 bytes; remove it": sparse,
        "is no regular file; remove it": lambda: os.mkfifo(place),
        "cannot be read: Is a directory": place.mkdir,
        "cannot be read: Too many levels of symbolic links": lambda: place.symlink_to("elsewhere"),
    }
    for said, make in makers.items():
        make()
        state, problem = statefile.read_or_put_aside(Paths(str(tmp_path)))
        assert state == State()
        assert problem.startswith(f"{place}: {said.strip()}; kept as {place}.aside")
        assert not os.path.lexists(place)


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(tmp_path)
    statefile.write(Paths(str(tmp_path)), State())

    def full(_source: str, _target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(StateError, match="No space left on device"):
        statefile.write(Paths(str(tmp_path)), State(Merged(9, 0, {}, {})))
    assert json.loads((folder / "state.json").read_text())["generation"] == 0
    assert os.listdir(folder) == ["state.json"]


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    folder = run(tmp_path)
    (tmp_path / "precious").write_text("1")
    os.symlink(tmp_path / "precious", folder / "state.json.new")
    with pytest.raises(StateError, match="symbolic links"):
        statefile.write(Paths(str(tmp_path)), State())
    assert (tmp_path / "precious").read_text() == "1"


def test_a_state_that_is_no_file_says_why_and_is_put_aside(tmp_path: Path) -> None:
    folder = run(tmp_path)
    (folder / "state.json").mkdir()
    with pytest.raises(StateError) as raised:
        statefile.read(Paths(str(tmp_path)))
    assert str(raised.value) == f"{folder}/state.json: cannot be read: Is a directory"
    assert statefile.read_or_put_aside(Paths(str(tmp_path)))[0] == State()
    assert os.listdir(folder) == ["state.json.aside"]


def test_what_cannot_be_put_aside_is_an_error_with_both_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(tmp_path)
    (folder / "state.json").write_text("{")

    def full(_source: str, _target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(StateError, match=r"state\.json: .*, and cannot be put aside: No space left on device$"):
        statefile.read_or_put_aside(Paths(str(tmp_path)))
    assert (folder / "state.json").read_text() == "{"
