#  SPDX-License-Identifier: MIT
"""Units that still see an earlier merge, on a /proc made for the test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import reason_of
from extension_runtime.stale import search
from injected import each_error
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


@pytest.mark.parametrize("call", ["unit", "reason", "namespace", "mapped", "inside", "opened"])
@each_error
def test_a_process_that_cannot_be_looked_at_hides_no_other(
    proc: Proc, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, call: str
) -> None:
    proc.add(1000, "bad.service")
    proc.add(1001, "good.service")
    proc.add(1002, "stale.service", MAPS % ("00:2d", "/bin/demo"))
    original = getattr(search._Search, call)

    def fail(self: object, pid: str, *more: object) -> object:
        if pid == "1000":
            raise error
        return original(self, pid, *more)

    monkeypatch.setattr(search._Search, call, fail)
    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "debug")
    name = "process 1000" if call == "unit" else "bad.service"
    assert proc.find("/usr/bin/demo") == {
        name: f"cannot be looked at ({reason_of(error)}), so it may use old content",
        "stale.service": "maps /usr/bin/demo, which changed",
    }
    assert " in fail\n" in capsys.readouterr().err


def test_what_others_have_mounted_under_an_old_number_is_none_of_ours(proc: Proc) -> None:
    """The kernel gives out numbers again, to the overlays of containers, too."""
    table = TABLE + b"22 20 0:45 / /merged rw - overlay overlay rw\n"
    proc.add(1000, "container.service", MAPS % ("00:2d", "/bin/demo"), table, "mnt:[2]")
    proc.add(1001, "stale.service", MAPS % ("00:2d", "/bin/demo"))
    assert list(proc.find("/usr/bin/demo")) == ["stale.service"]


def test_a_folder_stands_for_all_below_it(proc: Proc) -> None:
    proc.add(1000, "a.service", MAPS % ("00:2d", "/lib/x/y.so"))
    proc.add(1001, "b.service", MAPS % ("00:2d", "/lib"), fds={"/share/a/b": 99})
    proc.add(1002, "c.service", MAPS % ("00:2d", "/library/x"), fds={"/shared/b": 99})
    assert proc.find("/usr/lib/", "/usr/share/") == {
        "a.service": "maps /usr/lib/x/y.so, which changed",
        "b.service": "has /usr/share/a/b open, which changed",
    }
