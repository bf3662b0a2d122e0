#  SPDX-License-Identifier: MIT
"""Action files: reading, globs, what triggers them, and how they run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from extension_manifests.errors import Diagnostic, ManifestError
from extension_manifests.unitfile import parse
from extension_runtime.layers.compare import Changed
from extension_runtime.pid1.commands import Completed
from extension_runtime.react import actionfile, trigger
from extension_runtime.react.actionfile import Action
from extension_runtime.react.trigger import Triggered

SHIPPED = Path(__file__).resolve().parents[2] / "actions"


def read(text: str) -> Action:
    warnings: list[Diagnostic] = []
    found = actionfile.build("demo", "/d/demo.action", parse(text, "/d/demo.action"), warnings)
    assert warnings == []
    return found


def changed(*paths: str, kind: str = "added") -> list[Changed]:
    return [Changed(path, kind, "e") for path in paths]


FULL = """
[Trigger]
Path=/usr/lib/a/*.conf /etc/a/
Path=/opt/**/x
On=merge refresh
Boot=yes
ConditionPathExists=/usr/bin/tool
ConditionPathIsReadWrite=/etc
[Action]
Exec=/usr/bin/tool --flag 'two words' "%n"
Append=existing
Restart=a.service
Reload=b.service
Start=c.service
DaemonReload=yes
Order=-5
X-Other=1
"""


def test_every_key() -> None:
    found = read(FULL)
    assert found.paths == ("/usr/lib/a/*.conf", "/etc/a/", "/opt/**/x")
    assert found.on == ("merge", "refresh")
    assert found.exec == ("/usr/bin/tool", "--flag", "two words", "%n")
    assert (found.restart, found.reload, found.start) == (("a.service",), ("b.service",), ("c.service",))
    assert (found.boot, found.append, found.daemon_reload, found.order) == (True, True, True, -5)
    assert (found.exists, found.writable) == (("/usr/bin/tool",), ("/etc",))


def test_defaults_and_resets() -> None:
    found = read("[Trigger]\nPath=/a\nPath=\nPath=/b\nOn=merge\nOn=\n[Action]\nExec=/x\nOrder=3\nOrder=\n")
    assert found.paths == ("/b",)
    assert found.on == ("merge", "refresh", "unmerge")
    assert (found.order, found.boot, found.append) == (50, False, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Action]\nExec=/x\n", "/d/demo.action: nothing triggers it"),
        ("[Trigger]\nPath=/x\n", "/d/demo.action: it does nothing"),
        ("[Trigger]\nPath=x\n", '/d/demo.action:2: Path= has "x"; write an absolute path'),
        ("[Trigger]\nOn=boot\n", '/d/demo.action:2: On= has "boot"; write merge'),
        ("[Trigger]\nBoot=maybe\n", '/d/demo.action:2: Boot= is "maybe"; write yes or no'),
        ("[Action]\nExec=tool\n", '/d/demo.action:2: Exec= starts with "tool"; write the absolute path'),
        ("[Action]\nExec='/x\n", "/d/demo.action:2: Exec= has a quote that does not end"),
        ("[Action]\nRestart=nginx\n", '/d/demo.action:2: Restart= has "nginx"; write the name of a unit'),
        ("[Action]\nOrder=first\n", '/d/demo.action:2: Order= is "first"; write a whole number'),
        ("[Action]\nAppend=all\n", '/d/demo.action:2: Append= is "all"; write existing or none'),
    ],
)
def test_wrong_values(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(message)):
        read(text)


def test_unknown_keys_warn() -> None:
    warnings: list[Diagnostic] = []
    entries = parse("[Trigger]\nPath=/x\nBogus=1\n[Action]\nExec=/x\n", "/p")
    actionfile.build("demo", "/p", entries, warnings)
    assert [str(item) for item in warnings] == [
        "/p:3: [Trigger] Bogus= is not known and ignored; see ACTIONS in extension(5)"
    ]


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("/usr/lib/*.so", ["/usr/lib/a.so"], ["/usr/lib/a/b.so", "/usr/lib/a.so.1", "/x/usr/lib/a.so"]),
        ("/usr/**.ko", ["/usr/a.ko", "/usr/a/b/c.ko"], ["/opt/a.ko"]),
        ("/etc/a/", ["/etc/a/x", "/etc/a/b/c", "/etc/a/"], ["/etc/a", "/etc/ab"]),
        ("/a/?", ["/a/b"], ["/a/", "/a/bc", "/a//"]),
        ("/a/[a-c]", ["/a/b"], ["/a/d"]),
        ("/a/[!a-c]", ["/a/d"], ["/a/b"]),
        ("/a/[", ["/a/["], ["/a/b"]),
        ("/a/x.conf", ["/a/x.conf"], ["/a/xyconf"]),
    ],
)
def test_globs(glob: str, matching: list[str], others: list[str]) -> None:
    expression = re.compile(actionfile.pattern(glob))
    assert [path for path in matching + others if expression.fullmatch(path)] == matching


@pytest.mark.parametrize(
    ("glob", "fixed"),
    [("/usr/lib/*.so", "/usr/lib"), ("/etc/a/", "/etc/a"), ("/etc/fstab", "/etc/fstab"), ("/usr/li?/x", "/usr")],
)
def test_fixed_part(glob: str, fixed: str) -> None:
    assert actionfile.fixed_part(glob) == fixed


def test_one_run_however_many_files() -> None:
    one = read("[Trigger]\nPath=/usr/a/\nOn=refresh\n[Action]\nExec=/x\n")
    found = trigger.triggered([one], changed("/usr/a/1", "/usr/b", "/usr/a/2"), "refresh")
    assert [item.paths for item in found] == [["/usr/a/1", "/usr/a/2"]]
    assert found[0].describe() == "run the action demo for /usr/a/1 and 1 more"
    assert len(trigger.triggered([one], changed("/usr/a/1"), "rollback")) == 1
    assert trigger.triggered([one], changed("/usr/a/1"), "merge") == []
    assert trigger.triggered([one], changed("/usr/a/1"), "refresh", boot=True) == []


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


def test_precedence_masks_and_one_broken_file(tmp_path: Path) -> None:
    vendor, local = tmp_path / "usr/lib/extensions.d", tmp_path / "etc/extensions.d"
    vendor.mkdir(parents=True)
    local.mkdir(parents=True)
    good = "[Trigger]\nPath=/x\n[Action]\nExec=/vendor\nOrder=%s\n"
    for name, order in (("b", 1), ("a", 1), ("late", 9), ("masked", 1), ("replaced", 1)):
        (vendor / f"{name}.action").write_text(good % order)
    (vendor / "broken.action").write_text("[Trigger]\nPath=x\n")
    (local / "masked.action").symlink_to("/dev/null")
    (local / "replaced.action").write_text("[Trigger]\nPath=/x\n[Action]\nExec=/local\n")
    (local / "late.action.d").mkdir()
    (local / "late.action.d" / "10.conf").write_text("[Action]\nExec=/dropin\n")
    found, diagnostics = actionfile.load(str(tmp_path))
    assert [item.name for item in found] == ["a", "b", "late", "replaced"]
    assert [item.exec[0] for item in found] == ["/vendor", "/vendor", "/dropin", "/local"]
    assert [str(item) for item in diagnostics] == [
        '/usr/lib/extensions.d/broken.action:2: Path= has "x"; write an absolute path'
    ]


def test_shipped_actions_are_right() -> None:
    diagnostics: list[Diagnostic] = []
    for file in sorted(SHIPPED.iterdir()):
        actionfile.build(file.stem, str(file), parse(file.read_text(), str(file)), diagnostics)
    assert diagnostics == []
    assert {file.suffix for file in SHIPPED.iterdir()} == {".action"}


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
