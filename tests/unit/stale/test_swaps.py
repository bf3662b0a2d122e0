#  SPDX-License-Identifier: MIT
"""What is remembered of swaps, and which stale units are restarted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from extension_runtime.stale import search, swaps
from fake_systemd import FakeSystemd
from stale_proc import MAPS, TABLE, Proc


def test_each_swap_counts_only_what_changed_since(proc: Proc, tmp_path: Path) -> None:
    run = str(tmp_path)
    swaps.record(run, {"0:45": "/usr"}, ["/usr/one"])
    swaps.record(run, {"0:46": "/usr", "0:50": "/opt"}, ["/usr/two"])
    proc.add(1000, "first.service", MAPS % ("00:2d", "/two"))
    proc.add(1001, "second.service", MAPS % ("00:2e", "/one"))
    proc.add(1002, "third.service", MAPS % ("00:2e", "/two"))
    assert [view.unit for view in swaps.find(run, run)] == ["first.service", "third.service"]


def test_what_is_restarted_and_what_is_not() -> None:
    found = [search.StaleView(unit, "why", 1) for unit in ("a.service", "dbus.service", "s.scope", "gone.service")]
    found.append(search.StaleView("b.service", "cannot be looked at", 1, sure=False))
    assert swaps.restartable(found, {"a.service", "b.service", "dbus.service", "s.scope"}) == ["a.service"]


def test_who_can_be_restarted_is_and_the_others_are_told_of() -> None:
    systemd = FakeSystemd(a_service="active", dbus_service="active", idle_service="inactive")
    units = ("a.service", "dbus.service", "idle.service", "s.scope", "17 demo")
    left = swaps.restart([search.StaleView(unit, "why", 1) for unit in units], systemd)
    assert systemd.calls == ["try-restart a.service"]
    assert [view.unit for view in left] == ["dbus.service", "idle.service", "s.scope", "17 demo"]


def remembered(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "views.json").read_text())
    return found


def test_of_old_swaps_it_is_known_what_changed_since_all_of_them(proc: Proc, tmp_path: Path) -> None:
    count = swaps.KEPT + 3
    for number in range(count):
        swaps.record(str(tmp_path), {f"0:{100 + number}": "/usr"}, [f"/usr/{number}"], {"8:1": ""})
    kept = remembered(tmp_path)
    assert len(kept) == swaps.KEPT
    assert [entry["changed"] for entry in kept[1:]] == [[f"/usr/{number}"] for number in range(4, count)]
    assert kept[0] == {
        "swapped": {f"0:{number}": "/usr" for number in range(100, 104)},
        "covered": {"8:1": ""},
        "changed": [f"/usr/{number}" for number in range(4)],
    }
    proc.add(1000, "oldest.service", MAPS % ("00:64", "/0"))
    proc.add(1001, "third.service", MAPS % ("00:66", "/2"))
    proc.add(1002, "other.service", MAPS % ("00:66", "/else"))
    assert [view.unit for view in swaps.find(str(tmp_path), str(tmp_path))] == ["oldest.service", "third.service"]


def test_what_is_remembered_has_an_end_and_nobody_is_forgotten(proc: Proc, tmp_path: Path) -> None:
    for number in range(40):
        changed = [f"/usr/share/{number}/some/folder/{file}" for file in range(2000)]
        swaps.record(str(tmp_path), {f"0:{100 + number}": "/usr"}, changed)
        assert (tmp_path / "views.json").stat().st_size <= swaps.SIZE_MAX + 2 * swaps.KEPT
    proc.add(1000, "oldest.service", MAPS % ("00:64", "/share/0/some/folder/7"))
    proc.add(1001, "newest.service", MAPS % ("00:8b", "/share/39/some/folder/7"))
    proc.add(1002, "other.service", MAPS % ("00:64", "/lib/other"))
    proc.add(1003, "open.service", "", fds={"/usr/share/3/some/folder/9": 77, "/share/4/some/folder/9": 77})
    found = {view.unit: view.reason for view in swaps.find(str(tmp_path), str(tmp_path))}
    assert sorted(found) == ["newest.service", "oldest.service", "open.service"]
    assert found["oldest.service"] == "maps /usr/share/0/some/folder/7, which changed"
    assert found["open.service"] == "has /usr/share/3/some/folder/9 open, which changed"


def test_one_swap_that_is_too_large_is_remembered_by_its_folders(tmp_path: Path) -> None:
    changed = [f"/usr/share/{number % 7}/{number % 50}/{number:0200}" for number in range(20000)]
    swaps.record(str(tmp_path), {"0:45": "/usr"}, [*changed, "/etc/a"])
    [entry] = remembered(tmp_path)
    folders = sorted({f"/usr/share/{number % 7}/{number % 50}/" for number in range(20000)})
    assert entry["changed"] == ["/etc/a", *folders]


def test_there_is_nothing_coarser_than_a_hierarchy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swaps, "SIZE_MAX", 10)
    swaps.record(str(tmp_path), {"0:45": "/usr"}, ["/usr/a/b", "/usr", "/opt/x/"])
    assert remembered(tmp_path)[0]["changed"] == ["/opt/", "/usr", "/usr/"]


@pytest.mark.parametrize("text", ["", "{", "{}", "7", "null"])
def test_a_record_that_is_none_remembers_nothing(proc: Proc, tmp_path: Path, text: str) -> None:
    (tmp_path / "views.json").write_text(text)
    assert swaps.find(str(tmp_path), str(proc.path)) == []
    swaps.record(str(tmp_path), {"0:45": "/usr"}, [])
    assert len(json.loads((tmp_path / "views.json").read_text())) == 1


def test_a_number_that_belongs_to_something_else_by_now_is_no_old_overlay(proc: Proc, tmp_path: Path) -> None:
    swaps.record(str(tmp_path), {"0:50": "/usr"}, ["/usr/one"])
    proc.add(1000, "a.service", MAPS % ("00:32", "/one"))
    assert swaps.find(str(tmp_path), str(proc.path)) == []


def test_what_was_covered_counts_too(proc: Proc, tmp_path: Path) -> None:
    swaps.record(str(tmp_path), {}, ["/usr/one"], {"8:1": ""})
    proc.add(1000, "a.service", MAPS % ("08:01", "/usr/one"))
    proc.add(1001, "b.service", MAPS % ("08:01", "/usr/two"))
    assert [view.unit for view in swaps.find(str(tmp_path), str(proc.path))] == ["a.service"]


def test_a_device_is_told_as_mount_tables_write_it(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    major, minor = swaps.device(str(tmp_path)).split(":")
    assert os.makedev(int(major), int(minor)) == number


@pytest.mark.parametrize(
    "text",
    ["", "{", "7", "[7]", "[{}]", '[{"swapped": 7, "covered": {}, "changed": []}]',
     '[{"swapped": {"0:45": 7}, "covered": {}, "changed": []}]', '[{"swapped": {}, "covered": {}, "changed": [7]}]',
     '[{"swapped": {"045": "/usr"}, "covered": {}, "changed": []}]', "[" * 100_000,
     '[{"swapped": {"0:": "/usr"}, "covered": {}, "changed": []}]',
     '[{"swapped": {"0:45": "/usr"}, "covered": {"x:1": ""}, "changed": []}]',
     '[{"swapped": {"0:45": "/usr"}, "covered": {"9999999999:1": ""}, "changed": []}]',
     '[{"swapped": {"0:45": "/usr"}, "covered": {}, "changed": ["\\ud800"]}]',
     '[{"swapped": {"0:45": "\\ud800"}, "covered": {}, "changed": []}]'],
)  # fmt: skip
def test_what_record_did_not_write_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "views.json").write_text(text)
    assert swaps.find(str(tmp_path)) == []
    swaps.record(str(tmp_path), {"0:45": "/usr"}, ["/usr/x"])
    assert len(json.loads((tmp_path / "views.json").read_text())) == 1


def test_a_carriage_return_in_a_path_is_no_end_of_a_line(proc: Proc, tmp_path: Path) -> None:
    """Anybody may mount on such a path in a namespace of their own, and some can in that of others."""
    table = TABLE + b"22 20 0:60 / /a\rb rw - tmpfs a rw\n"
    (proc.path / "self/mountinfo").write_bytes(table)
    swaps.record(str(tmp_path), {"0:45": "/usr"}, ["/usr/one"])
    proc.add(1000, "a.service", table=table, namespace="mnt:[2]")
    proc.add(1001, "b.service", MAPS % ("00:2d", "/one"))
    assert [view.unit for view in swaps.find(str(tmp_path), str(proc.path))] == ["b.service"]
