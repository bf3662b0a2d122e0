#  SPDX-License-Identifier: MIT
"""Whether a unit came up and stayed up, judged by what PID 1 shows of it."""

from __future__ import annotations

import pytest
from extension_runtime.react import health
from fake_systemd import FakeSystemd

GOOD = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Type": "notify", "InvocationID": "1"}


def props(**changes: str) -> dict[str, str]:
    return {**GOOD, **changes}


@pytest.mark.parametrize(
    ("properties", "started", "verdict"),
    [
        (props(), False, ""),
        (props(ActiveState="activating", SubState="start"), False, None),
        (props(Job="17"), False, None),
        (props(ActiveState="failed", Result="exit-code", ExecMainStatus="3"), False, "failed (exit status 3)"),
        (props(ActiveState="failed", Result="timeout"), False, "failed (timeout)"),
        (props(ActiveState="activating", SubState="auto-restart", Result="signal"), False,
         "came up and ended again (signal)"),
        *((props(NRestarts=word), False, "") for word in ("infinity", "-1", "\u00b2", "9" * 5000, "[not set]", "")),
        (props(NRestarts="1"), False, "came up and ended again"),
        (props(ReloadResult="exit-code"), False, "could not be reloaded (exit-code)"),
        (props(ReloadResult="success"), False, ""),
        (props(ActiveState="inactive", Type="simple"), False, "is not running any more"),
        (props(ActiveState="inactive", Type="simple"), True, ""),
        (props(ActiveState="inactive", Type="simple", TriggeredBy="a.socket"), False, ""),
        (props(ActiveState="inactive", Type="oneshot"), False, ""),
        (props(ActiveState="inactive", ConditionResult="no"), False, ""),
        (props(ActiveState="inactive", AssertResult="no"), True, "an assertion of its own is not met"),
        (props(ActiveState="inactive", LoadState="not-found"), True, "is not-found"),
        (props(ActiveState="inactive", LoadState="bad-setting"), True, "is bad-setting"),
    ],
)  # fmt: skip
def test_judged(properties: dict[str, str], started: bool, verdict: str | None) -> None:
    assert health.judge(properties, started) == verdict


def test_restarts_that_happened_before_do_not_count() -> None:
    assert health.judge(props(NRestarts="2"), False, props(NRestarts="2")) == ""
    assert health.judge(props(InvocationID="2"), False, GOOD) == "was started a second time"


@pytest.mark.parametrize(
    ("log", "text"),
    [
        ([], "a.service: failed"),
        (["one", "two", "three", "four"], "a.service: failed: two; three; four"),
        (["no such port", "a.service: Failed with result 'exit-code'."], "a.service: failed: no such port"),
        (["a.service: Failed with result 'exit-code'.", "Failed to start a"], "a.service: failed: Failed to start a"),
    ],
)
def test_the_message_has_the_units_own_last_lines(log: list[str], text: str) -> None:
    assert str(health.Failed("a.service", "failed", log)) == text


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self) -> float:
        return self.now


def watch(looks: list[dict[str, str]], timeout: float = 10, settle: float = 1) -> tuple[list[str], float]:
    systemd, clock = FakeSystemd(), Clock()
    systemd.shown = [{"a.service": look} for look in looks]
    failed = health.watch(systemd, {"a.service": False}, timeout, settle, clock.read, clock.sleep)
    return [str(item) for item in failed], clock.now


def test_waits_until_it_is_up_and_then_some() -> None:
    starting = props(ActiveState="activating", SubState="start")
    failed, took = watch([starting] * 5 + [GOOD])
    assert failed == []
    assert took == pytest.approx(1.5)


def test_gives_up_in_the_end() -> None:
    failed, took = watch([props(ActiveState="activating", SubState="start")], timeout=3)
    assert failed == ["a.service: did not come up within 3 s: log of 1"]
    assert took == pytest.approx(3, abs=0.2)


def test_sees_a_crash_while_it_settles() -> None:
    crashed = props(ActiveState="failed", Result="core-dump")
    failed, took = watch([GOOD] * 4 + [crashed])
    assert failed == ["a.service: failed (core-dump): log of 1"]
    assert took < 1


def test_nothing_to_watch_takes_no_time() -> None:
    assert health.watch(FakeSystemd(), {}, 10, 10) == []


def test_does_not_wait_for_what_waits_for_the_merge() -> None:
    systemd, clock = FakeSystemd(), Clock()
    systemd.shown = [{"a.service": props(ActiveState="inactive", Job="3")}]
    systemd.queued = {"a.service": ("start", "waiting"), "extensions-merge.service": ("reload", "running")}
    assert health.watch(systemd, {"a.service": True}, 10, 0, clock.read, clock.sleep) == []
    assert clock.now < 1
    systemd.queued["other.service"] = ("start", "running")
    assert len(health.watch(systemd, {"a.service": True}, 10, 0, clock.read, clock.sleep)) == 1
