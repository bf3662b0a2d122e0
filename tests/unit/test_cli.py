#  SPDX-License-Identifier: MIT
"""extensionctl: parsing, exit status, and what the verbs say about a root or ask of PID 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import extension_runtime.merge
import pytest
from extension_runtime.cli import main
from extension_runtime.image import record
from extension_runtime.merge import statefile
from extension_runtime.merge.state import State
from extension_runtime.paths import Paths
from extension_runtime.pid1 import commands, queries
from pytest_mock import MockerFixture

TOP = Path(__file__).resolve().parents[2]
PROGRAM = str(TOP / "helpers/extensionctl")
FIELDS = ["name", "class", "state", "reason", "image", "version", "hierarchies", "manifest"]


class Root:
    """A root with an operating system, to which manifests, images and states are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("etc/os-release", "ID=debian\nVERSION_ID=12\n")

    def write(self, path: str, text: str) -> None:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def manifest(self, name: str, text: str = "[Extension]\n") -> None:
        self.write(f"etc/extensions.d/{name}.extension", text)

    def image(self, name: str, release: str = "ID=_any\nIMAGE_VERSION=1.0\n") -> None:
        self.write(f"var/lib/extensions/{name}/usr/lib/extension-release.d/extension-release.{name}", release)

    def merged(self, **extensions: dict[str, Any]) -> None:
        """A state in which these are merged over /usr."""
        now: dict[str, Any] = State().data() | {"generation": 3, "when": 1700000000}
        usr = {"target": "/usr", "mode": "auto", "merged": True, "writable": False, "generation": 3, "upper": ""}
        layers = [[name, "/layer"] for name in extensions]
        spec = {"mode": "auto", "layers": layers, "upper": "", "import": False, "merged": True}
        now["hierarchies"] = {"usr": usr | {"layers": layers, "spec": spec}}
        now["last"] = {"verb": "refresh", "result": "done", "reason": "", "when": 1700000000}
        for name, fields in extensions.items():
            now["extensions"][name] = {
                "name": name,
                "state": "merged",
                "reason": "",
                "image": f"/var/lib/extensions/{name}",
                "version": "1.0",
                "identity": "i",
                "classes": ["sysext"],
                "hierarchies": ["usr"],
                "manifest": f"/etc/extensions.d/{name}.extension",
                "layer": "/layer",
            } | fields
        (self.path / "run/extensionctl").mkdir(parents=True, exist_ok=True, mode=0o700)
        statefile.write(Paths(str(self.path)), State.of(now))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.fixture
def listed(root: Root, capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, dict[str, Any]]]:
    """`extensionctl list --json=short` by name."""

    def run() -> dict[str, dict[str, Any]]:
        assert main.main(["list", f"--root={root.path}", "--json=short"]) == 0
        entries = json.loads(capsys.readouterr().out)
        assert all(list(entry) == FIELDS for entry in entries)
        assert all(entry["reason"] or entry["state"] == "merged" for entry in entries)
        return {entry["name"]: entry for entry in entries}

    return run


# Parsing


def test_without_a_verb_it_is_status() -> None:
    assert main.parse([]).verb == "status"
    assert main.parse(["--json=short"]).json == "short"


@pytest.mark.parametrize("argv", [["--json=short", "list"], ["list", "--json=short"], ["list", "--json", "short"]])
def test_common_options_before_and_after_the_verb(argv: list[str]) -> None:
    assert main.parse(argv).json == "short"


def test_an_option_before_the_verb_is_not_undone_after_it() -> None:
    options = main.parse(["--no-pager", "--no-legend", "list", "--json=off"])
    assert (options.pager, options.legend, options.json) == (False, False, "off")


def test_root_is_absolute_and_the_running_system_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.parse(["list", "--root=."]).root == str(tmp_path)
    assert main.parse(["list", "--root=/"]).root == ""
    assert main.parse(["list"]).root == ""


@pytest.mark.parametrize(
    "argv",
    [
        ["frobnicate"],
        ["explain"],
        ["list", "surplus"],
        ["list", "--json=xml"],
        ["list", "--js=short"],
        ["list", "--dry-run"],
        ["merge", "--always"],
        ["--root=/does/not/exist", "list"],
    ],
)
def test_wrong_usage_is_2_and_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("extensionctl: ")
    assert said.err.count("\n") == 1


def test_help_of_every_verb_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    for verb, _ in main.VERBS:
        assert main.main([verb, "--help"]) == 0
        assert verb in capsys.readouterr().out


# Errors and streams


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (OSError(5, "broken"), 1), (RuntimeError("surprise"), 1)]
)
def test_never_a_traceback(
    error: BaseException, status: int, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    mocker.patch.object(main, "find", side_effect=error)
    assert main.main(["list"]) == status
    assert "Traceback" not in capsys.readouterr().err


def test_a_closed_pipe_is_quiet(root: Root) -> None:
    for number in range(300):
        root.manifest(f"n{number}")
    read_end, write_end = os.pipe()
    os.close(read_end)
    argv = [PROGRAM, f"--root={root.path}", "list"]
    done = subprocess.run(argv, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert done.stderr == b""
    assert done.returncode == main.PIPE_CLOSED


def test_a_full_disk_is_one_line(root: Root) -> None:
    with open("/dev/full", "w") as full:
        argv = [PROGRAM, f"--root={root.path}", "list"]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "extensionctl: No space left on device\n")


def test_it_runs_from_the_checkout_through_a_link_and_without_standard_output(root: Root, tmp_path: Path) -> None:
    link = tmp_path / "linked"
    link.symlink_to(PROGRAM)
    argv = ["sh", "-c", '"$0" "$@" >&-', str(link), "list", f"--root={root.path}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verb_imports_no_other_verbs() -> None:
    script = "import sys; from extension_runtime.cli import main; main.find('list'); print(*sys.modules)"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=_path())
    loaded = set(made.stdout.split())
    assert "extension_runtime.cli.list" in loaded
    unwanted = {"check", "change", "explain", "status"}
    assert not loaded & {f"extension_runtime.cli.{verb}" for verb in unwanted}
    assert not loaded & {"typing", "dataclasses", "pathlib", "logging"}


def _path() -> dict[str, str]:
    return {"PYTHONPATH": f"{TOP}/generators:{TOP}/helpers", "PATH": os.environ["PATH"]}


# list


def test_states_of_extensions_that_are_not_merged(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    for name in ("good", "foreign", "strict", "missing"):
        root.manifest(name, "[Extension]\nMismatch=fail\n" if name == "strict" else "[Extension]\n")
    root.image("good")
    root.image("foreign", "ID=fedora\n")
    root.image("strict", "ID=fedora\n")
    root.manifest("broken", "[Extension]\nClass=wrong\n")
    root.manifest("hidden", "")
    root.write("etc/extensions.d/b ad.extension", "[Extension]\n")
    found = listed()
    assert {name: entry["state"] for name, entry in found.items()} == {
        "b ad": "failed",
        "broken": "failed",
        "foreign": "skipped",
        "good": "ready",
        "hidden": "masked",
        "missing": "failed",
        "strict": "failed",
    }
    assert found["broken"]["reason"].startswith("/etc/extensions.d/broken.extension:2: ")
    assert "ID=fedora" in found["foreign"]["reason"]
    assert "/var/lib/extensions" in found["missing"]["reason"]
    assert found["hidden"]["reason"] == "masked by /etc/extensions.d/hidden.extension"
    good = {key: found["good"][key] for key in ("class", "image", "version", "hierarchies")}
    assert good == {"class": "sysext", "image": "/var/lib/extensions/good", "version": "1.0", "hierarchies": ["usr"]}


def test_states_of_merged_extensions(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    for name in ("plain", "old"):
        root.manifest(name)
    root.manifest("masked", "")
    root.manifest("broken", "[Extension]\nClass=wrong\n")
    root.merged(plain={}, old={"reason": "kept at 1.0: 2.0 is cut off"}, gone={}, masked={}, broken={})
    found = listed()
    assert {entry["state"] for entry in found.values()} == {"merged"}
    assert found["plain"]["reason"] == ""
    assert found["old"]["reason"] == "kept at 1.0: 2.0 is cut off"
    assert "manifest is gone" in found["gone"]["reason"]
    assert "the next refresh takes it off" in found["masked"]["reason"]
    assert "broken.extension:2" in found["broken"]["reason"]


def test_an_attachment_that_failed_is_told(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    root.manifest("bad")
    root.image("bad")
    root.merged()
    record.write(f"{root.path}/run/extensionctl/attached", record.Record("bad", "failed", "bad.raw: is truncated"))
    assert (listed()["bad"]["state"], listed()["bad"]["reason"]) == ("failed", "bad.raw: is truncated")


def test_the_kernel_command_line_switches_all_off(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    root.manifest("one")
    root.image("one")
    root.write("proc/cmdline", "quiet extensions=0\n")
    assert listed()["one"]["state"] == "skipped"
    assert "extensions=0" in listed()["one"]["reason"]


def test_list_for_people(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([f"--root={root.path}", "list"]) == 0
    assert capsys.readouterr().out == "No extensions.\n"
    root.merged(one={})
    root.manifest("one")
    assert main.main([f"--root={root.path}", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "CLASS", "STATE", "VERSION", "HIERARCHIES", "REASON"]
    assert lines[1].split() == ["one", "sysext", "merged", "1.0", "/usr", "-"]
    assert lines[2:] == ["", "1 extension listed."]
    assert main.main([f"--root={root.path}", "list", "--no-legend"]) == 0
    assert capsys.readouterr().out == "one  sysext  merged  1.0  /usr  -\n"


@pytest.mark.parametrize("verb", ["list", "status", "history"])
def test_a_broken_state_is_one_line_and_stops_no_verb(
    root: Root, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    root.manifest("one")
    root.write("run/extensionctl/state.json", "{")
    assert main.main([f"--root={root.path}", verb]) == 0
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert line.endswith("; the next merge or refresh puts it aside")
    assert "state.json: " in line
    assert verb == "history" or said.out


# status and explain


def test_status(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    root.manifest("one")
    root.manifest("lost")
    root.write("etc/extensions.d/extensions.conf", "[Usr]\nMode=ephemeral\n")
    root.merged(one={}, two={"reason": "kept at 1.0"})
    assert main.main([f"--root={root.path}"]) == 0
    text = capsys.readouterr().out
    assert "Extensions: 2 merged, 1 failed" in text
    assert "Generation: 3" in text
    assert "/usr: merged, read-only (mode auto, ephemeral from the next refresh on)" in text
    assert "two > one" in text
    assert "/etc: not merged (mode auto)" in text
    assert "Failed: lost: " in text
    assert main.main([f"--root={root.path}", "status", "--json=short"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hierarchies"][0]["layers"] == ["two", "one"]
    assert [entry["name"] for entry in found["failed"]] == ["lost"]


def test_explain(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    root.manifest("one", "[Extension]\nAbove=two.extension\n[Reload]\nRestart=a.service\n")
    root.manifest("two")
    root.write("usr/lib/extensions.d/one.extension", "[Extension]\n")
    root.write("etc/extensions.d/one.extension.d/10-a.conf", "[Reload]\nRollback=no\n")
    root.image("one", "ID=fedora\n")
    assert main.main([f"--root={root.path}", "explain", "one.extension"]) == 0
    text = capsys.readouterr().out
    for said in (
        "one: skipped",
        "Manifest: /etc/extensions.d/one.extension",
        "Hides: /usr/lib/extensions.d/one.extension",
        "Drop-ins: /etc/extensions.d/one.extension.d/10-a.conf",
        "looked for in /etc/extensions, /run/extensions, /var/lib/extensions",
        "Picked: /var/lib/extensions/one",
        "made for ID=fedora",
        "System: ID=debian VERSION_ID=12",
        "Layer: by manifests: 2 of 2, on top of two, topmost",
        "Restart=a.service",
        "Rollback=no",
    ):
        assert said in text, said
    assert main.main([f"--root={root.path}", "explain", "nobody"]) == 1
    assert "known: one, two" in capsys.readouterr().err


# Verbs that change something


class Result:
    """As of a transaction."""

    def __init__(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self.messages = ["a message"]
        self.steps = ["first", "second"]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls of transaction.run, which ends with 3."""
    calls: list[tuple[str, str, dict[str, Any]]] = []
    fake = types.ModuleType("extension_runtime.merge.transaction")

    def run(verb: str, root: str, **arguments: Any) -> Result:
        calls.append((verb, root, arguments))
        return Result(3)

    fake.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(extension_runtime.merge, "transaction", fake, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)  # whoever runs the tests
    return calls


@pytest.mark.parametrize("verb", ["merge", "refresh", "unmerge", "rollback"])
def test_another_root_is_changed_right_here(
    verb: str, root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([verb, f"--root={root.path}"]) == 3
    [(called, where, arguments)] = ran
    assert (called, where, arguments["dry_run"]) == (verb, str(root.path), False)
    assert capsys.readouterr().out == "a message\n"


def test_what_was_left_out_is_told_with_the_reason(
    root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    root.manifest("lost")
    root.manifest("old")
    root.merged(old={"reason": "kept at 1.0"})
    assert main.main(["refresh", f"--root={root.path}"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a message"
    assert lines[1].startswith("left out: lost: lost: no such image")
    assert lines[2] == "not updated: old: kept at 1.0"
    assert main.main(["refresh", f"--root={root.path}", "--json=short"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["exit_code"], found["messages"]) == (3, ["a message"])
    assert [entry["name"] for entry in found["left_out"]] == ["lost", "old"]


def test_a_dry_run_prints_the_steps(
    root: Root,
    ran: list[tuple[str, str, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["refresh", "--dry-run", "--always", f"--root={root.path}"]) == 3
    assert ran[0][2] == {"dry_run": True, "always": True}
    assert capsys.readouterr().out == "  1. first\n  2. second\na message\n"


def test_plan_says_the_order_and_the_steps(
    root: Root, ran: list[tuple[str, str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    root.manifest("a")
    root.manifest("b")
    main.main(["plan", f"--root={root.path}"])
    assert ran[0][2]["dry_run"] is True
    assert "Layers: b > a\n  1. first" in capsys.readouterr().out


class Pid1:
    """Answers commands as systemd would: `properties` of any unit, and what `systemctl start` or `stop` ends with."""

    def __init__(self, mocker: MockerFixture) -> None:
        self.calls: list[list[str]] = []
        self.properties = {"LoadState": "loaded", "ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
        self.returncode = 0
        self.log = "one line of the log\n"
        self.invocations = 0
        mocker.patch.object(commands, "run", self.run)
        mocker.patch.object(queries, "running", return_value=True)
        mocker.patch.object(os, "geteuid", return_value=0)

    def run(self, argv: list[str], **_: object) -> commands.Completed:
        self.calls.append(argv)
        if argv[:2] == ["systemctl", "show"]:
            wanted = argv[2].removeprefix("--property=").split(",")
            have = self.properties | {"InvocationID": f"i{self.invocations}"}
            text = "".join(f"{key}={have.get(key, '')}\n" for key in wanted)
            return commands.Completed(0, "\n".join([text] * (len(argv) - argv.index("--") - 1)), "")
        if argv[0] == "systemctl":
            self.invocations += 1
            return commands.Completed(self.returncode, "", "")
        return commands.Completed(0, self.log if argv[0] == "journalctl" and "--sync" not in argv else "", "")

    def jobs(self) -> list[str]:
        """What was started and stopped."""
        return [" ".join(argv[2:]) for argv in self.calls if argv[:2] == ["systemctl", "--no-ask-password"]]


@pytest.fixture
def systemd(mocker: MockerFixture) -> Pid1:
    return Pid1(mocker)


def test_refresh_starts_the_unit_that_can_fail(systemd: Pid1, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["refresh"]) == 0
    assert systemd.jobs() == ["start -- extensions-refresh.service"]
    assert capsys.readouterr().out == "one line of the log\n"


def test_refresh_does_not_just_join_one_that_may_have_looked_before(systemd: Pid1) -> None:
    systemd.properties["ActiveState"] = "activating"
    assert main.main(["refresh"]) == 0
    assert systemd.jobs() == ["start -- extensions-refresh.service"] * 2


@pytest.mark.parametrize(("status", "expected"), [("3", 3), ("1", 1), ("0", 1)])
def test_a_failed_refresh_returns_what_its_process_did(
    systemd: Pid1, status: str, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    systemd.returncode = 1
    systemd.properties |= {"ExecMainStatus": status, "Result": "exit-code"}
    assert main.main(["refresh"]) == expected
    said = capsys.readouterr().out
    assert "one line of the log\n" in said
    assert ("systemctl status extensions-refresh.service" in said) is (expected == 1)


def test_merge_and_unmerge_are_a_unit_too(systemd: Pid1, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["merge"]) == 0
    systemd.properties["ActiveState"] = "active"
    assert main.main(["unmerge"]) == 0
    assert systemd.jobs() == ["start -- extensions-merge.service", "stop -- extensions-merge.service"]
    assert main.main(["merge"]) == 0
    assert len(systemd.jobs()) == 2
    assert "already merged" in capsys.readouterr().out


def test_a_stop_that_fails_is_told_though_systemctl_does_not(systemd: Pid1) -> None:
    systemd.properties |= {"ActiveState": "active", "Result": "exit-code"}
    assert main.main(["unmerge"]) == 1


def test_what_no_unit_stands_for_runs_in_a_transient_one(systemd: Pid1) -> None:
    assert main.main(["rollback"]) == 0
    assert main.main(["refresh", "--always"]) == 0
    # Merged by a refresh, with the unit of the merge not active.
    assert main.main(["unmerge"]) == 0
    transient = [argv for argv in systemd.calls if argv[0] == "systemd-run"]
    helper = str(TOP / "helpers/extensions-merge")
    arguments = [argv[argv.index("--") + 1 :] for argv in transient]
    assert arguments == [[helper, "rollback"], [helper, "refresh", "--always"], [helper, "unmerge"]]


def test_a_change_needs_root_and_systemd(
    systemd: Pid1, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    mocker.patch.object(queries, "running", return_value=False)
    assert main.main(["refresh"]) == 1
    assert "--root=DIR" in capsys.readouterr().err
    mocker.patch.object(os, "geteuid", return_value=1000)
    assert main.main(["refresh"]) == 1
    assert "needs root" in capsys.readouterr().err
    assert systemd.jobs() == []


def test_a_unit_that_is_not_installed_is_told(systemd: Pid1, capsys: pytest.CaptureFixture[str]) -> None:
    systemd.properties["LoadState"] = "not-found"
    systemd.returncode = 5
    assert main.main(["merge"]) == 1
    assert "make install" in capsys.readouterr().err


def test_a_refresh_works_while_pid_1_has_lost_its_unit(systemd: Pid1) -> None:
    systemd.properties["LoadState"] = "not-found"
    assert main.main(["refresh"]) == 0
    [command] = [argv for argv in systemd.calls if argv[0] == "systemd-run"]
    assert command[-1] == "refresh"


# PID 1


def test_object_path() -> None:
    assert queries.object_path("run-extension-a.b_c.mount") == (
        "/org/freedesktop/systemd1/unit/run_2dextension_2da_2eb_5fc_2emount"
    )


def test_conditions_are_told_as_written(mocker: MockerFixture) -> None:
    data = [
        ["ConditionPathExists", False, True, "/etc/off", -1],
        ["ConditionUser", True, False, "root", 1],
        ["ConditionHost", False, False, "x", 0],
    ]
    answer = commands.Completed(0, json.dumps({"type": "a(sbbsi)", "data": data}), "")
    mocker.patch.object(commands, "run", return_value=answer)
    assert queries.conditions("a.mount") == [
        ("ConditionPathExists=!/etc/off", "not met"),
        ("ConditionUser=|root", "met"),
        ("ConditionHost=x", "not looked at"),
    ]


def test_history_is_a_table_with_the_reasons(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    root.merged()
    path = root.path / "run/extensionctl/state.json"
    merge = json.loads(path.read_text())
    entry = {"verb": "refresh", "result": "rolled-back", "reason": "web.service: failed", "when": 0, "generation": 3}
    path.write_text(json.dumps({**merge, "history": [entry]}))
    assert main.main(["history", f"--root={root.path}"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["WHEN", "GENERATION", "VERB", "RESULT", "REASON"]
    assert row.endswith("3           refresh  rolled-back  web.service: failed")
    assert main.main(["history", "--json=short", f"--root={root.path}"]) == 0
    assert json.loads(capsys.readouterr().out) == [entry]
