#  SPDX-License-Identifier: MIT
"""What makes a system less than safe is told by `check` with its path, and by `explain` of whom it concerns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_root import Root
from extension_manifests.errors import ImageError
from extension_runtime.cli import main
from extension_runtime.image import programs

BY_ALL = "can be written by everybody, who can so change what is merged; chmod o-w"


def check(root: Root, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    status = main.main(["check", f"--root={root.path}", "--json=short"])
    found = json.loads(capsys.readouterr().out)
    assert all(one["line"] == 0 for one in found)
    return status, {one["path"]: f"{one['severity']}: {one['message']}" for one in found}


def risks(root: Root, name: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main.main(["explain", f"--root={root.path}", "--json=short", name]) == 0
    found: list[str] = json.loads(capsys.readouterr().out)["explanation"].get("Risks", [])
    return found


@pytest.fixture
def app(root: Root) -> Root:
    root.manifest("app")
    root.image("app")
    return root


def test_a_safe_system_has_none(app: Root, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(app, capsys) == (0, {})
    assert risks(app, "app", capsys) == []


@pytest.mark.parametrize(
    ("place", "of_app"),
    [
        ("etc/extensions.d", True),
        ("etc/extensions.d/app.extension", True),
        ("etc/extensions.d/app.extension.d/10-more.conf", True),
        ("etc/extensions.d/other.action", False),
        ("etc/extensions.d/extensions.conf", False),
        ("run/extensions.d", False),
        ("run/extensions", False),
        ("var/lib/extensions", True),
        ("var/lib/extensions/app", True),
    ],
)
def test_who_else_may_change_it(app: Root, place: str, of_app: bool, capsys: pytest.CaptureFixture[str]) -> None:
    app.write("etc/extensions.d/app.extension.d/10-more.conf", "[Extension]\nMismatch=skip\n")
    app.write("etc/extensions.d/other.action", "[Trigger]\nPath=/usr/x\n[Action]\nReload=x.service\n")
    app.write("etc/extensions.d/extensions.conf", "[Etc]\nMode=auto\n")
    for folder in ("run/extensions.d", "run/extensions"):
        (app.path / folder).mkdir(parents=True)
    assert check(app, capsys) == (0, {})
    (app.path / place).chmod(0o777)
    assert check(app, capsys) == (0, {f"/{place}": f"warning: {BY_ALL}"})
    assert risks(app, "app", capsys) == ([f"/{place}: {BY_ALL}"] if of_app else [])


@pytest.mark.parametrize(
    "key", ["RootHash=00112233445566778899aabbccddeeff", "Signature=/x.p7s", "ImagePolicy=root=verity"]
)
def test_what_cannot_be_verified_is_a_mistake(app: Root, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    app.manifest("app", f"[Extension]\n{key}\n")
    name = key.partition("=")[0]
    said = f"{name}= is not yet supported, so this image is not attached; remove the setting"
    assert check(app, capsys) == (1, {"/etc/extensions.d/app.extension": f"error: {said}"})
    assert risks(app, "app", capsys) == [f"/etc/extensions.d/app.extension: {said}"]


@pytest.mark.parametrize("merged", [False, True])
def test_what_loses_its_rights_while_a_confext_is_merged(
    app: Root, merged: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place: Path = app.path / ("run/extensionctl/base/etc" if merged else "etc")
    place.mkdir(parents=True, exist_ok=True)
    (place / "helper").touch()
    (place / "helper").chmod(0o4755)
    assert check(app, capsys) == (0, {})
    app.manifest("conf", "[Extension]\nClass=confext\n")
    said = "warning: is a set-user-ID file, which has no effect while a confext is merged; put it into /usr"
    assert check(app, capsys) == (0, {"/etc/helper": said})


@pytest.mark.parametrize(("user", "told"), [(0, True), (1000, False)])
def test_what_cannot_be_looked_through_is_told_to_who_may_look(
    app: Root, user: int, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(_tree: int, top: str) -> None:
        raise ImageError(f"/{top}: cannot be looked through: Permission denied")

    app.manifest("conf", "[Extension]\nClass=confext\n")
    monkeypatch.setattr(programs, "found", found)
    monkeypatch.setattr("os.geteuid", lambda: user)
    said = {"/etc": "warning: /etc: cannot be looked through: Permission denied"}
    assert check(app, capsys) == (0, said if told else {})
