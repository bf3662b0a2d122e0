#  SPDX-License-Identifier: MIT
"""What was written down about images is read again, and what cannot be read counts as failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.image import record, records
from extension_runtime.kernel import mountinfo
from extension_runtime.paths import Paths


def test_records(tmp_path: Path) -> None:
    directory = str(tmp_path / "run/extensionctl/attached")
    assert records.read_all(directory) == {}
    hostile = 'a"b\\c\n\u2028\U0001f4a9\udcff'
    one = record.Record("one", "failed", hostile, hostile, "1", "2", "erofs", ["sysext"], ["usr", "opt"])
    record.write(directory, one)
    record.write(directory, record.Record("two", "attached"))
    for folder in (directory, os.path.dirname(directory)):
        assert os.stat(folder).st_mode & 0o777 == 0o700
    back = records.read_all(directory)
    assert sorted(back) == ["one", "two"]
    for field in record.Record.__slots__:
        assert getattr(back["one"], field) == getattr(one, field)
    Path(directory, "two.json").write_text("{")
    assert records.read_all(directory)["two"].state == "failed"
    record.remove(directory, "two")
    record.remove(directory, "two")
    assert sorted(records.read_all(directory)) == ["one"]
    assert sorted(os.listdir(directory)) == ["one.json"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "no record"),
        ('{"state": "great"}', "no such state: great"),
        ('{"state": "a\\nb"}', "no such state: a\\x0ab"),
        ('{"state": "attached", "classes": 7}', "has no right classes"),
        ("[" * 99999, "nested too deep"),
        ("\xff", "holds no JSON"),
    ],
)
def test_a_record_that_is_none_counts_as_failed(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    found = records.read_all(str(tmp_path))["a"]
    assert (found.name, found.state) == ("a", "failed")
    assert found.reason.startswith(f"{tmp_path}/a.json: ")
    assert found.reason.endswith("; restart the extension's mount unit")
    assert reason in found.reason


def test_the_name_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "b", "state": "attached"}')
    (tmp_path / ".c.7").write_text("")
    (tmp_path / "readme").write_text("")
    assert {name: found.name for name, found in records.read_all(str(tmp_path)).items()} == {"a": "a"}


def test_what_is_no_longer_mounted_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(str(tmp_path))
    for name, state in (("here", "attached"), ("gone", "attached"), ("skipped", "skipped"), ("bad", "failed")):
        record.write(paths.attached, record.Record(name, state))
    table = "".join(
        f"{number} 1 0:9 / {paths.extension}/{name} ro - tmpfs tmpfs rw\n" for number, name in ((2, "here"), (3, "bad"))
    )
    monkeypatch.setattr(mountinfo, "read", lambda: mountinfo.Table(table))
    assert sorted(records.attached(paths)) == ["bad", "here"]
