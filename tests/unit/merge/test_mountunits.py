#  SPDX-License-Identifier: MIT
"""Mount units of extensions as PID 1 shows them: which are attached, asked for, and why one is not."""

from __future__ import annotations

import pytest
from extension_manifests.manifest import Manifest
from extension_runtime.merge import mountunits
from extension_runtime.merge.mountunits import MountUnits, unmet
from extension_runtime.pid1.commands import CommandError
from systemctl_log import SystemctlLog

UNIT = "run-extension-app.mount"
NOT_MET = {"ConditionTimestampMonotonic": "17", "ConditionResult": "no"}
WAITING = {"LoadState": "loaded", "ActiveState": "inactive", "Result": "success", "WantedBy": "extensions.target"}


def units(properties: dict[str, str], **targets: str) -> MountUnits:
    """The unit of `app` with these properties; `targets` are the states of what asks for it, "_" for "."."""
    log = SystemctlLog()
    log.shown = {UNIT: properties}
    log.shown |= {name.replace("_", "."): {"ActiveState": state} for name, state in targets.items()}
    return MountUnits(log.systemd, ["app"])


def app(*unit: tuple[str, str], **attributes: tuple[str, ...]) -> Manifest:
    return Manifest("app", "/m", unit, **attributes)


@pytest.mark.parametrize(
    ("properties", "active", "loaded"),
    [
        ({"LoadState": "loaded", "ActiveState": "active"}, True, True),
        ({"LoadState": "loaded", "ActiveState": "reloading"}, True, True),
        ({"LoadState": "loaded", "ActiveState": "activating"}, False, True),
        ({"LoadState": "loaded", "ActiveState": "failed"}, False, True),
        ({"LoadState": "bad-setting"}, False, True),
        ({"LoadState": "error"}, False, True),
        ({"LoadState": "masked"}, False, False),
        ({"LoadState": "not-found"}, False, False),
    ],
)
def test_attached_and_known(properties: dict[str, str], active: bool, loaded: bool) -> None:
    found = units(properties)
    assert (found.active("app"), found.loaded("app")) == (active, loaded)


@pytest.mark.parametrize(
    ("properties", "state", "wanted"),
    [
        ({"WantedBy": "extensions.target"}, "active", True),
        ({"WantedBy": "other.target extensions.target"}, "activating", True),
        ({"RequiredBy": "extensions.target"}, "active", True),
        ({"WantedBy": "extensions.target"}, "inactive", False),
        ({"WantedBy": ""}, "active", False),
    ],
)
def test_asked_for_by_what_is_active_or_about_to_be(properties: dict[str, str], state: str, wanted: bool) -> None:
    assert units(properties, extensions_target=state).wanted("app") is wanted


@pytest.mark.parametrize(
    ("properties", "booting", "reason"),
    [
        (
            {"LoadState": "not-found"},
            False,
            "PID 1 does not know its unit run-extension-app.mount yet; run systemctl daemon-reload",
        ),
        (
            {"LoadState": "not-found", **NOT_MET},
            True,
            "PID 1 does not know its unit run-extension-app.mount yet; run systemctl daemon-reload",
        ),
        ({**WAITING, "ActiveState": "active"}, False, ""),
        ({**WAITING, "ActiveState": "failed"}, False, ""),
        ({**WAITING, "ActiveState": "active", **NOT_MET}, False, ""),
        ({**WAITING, **NOT_MET}, False, "a condition is not met: ConditionHost=x"),
        ({**WAITING, "Result": "exit-code"}, False, ""),
        ({**WAITING, "WantedBy": ""}, False, "not wanted by an active unit ([Install] names extensions.target)"),
        (
            {**WAITING, "WantedBy": ""},
            True,
            "PID 1 did not attach it: a unit that it needs failed, conflicts with it, or it was stopped",
        ),
        (WAITING, False, "PID 1 did not attach it: a unit that it needs failed, conflicts with it, or it was stopped"),
    ],
)
def test_held_back_for_a_reason(properties: dict[str, str], booting: bool, reason: str) -> None:
    found = units(properties, extensions_target="active")
    assert found.held_back(app(("ConditionHost", "x")), booting) == reason


def test_what_install_names_is_told_or_that_it_names_nothing() -> None:
    found = units({**WAITING, "WantedBy": ""})
    named = app(wanted_by=("a.target",), required_by=("b.target",))
    assert found.held_back(named, False) == "not wanted by an active unit ([Install] names a.target b.target)"
    assert found.held_back(app(wanted_by=()), False) == "not wanted by an active unit ([Install] names nothing)"


@pytest.mark.parametrize(
    ("properties", "unit", "failed", "reason"),
    [
        (NOT_MET, (("ConditionHost", "x"),), [], "a condition is not met: ConditionHost=x"),
        (
            NOT_MET,
            (("ConditionHost", "x"), ("After", "a.service"), ("ConditionUser", "y")),
            [],
            "a condition is not met: ConditionHost=x, ConditionUser=y",
        ),
        (NOT_MET, (), [], "a condition is not met: see systemctl status of its mount"),
        (NOT_MET, (("ConditionHost", "x"),), ["ConditionUser=y"], "condition not met: ConditionUser=y"),
        (NOT_MET, (), ["ConditionUser=|y", "ConditionHost=|x"],
         "conditions not met: ConditionUser=|y, ConditionHost=|x"),
        ({**NOT_MET, "ConditionResult": "yes"}, (("ConditionHost", "x"),), ["x"], ""),
        ({**NOT_MET, "ConditionTimestampMonotonic": "0"}, (("ConditionHost", "x"),), ["x"], ""),
        ({}, (), [], ""),
    ],
)  # fmt: skip
def test_why_a_condition_kept_it(
    properties: dict[str, str], unit: tuple[tuple[str, str], ...], failed: list[str], reason: str
) -> None:
    assert unmet(app(*unit), properties, failed) == reason


def test_a_start_forgets_failures_first_and_a_stop_afterwards() -> None:
    log = SystemctlLog()
    mountunits.bring(log.systemd, "restart", ["app", "b-c"])
    names = f"{UNIT} run-extension-b\\x2dc.mount"
    assert log.calls == [f"reset-failed -- {names}", f"restart -- {names}"]
    log.calls.clear()
    mountunits.stop(log.systemd, ["app"])
    assert log.calls == [f"stop -- {UNIT}", f"reset-failed -- {UNIT}"]


def test_a_stop_that_takes_too_long_is_an_error() -> None:
    log = SystemctlLog()
    log.fails = "stop"
    with pytest.raises(CommandError, match=r"not done after 90\.0 s"):
        mountunits.stop(log.systemd, ["app"])


def test_no_extensions_ask_nothing() -> None:
    log = SystemctlLog()
    MountUnits(log.systemd, [])
    mountunits.bring(log.systemd, "start", [])
    assert log.calls == []
