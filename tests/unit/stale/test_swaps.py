#  SPDX-License-Identifier: MIT
"""What is remembered of swaps, and which stale units are restarted."""

from __future__ import annotations

import json
import os
from pathlib import Path

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
    assert swaps.restartable(found, {"a.service", "dbus.service", "s.scope"}) == ["a.service"]


def test_who_can_be_restarted_is_and_the_others_are_told_of() -> None:
    systemd = FakeSystemd(a_service="active", dbus_service="active", idle_service="inactive")
    units = ("a.service", "dbus.service", "idle.service", "s.scope", "17 demo")
    left = swaps.restart([search.StaleView(unit, "why", 1) for unit in units], systemd)
    assert systemd.calls == ["try-restart a.service"]
    assert [view.unit for view in left] == ["dbus.service", "idle.service", "s.scope", "17 demo"]


def test_only_so_many_swaps_are_remembered(tmp_path: Path) -> None:
    for number in range(swaps.KEPT + 3):
        swaps.record(str(tmp_path), {f"0:{number}": "/usr"}, [f"/usr/{number}"], {"8:1": ""})
    kept = json.loads((tmp_path / "views.json").read_text())
    assert [entry["changed"] for entry in kept] == [[f"/usr/{number}"] for number in range(3, swaps.KEPT + 3)]
    assert kept[0] == {"swapped": {"0:3": "/usr"}, "covered": {"8:1": ""}, "changed": ["/usr/3"]}


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
