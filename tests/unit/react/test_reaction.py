#  SPDX-License-Identifier: MIT
"""The steps around a swap: done in order, watched, and taken back."""

from __future__ import annotations

import pytest
from extension_manifests.errors import reason_of
from extension_manifests.manifest import Manifest
from extension_runtime.pid1.commands import CommandError
from extension_runtime.react.actionfile import Action
from extension_runtime.react.trigger import Triggered
from injected import each_error
from pytest_mock import MockerFixture
from react_lab import OWN, SERVICE, UNITS, WANTS, Files, Lab


def test_an_unmerge_is_not_taken_back(lab: Lab) -> None:
    lab.running("a.service")
    lab.base[f"{UNITS}/a.service"] = SERVICE
    reaction = lab.react({"e": {f"{UNITS}/a.service.d/1.conf": "[Service]\nNice=1\n"}}, {}, "unmerge")
    outcome = reaction.after()
    lab.systemd.shown = [{"a.service": {"LoadState": "loaded", "ActiveState": "failed", "Result": "signal"}}]
    assert reaction.healthy(10, 0) == []
    assert outcome.problems == ["a.service: failed (signal)"]


def test_a_changed_socket_restarts_under_its_service(lab: Lab) -> None:
    lab.running("a.socket", Triggers="a.service")
    lab.running("a.service")
    calls = lab.calls({"e": {f"{UNITS}/a.socket": "1"}}, {"e": {f"{UNITS}/a.socket": "2"}})
    assert calls == ["SWAP", "daemon-reload", "stop --wait a.service a.socket", "start a.socket a.service"]


def test_boot_is_never_waited_for(lab: Lab) -> None:
    reaction = lab.react(
        {}, {"e": {f"{UNITS}/a.service": SERVICE, f"{WANTS}/a.service": "->../a.service"}}, "merge", True
    )
    reaction.after()
    lab.systemd.show = None  # type: ignore[assignment, method-assign]
    assert reaction.healthy(90, 5) == []


def test_taken_back(lab: Lab) -> None:
    lab.running("a.service", "gone.service")
    old: Files = {f"{UNITS}/a.service": "1", f"{UNITS}/gone.service": SERVICE}
    new: Files = {f"{UNITS}/a.service": "2", f"{UNITS}/n.service": SERVICE, f"{WANTS}/n.service": "->../n.service"}
    reaction = lab.react({"e": old}, {"e": new})
    reaction.before()
    reaction.after()
    lab.systemd.shown = [
        {
            "a.service": {"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "3",
                          "InvocationID": "i"},
            "n.service": {"LoadState": "loaded", "ActiveState": "active"},
        }
    ]  # fmt: skip
    failed = reaction.healthy(10, 0)
    assert [str(item) for item in failed] == ["a.service: failed (exit status 3): log of i"]
    lab.systemd.calls.clear()
    lab.systemd.shown = [
        {unit: {"LoadState": "loaded", "ActiveState": "active"} for unit in ("a.service", "gone.service")}
    ]
    reaction.withdraw()
    lab.systemd.calls.append("SWAP BACK")
    reaction.revert()
    assert lab.systemd.calls == [
        "stop --wait n.service",
        "SWAP BACK",
        "daemon-reload",
        "reset-failed a.service n.service",
        "restart a.service",
        "start gone.service",
    ]


@pytest.mark.parametrize("mends", [True, False])
def test_a_reload_is_taken_back_by_a_reload_so_that_the_service_stays(lab: Lab, mends: bool) -> None:
    lab.running("a.service")
    lab.manifests["e"] = Manifest("e", "/m", reload_or_restart=("a.service",))
    reaction = lab.react({"e": {"usr/share/a": "1"}}, {"e": {"usr/share/a": "2"}})
    reaction.after()
    running = {"LoadState": "loaded", "ActiveState": "active"}
    refused = {"a.service": {**running, "ReloadResult": "exit-code", "InvocationID": "i"}}
    lab.systemd.shown = [refused]
    assert [str(item) for item in reaction.healthy(10, 0)] == ["a.service: could not be reloaded (exit-code): log of i"]
    lab.systemd.calls.clear()
    lab.systemd.shown = [{"a.service": running} if mends else refused, {"a.service": running}]
    reaction.revert()
    wanted = ["reset-failed a.service", "reload-or-restart a.service"]
    assert lab.systemd.calls[:3] == wanted + ([] if mends else ["restart a.service"])


def test_rollback_no_reports_and_goes_on(lab: Lab) -> None:
    lab.running("a.service")
    lab.manifests["e"] = Manifest("e", "/m", rollback=False)
    reaction = lab.react({"e": {f"{UNITS}/a.service": "1"}}, {"e": {f"{UNITS}/a.service": "2"}})
    outcome = reaction.after()
    lab.systemd.shown = [{"a.service": {"LoadState": "loaded", "ActiveState": "failed", "Result": "signal"}}]
    assert reaction.healthy(10, 0) == []
    assert outcome.problems == ["a.service: failed (signal) (Rollback=no)"]


def test_describes_each_step(lab: Lab) -> None:
    lab.running("a.service", "b.service")
    old: Files = {f"{UNITS}/a.service": "1", f"{UNITS}/b.service": "1"}
    new: Files = {f"{UNITS}/a.service": "2", f"{UNITS}/n.service": SERVICE, f"{WANTS}/n.service": "->../n.service"}
    assert lab.react({"e": old}, {"e": new}).describe() == [
        "stop b.service: its unit file is gone",
        "have PID 1 read its units again",
        "start n.service: wanted by multi-user.target",
        "restart a.service: its unit file changed",
    ]


def test_taken_back_before_anything_was_done(lab: Lab) -> None:
    lab.running("a.service", "gone.service")
    old: Files = {f"{UNITS}/a.service": "1", f"{UNITS}/gone.service": SERVICE}
    reaction = lab.react({"e": old}, {"e": {f"{UNITS}/a.service": "2"}})
    reaction.before()
    lab.systemd.shown = [{"gone.service": {"LoadState": "loaded", "ActiveState": "active"}}]
    reaction.revert()
    assert lab.systemd.calls == ["stop --wait gone.service", "start gone.service"]


def test_a_failure_of_one_call_does_not_stop_the_others(lab: Lab) -> None:
    def fail() -> None:
        raise CommandError("systemctl daemon-reload: exit status 1")

    lab.running("a.service")
    lab.systemd.daemon_reload = fail  # type: ignore[method-assign]
    reaction = lab.react({"e": {f"{UNITS}/a.service": "1"}}, {"e": {f"{UNITS}/a.service": "2"}})
    assert reaction.after().problems == ["systemctl daemon-reload: exit status 1"]
    assert lab.systemd.calls == ["try-restart a.service"]


@each_error
def test_whatever_an_action_raises_is_that_actions(
    lab: Lab, mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:  # fmt: skip
    def execute(item: Triggered) -> str:
        if item.action.name == "bad":
            raise error
        return ""

    mocker.patch("extension_runtime.react.trigger.execute", execute)
    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "debug")
    for name in ("a", "bad", "z"):
        action = Action(name, f"/{name}")
        action.paths, action.exec = ("/usr/",), ("/bin/demo",)
        lab.actions.append(action)
    outcome = lab.react({}, {"e": {"x": "1"}}).after()
    assert outcome.failed_actions == ["bad"]
    assert outcome.problems == [f"bad: {reason_of(error)}"]
    assert outcome.done == ["ran the action a", "ran the action z"]
    assert lab.systemd.calls == OWN
    assert " in execute\n" in capsys.readouterr().err


@each_error
def test_whatever_a_call_of_pid_1_raises_does_not_stop_the_others(lab: Lab, error: Exception) -> None:
    def fail() -> None:
        raise error

    lab.running("a.service")
    lab.systemd.daemon_reload = fail  # type: ignore[method-assign]
    reaction = lab.react({"e": {f"{UNITS}/a.service": "1"}}, {"e": {f"{UNITS}/a.service": "2"}})
    assert reaction.after().problems == [reason_of(error)]
    assert lab.systemd.calls == ["try-restart a.service"]


def test_actions_come_after_the_reload_and_before_the_services(lab: Lab, mocker: MockerFixture) -> None:
    run = mocker.patch("extension_runtime.pid1.commands.run")
    run.side_effect = lambda argv, **_options: lab.systemd.calls.append(" ".join(argv))
    mocker.patch("extension_runtime.react.trigger.execute.__defaults__", (run, lambda _path: True, lambda _path: True))
    action = Action("demo", "/a")
    action.paths, action.exec, action.restart = ("/usr/lib/systemd/**",), ("/bin/demo",), ("a.service",)
    lab.actions = [action]
    lab.running("a.service")
    calls = lab.calls({}, {"e": {f"{UNITS}/n.service": SERVICE}})
    assert calls == ["SWAP", "daemon-reload", "/bin/demo", "try-restart a.service", *OWN]
