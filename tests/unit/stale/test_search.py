#  SPDX-License-Identifier: MIT
"""Units that still see an earlier merge, on a /proc made for the test."""

from __future__ import annotations

import os
from pathlib import Path

from extension_runtime.stale import search
from stale_proc import MAPS, TABLE, Proc


def test_an_old_overlay_in_the_mount_table(proc: Proc) -> None:
    proc.add(1000, "a.service", table=TABLE.replace(b"0:50", b"0:45"), namespace="mnt:[2]")
    proc.add(1001, "b.service")
    assert proc.find("/usr/bin/x") == {"a.service": "its mount namespace still shows /usr as it was"}


def test_maps_of_the_old_overlay(proc: Proc) -> None:
    proc.add(1000, "changed.service", MAPS % ("00:2d", "/bin/demo"))
    proc.add(1001, "same.service", MAPS % ("00:2d", "/bin/other"))
    proc.add(1002, "new.service", MAPS % ("00:32", "/usr/bin/demo"))
    proc.add(1003, "removed.service", MAPS % ("00:2d", "/bin/with blank (deleted)"))
    assert proc.find("/usr/bin/demo", "/usr/bin/with blank") == {
        "changed.service": "maps /usr/bin/demo, which changed",
        "removed.service": "maps /usr/bin/with blank, which changed",
    }


def test_maps_of_the_base_before_the_first_merge(proc: Proc) -> None:
    proc.add(1000, "early.service", MAPS % ("08:01", "/usr/lib/x.so"))
    proc.add(1001, "other.service", MAPS % ("08:01", "/usr/lib/y.so"))
    assert proc.find("/usr/lib/x.so") == {}
    assert set(proc.find("/usr/lib/x.so", covered={"8:1": ""})) == {"early.service"}


def test_folders_in_the_old_tree(proc: Proc, tmp_path: Path) -> None:
    proc.add(1000, "a.service")
    number = os.stat("/").st_dev
    found = search.find({f"{os.major(number)}:{os.minor(number)}": "/usr"}, {"/usr/x"}, None, str(tmp_path))
    assert [view.reason for view in found] == ["its working directory is in the old /usr"]


def test_open_files_of_a_detached_mount(proc: Proc) -> None:
    proc.add(1000, "a.service", fds={"/share/x": 99, "socket:[1]": 7})
    proc.add(1001, "b.service", fds={"/share/y": 99, "/usr/share/x": 21})
    proc.add(1002, "c.service", fds={"/memfd:share/x (deleted)": 98, "/usr/share/x": 99})
    assert proc.find("/usr/share/x") == {
        "a.service": "has /usr/share/x open, which changed",
        "c.service": "has /usr/share/x open, which changed",
    }


def test_processes_outside_of_units_and_kernel_threads(proc: Proc) -> None:
    proc.add(1000, "", MAPS % ("00:2d", "/bin/demo"))
    proc.add(1001, "")
    (proc.path / "1001" / "exe").unlink()
    assert list(proc.find("/usr/bin/demo")) == ["1000 demo"]


def test_a_process_that_ends_meanwhile(proc: Proc) -> None:
    proc.add(1000, "a.service")
    (proc.path / "1000" / "maps").unlink()
    assert proc.find("/usr/bin/demo") == {}
