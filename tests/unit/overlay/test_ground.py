#  SPDX-License-Identifier: MIT
"""The ground of a hierarchy, where nothing is to be done; the rest is in tests/namespace/test_traces.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_runtime.kernel import mountinfo, syscalls
from extension_runtime.kernel.mountinfo import Mount, Table
from extension_runtime.overlay import ground
from extension_runtime.overlay.hierarchy import Hierarchy
from extension_runtime.overlay.top import OverlayError
from extension_runtime.paths import Paths


@pytest.fixture
def opt(tmp_path: Path) -> Hierarchy:
    (tmp_path / "opt").mkdir()
    return Hierarchy("opt", str(tmp_path / "opt"), Paths(str(tmp_path)))


def test_a_stand_in_has_its_place_beside_the_base(opt: Hierarchy) -> None:
    assert opt.stand_in == f"{opt.base}.ground"


@pytest.mark.parametrize("propagation", ["", " unbindable"])
def test_what_propagates_nothing_needs_no_stand_in(
    opt: Hierarchy, monkeypatch: pytest.MonkeyPatch, propagation: str
) -> None:
    monkeypatch.setattr(syscalls, "mount_setattr", None)
    table = Table(f"10 1 8:1 / / rw{propagation} - ext4 a rw\n")
    ground.hush(table.mounts[10], table, opt)


@pytest.mark.parametrize("propagation", ["shared:1", "master:2", "shared:1 master:2"])
def test_a_ground_that_another_mount_hides_is_refused(opt: Hierarchy, propagation: str) -> None:
    """This process's own mount of that path has another number than the one of the table."""
    table = Table(f"10 1 8:1 / / rw {propagation} - ext4 a rw\n")
    with pytest.raises(OverlayError, match=r"^/: another mount hides the one that is to be merged over; unmount it"):
        ground.hush(table.mounts[10], table, opt)


def test_without_a_stand_in_nothing_is_to_be_settled(opt: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mountinfo, "read", None)
    ground.settle(opt)


def test_a_base_without_a_ground_joins_nothing(opt: Hierarchy, monkeypatch: pytest.MonkeyPatch) -> None:
    visible = mountinfo.visible(opt.target)
    monkeypatch.setattr(syscalls, "set_group", None)
    for base, propagation in ((None, "shared:1"), ("0:9", "shared:1"), ("8:1", ""), ("8:1", "unbindable")):
        line = Mount(f"{visible} 1 8:1 / /elsewhere rw {propagation} - ext4 a rw".replace("rw  -", "rw -"))
        table = Table("")
        table.mounts[visible] = line
        found = base and Mount(f"90 20 {base} /opt /base ro - ext4 a rw")
        monkeypatch.setattr(mountinfo, "read", lambda table=table: table)
        monkeypatch.setattr(Hierarchy, "base_mount", lambda _self, _table, found=found: found)
        ground.join(7, opt)
