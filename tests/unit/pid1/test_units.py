#  SPDX-License-Identifier: MIT
"""Whose a process is, and what is never restarted."""

from __future__ import annotations

import pytest
from extension_manifests import escape
from extension_manifests import units as ours
from extension_runtime.pid1 import units


@pytest.mark.parametrize(
    "unit",
    [
        "dbus.service",
        "systemd-logind.service",
        "init.scope",
        "user@1000.service",
        "user-runtime-dir@0.service",
        "getty@tty1.service",
        "serial-getty@ttyS0.service",
        ours.TARGET,
        ours.MERGE,
        ours.REFRESH,
        escape.mount_unit("a"),
        escape.service_unit("a"),
    ],
)
def test_never(unit: str) -> None:
    assert units.never(unit)


@pytest.mark.parametrize("unit", ["dbus.socket", "my-dbus.service", "users@1.service", "extension.service", "a.scope"])
def test_others_may_be(unit: str) -> None:
    assert not units.never(unit)


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("/", ""),
        ("/system.slice/a.service", "a.service"),
        ("/system.slice/system-a.slice/a@b.service/sub/x.service", "a@b.service"),
        ("/user.slice/user-0.slice/user@0.service/app.slice/b.service", "user@0.service"),
        ("/system.slice/_a.service", "a.service"),
        ("/system.slice/__a.service", "_a.service"),
        ("/machine.slice", ""),
        ("/a.other/b", ""),
    ],
)
def test_the_unit_of_a_cgroup(cgroup: str, unit: str) -> None:
    assert units.unit_of(cgroup) == unit
