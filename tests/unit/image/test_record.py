#  SPDX-License-Identifier: MIT
"""What became of an image is written whole, as JSON in ASCII, for root alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import record
from extension_runtime.image.record import Record
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(), max_size=10)


@settings(deadline=None, database=None)
@given(st.lists(TEXT, min_size=8, max_size=8), st.lists(TEXT, max_size=3))
def test_it_is_json_in_ascii(texts: list[str], words: list[str]) -> None:
    made = Record("", "", classes=words, hierarchies=words[::-1])
    for key, text in zip(record.TEXTS, texts, strict=True):
        setattr(made, key, text)
    line = record.to_json(made)
    assert line.isascii() and line.removesuffix("\n").isprintable()
    data = json.loads(line)
    assert list(data) == list(Record.__slots__)
    # Two halves of a pair that stand side by side are one character in JSON.
    assert {key: joined(value) for key, value in data.items()} == {
        key: joined(getattr(made, key)) for key in Record.__slots__
    }


def joined(value: str | list[str]) -> object:
    if isinstance(value, list):
        return [joined(item) for item in value]
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def test_what_is_left_out_is_empty() -> None:
    made = Record("a", "attached")
    assert (made.reason, made.classes, made.hierarchies) == ("", [], [])
    assert repr(made) == "Record(a: attached)"
    assert repr(Record("a", "failed", "truncated")) == "Record(a: failed: truncated)"


def test_one_replaces_the_other(tmp_path: Path) -> None:
    for state in ("failed", "attached"):
        record.write(str(tmp_path), Record("a", state))
        assert os.listdir(tmp_path) == ["a.json"]
        assert json.loads((tmp_path / "a.json").read_text())["state"] == state


def test_what_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record.write(str(tmp_path), Record("a", "attached"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError, match=f"^{tmp_path}/file/a.json: cannot be written: (Not a dir|File ex)"):
        record.write(f"{tmp_path}/file", Record("a", "failed"))

    def full(_source: str, _target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(ImageError, match=f"^{tmp_path}/a.json: cannot be written: No space left on device$"):
        record.write(str(tmp_path), Record("a", "failed"))
    assert json.loads((tmp_path / "a.json").read_text())["state"] == "attached"


def test_it_may_be_forgotten_twice(tmp_path: Path) -> None:
    record.write(str(tmp_path), Record("a", "attached"))
    record.remove(str(tmp_path), "a")
    record.remove(str(tmp_path), "a")
    assert os.listdir(tmp_path) == []
