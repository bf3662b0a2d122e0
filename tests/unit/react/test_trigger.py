#  SPDX-License-Identifier: MIT
"""What triggers actions, and how they run."""

from __future__ import annotations

from pathlib import Path

import pytest
from action_text import FULL, changed, read
from extension_manifests.errors import reason_of
from extension_manifests.globs import Glob
from extension_manifests.unitfile import parse
from extension_runtime.pid1.commands import Completed
from extension_runtime.react import actionfile, trigger
from extension_runtime.react.trigger import Triggered
from injected import each_error

SHIPPED = Path(__file__).resolve().parents[3] / "actions"


def test_one_run_however_many_files() -> None:
    one = read("[Trigger]\nPath=/usr/a/\nOn=refresh\n[Action]\nExec=/x\n")
    found = trigger.triggered([one], changed("/usr/a/1", "/usr/b", "/usr/a/2"), "refresh")
    assert [item.paths for item in found] == [["/usr/a/1", "/usr/a/2"]]
    assert found[0].describe() == "run the action demo for /usr/a/1 and 1 more"
    assert len(trigger.triggered([one], changed("/usr/a/1"), "rollback")) == 1
    assert trigger.triggered([one], changed("/usr/a/1"), "merge") == []
    assert trigger.triggered([one], changed("/usr/a/1"), "refresh", boot=True) == []


@each_error
def test_an_action_over_which_something_is_raised_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def glob(text: str) -> Glob:
        if text == "/bad/":
            raise error
        return Glob(text)

    monkeypatch.setattr(trigger, "Glob", glob)
    monkeypatch.setenv("SYSTEMD_LOG_LEVEL", "debug")
    actions = [read(f"[Trigger]\nPath={path}\n[Action]\nExec=/x\n") for path in ("/a/", "/bad/", "/")]
    said: list[str] = []
    found = trigger.triggered(actions, changed("/a/1", "/bad/1"), "merge", False, said.append)
    assert [item.paths for item in found] == [["/a/1"], ["/a/1", "/bad/1"]]
    assert said == [f"demo: left out: {reason_of(error)}"]
    assert " in glob\n" in capsys.readouterr().err


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[list[str], str]] = []

    def __call__(self, argv: list[str], *, input: str, timeout: float) -> Completed:
        self.calls.append((argv, input))
        return Completed(0, "", "")


def test_runs_with_the_paths_that_exist_appended_and_all_on_standard_input() -> None:
    run = Recorder()
    item = Triggered(read("[Trigger]\nPath=/a/\n[Action]\nExec=/x -y\nAppend=existing\n"), ["/a/1", "/a/2"])
    assert trigger.execute(item, run, exists=lambda path: path != "/a/2") == ""
    assert run.calls == [(["/x", "-y", "/a/1"], "/a/1\n/a/2\n")]


def test_nothing_exists_any_more() -> None:
    run = Recorder()
    item = Triggered(read("[Trigger]\nPath=/a/\n[Action]\nExec=/x -y\nAppend=existing\n"), ["/a/1"])
    assert trigger.execute(item, run, exists=lambda _path: False) == ""
    assert run.calls == []


def test_left_out_for_a_tool_in_silence_and_for_a_read_only_place_with_a_word() -> None:
    run = Recorder()
    item = Triggered(read(FULL), ["/etc/a/x"])
    assert trigger.execute(item, run, exists=lambda path: path != "/usr/bin/tool") == ""
    said = trigger.execute(item, run, exists=lambda _path: True, writable=lambda _path: False)
    assert said == "demo: left out, /etc cannot be written; /usr/bin/tool --flag two words %n was not run"
    assert run.calls == []


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/usr/lib/systemd/system/a.service", ["daemon-reload"]),
        ("/usr/lib/sysusers.d/a.conf", ["sysusers"]),
        ("/etc/tmpfiles.d/a.conf", ["tmpfiles"]),
        ("/usr/lib/x86_64-linux-gnu/libx.so.1", ["ldconfig"]),
        ("/usr/lib/libx.so.1.2", ["ldconfig"]),
        ("/usr/lib/nginx/modules/x.so", []),
        ("/usr/lib/udev/rules.d/1.rules", ["udev"]),
        ("/usr/lib/udev/hwdb.d/1.hwdb", ["hwdb", "udev"]),
        ("/usr/share/dbus-1/system.d/x.conf", ["dbus"]),
        ("/etc/sysctl.d/x.conf", ["sysctl"]),
        ("/usr/lib/modules/6.1/extra/x.ko.xz", ["depmod"]),
        ("/usr/lib/modules-load.d/x.conf", ["modules-load"]),
        ("/usr/lib/binfmt.d/x.conf", ["binfmt"]),
        ("/usr/lib/systemd/catalog/x.catalog", ["journal-catalog"]),
        ("/usr/share/polkit-1/rules.d/x.rules", ["polkit"]),
        ("/usr/share/glib-2.0/schemas/x.xml", ["glib-schemas"]),
        ("/usr/share/icons/hicolor/48x48/x.png", ["icon-cache"]),
        ("/usr/share/mime/packages/x.xml", ["mime-cache"]),
        ("/usr/share/fonts/x/y.ttf", ["font-cache"]),
        ("/usr/bin/x", []),
    ],
)
def test_what_triggers_the_shipped_actions(path: str, names: list[str]) -> None:
    found = []
    for file in SHIPPED.iterdir():
        found.append(actionfile.build(file.stem, str(file), parse(file.read_text(), str(file)), []))
    found.sort(key=lambda item: (item.order, item.name))
    assert [item.action.name for item in trigger.triggered(found, changed(path), "refresh")] == names
