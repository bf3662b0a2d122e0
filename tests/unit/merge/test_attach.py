#  SPDX-License-Identifier: MIT
"""The steps that attach: how they read, what PID 1 is told, and that a failure leaves records as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_manifests.manifest import Manifest
from extension_runtime.image import attach as images
from extension_runtime.image.record import Record
from extension_runtime.image.request import Request
from extension_runtime.merge.attach import AttachHere, AttachUnits, Renew
from extension_runtime.paths import Paths
from extension_runtime.pid1.commands import CommandError
from injected import each_error
from systemctl_log import SystemctlLog

APP = Manifest("app", "/m", image="/images/app.raw")
OTHER = Manifest("other", "/m")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "run/extensionctl/attached").mkdir(parents=True)
    return Paths(str(tmp_path))


def test_steps_say_what_they_attach(paths: Paths) -> None:
    systemd = SystemctlLog().systemd
    steps = [
        AttachHere(paths, APP, {}),
        Renew(paths, [APP, OTHER], systemd),
        AttachUnits(paths, "start", ["a"], systemd),
    ]
    assert [(step.name, step.text, step.waits) for step in steps] == [
        ("attach:app", "attach app: /images/app.raw", False),
        ("attach:renew", "attach what is new of app, other", True),
        ("attach:start", "start the mounts of a", True),
    ]


def test_units_are_started_in_one_call(paths: Paths) -> None:
    log = SystemctlLog()
    AttachUnits(paths, "start", ["app", "other"], log.systemd).do()
    units = "run-extension-app.mount run-extension-other.mount"
    assert log.calls == [f"reset-failed -- {units}", f"start -- {units}"]


def test_what_cannot_be_renewed_is_restarted_to_say_why(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    def renew(request: Request) -> bool:
        asked.append(request)
        return request.name == "app"

    monkeypatch.setattr(images, "renew", renew)
    log = SystemctlLog()
    Renew(paths, [APP, OTHER], log.systemd).do()
    assert [(request.root, request.name, request.image) for request in asked] == [
        (paths.root, "app", "/images/app.raw"),
        (paths.root, "other", "other"),
    ]
    assert log.calls[-1] == "restart -- run-extension-other.mount"


def test_where_all_is_renewed_pid_1_is_not_told(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "renew", lambda _request: True)
    log = SystemctlLog()
    Renew(paths, [APP], log.systemd).do()
    assert log.calls == []


def test_an_image_is_attached_as_its_manifest_says(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    def attach(request: Request) -> Record:
        asked.append(request)
        return Record("app", "attached")

    monkeypatch.setattr(images, "attach", attach)
    manifest = Manifest("app", "/m", classes=("confext",), mismatch="fail", noexec=True)
    AttachHere(paths, manifest, {}).do()
    [request] = asked
    assert (request.classes, request.mismatch, request.noexec, request.nosuid) == (("confext",), "fail", True, True)


def test_a_failure_puts_the_records_back(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Path(paths.attached, "app.json")
    record.write_text("as it was")
    detached: list[str] = []

    def detach(_paths: Paths, name: str) -> None:
        detached.append(name)
        Path(paths.attached, f"{name}.json").unlink(missing_ok=True)

    def attach(_request: Request) -> None:
        record.write_text("half done")
        raise ImageError("no place for it")

    monkeypatch.setattr(images, "detach", detach)
    monkeypatch.setattr(images, "attach", attach)
    failed: dict[str, Record] = {}
    AttachHere(paths, APP, failed).do()
    assert (failed["app"].state, failed["app"].reason) == ("failed", "no place for it")
    assert record.read_text() == "as it was"
    log = SystemctlLog()
    log.fails = "start"
    with pytest.raises(CommandError):
        AttachUnits(paths, "start", ["app", "new"], log.systemd).do()
    assert record.read_text() == "as it was"
    assert detached == ["app", "app", "new"]
    assert not Path(paths.attached, "new.json").exists()


def test_letting_go_is_harmless_twice(paths: Paths) -> None:
    step = AttachHere(paths, APP, {})
    step.remember(["app"])
    step.close()
    step.close()


@each_error
def test_what_is_raised_over_one_renewal_is_left_to_its_unit(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    renewed = []

    def renew(request: Request) -> bool:
        if request.name == "app":
            raise error
        renewed.append(request.name)
        return True

    monkeypatch.setattr(images, "renew", renew)
    log = SystemctlLog()
    Renew(paths, [APP, OTHER], log.systemd).do()
    assert renewed == ["other"]
    assert [call for call in log.calls if call.startswith("restart")] == ["restart -- run-extension-app.mount"]
