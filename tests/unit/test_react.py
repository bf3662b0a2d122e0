#  SPDX-License-Identifier: MIT
"""What a change of layers does to units: the calls that PID 1 gets, in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from extension_manifests.manifest import Manifest
from extension_runtime.pid1.commands import CommandError
from extension_runtime.react import prepare
from extension_runtime.react.actionfile import Action
from extension_runtime.react.prepare import Change, Reaction
from fake_systemd import FakeSystemd, layer
from pytest_mock import MockerFixture

UNITS = "lib/systemd/system"
WANTS = f"{UNITS}/multi-user.target.wants"
Files = dict[str, str | None]


class Lab:
    """Builds reactions on a /usr of one base and the layers of extensions before and after."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base: Files = {}
        self.systemd = FakeSystemd(multi__user="active")
        self.systemd.state = {"multi-user.target": "active"}
        self.manifests: dict[str, Manifest] = {}
        self.actions: list[Action] = []
        self.release: dict[str, Mapping[str, str]] = {}

    def running(self, *units: str, **properties: str) -> None:
        for unit in units:
            self.systemd.state[unit] = "active"
            self.systemd.properties[unit] = dict(properties)

    def react(
        self, old: dict[str, Files], new: dict[str, Files], verb: str = "refresh", boot: bool = False
    ) -> Reaction:
        base = layer(self.path / "base", "", self.base)
        before = {name: layer(self.path / "old" / name, name, files) for name, files in old.items()}
        after = {
            name: before[name] if old.get(name) == files else layer(self.path / "new" / name, name, files)
            for name, files in new.items()
        }
        change = Change(
            verb,
            boot=boot,
            old={"usr": list(before.values())},
            new={"usr": list(after.values())},
            bases={"usr": base.path},
            added=sorted(after.keys() - before.keys()),
            removed=sorted(before.keys() - after.keys()),
            changed=sorted(name for name in after.keys() & before.keys() if after[name] is not before[name]),
            release=self.release,
        )
        return prepare.prepare(change, self.manifests, self.systemd, "", self.actions)

    def calls(
        self, old: dict[str, Files], new: dict[str, Files], verb: str = "refresh", boot: bool = False
    ) -> list[str]:
        reaction = self.react(old, new, verb, boot)
        reaction.before()
        self.systemd.calls.append("SWAP")
        outcome = reaction.after()
        assert outcome.problems == []
        return self.systemd.calls


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


SERVICE = "[Service]\nExecStart=/usr/bin/demo\n"
OWN = ["start extension@e.service"]


def test_nothing_changed_asks_nobody(lab: Lab) -> None:
    lab.systemd.units = None  # type: ignore[assignment, method-assign]
    assert lab.calls({"e": {"bin/x": "1"}}, {"e": {"bin/x": "1"}}) == ["SWAP"]


def test_with_a_root_only_the_difference_is_told(lab: Lab, tmp_path: Path) -> None:
    change = Change("merge", new={"usr": [layer(tmp_path / "l", "e", {f"{UNITS}/a.service": SERVICE})]}, added=["e"])
    lab.systemd.units = None  # type: ignore[assignment, method-assign]
    reaction = prepare.prepare(change, {}, lab.systemd, "/elsewhere", [])
    reaction.before()
    assert reaction.describe() == []
    assert f"/usr/{UNITS}/a.service" in [item.path for item in reaction.changes]


def test_content_without_units_needs_no_reload(lab: Lab) -> None:
    assert lab.calls({}, {"e": {"bin/x": "1"}}) == ["SWAP", *OWN]


def test_a_new_unit_starts_where_something_active_wants_it(lab: Lab) -> None:
    files: Files = {
        f"{UNITS}/a.service": SERVICE,
        f"{UNITS}/b.service": SERVICE,
        f"{WANTS}/a.service": "->../a.service",
        f"{UNITS}/other.target.wants/b.service": "->../b.service",
    }
    assert lab.calls({}, {"e": files}) == ["SWAP", "daemon-reload", "start a.service", *OWN]


def test_a_link_that_waited_in_the_base_starts_the_unit(lab: Lab) -> None:
    lab.base = {f"{WANTS}/a.service": "->../a.service"}
    assert lab.calls({}, {"e": {f"{UNITS}/a.service": SERVICE}}) == ["SWAP", "daemon-reload", "start a.service", *OWN]


def test_a_queued_target_counts_as_active(lab: Lab) -> None:
    lab.systemd.state = {"multi-user.target": "inactive"}
    lab.systemd.queued = {"multi-user.target": ("start", "waiting")}
    files: Files = {f"{UNITS}/a.service": SERVICE, f"{WANTS}/a.service": "->../a.service"}
    assert "start a.service" in lab.calls({}, {"e": files})


def test_an_altered_unit_is_restarted_and_its_neighbour_is_not(lab: Lab) -> None:
    lab.running("a.service", "b.service")
    old: Files = {f"{UNITS}/a.service": SERVICE, f"{UNITS}/b.service": SERVICE}
    new: Files = {f"{UNITS}/a.service": SERVICE + "Nice=1\n", f"{UNITS}/b.service": SERVICE}
    assert lab.calls({"e": old}, {"e": new}) == ["SWAP", "daemon-reload", "try-restart a.service"]


def test_an_altered_unit_that_does_not_run_is_left_alone(lab: Lab) -> None:
    old: Files = {f"{UNITS}/a.service": SERVICE}
    assert lab.calls({"e": old}, {"e": {f"{UNITS}/a.service": SERVICE + "Nice=1\n"}}) == ["SWAP", "daemon-reload"]


def test_a_failed_unit_gets_another_chance(lab: Lab) -> None:
    lab.systemd.state["a.service"] = "failed"
    old: Files = {f"{UNITS}/a.service": SERVICE}
    calls = lab.calls({"e": old}, {"e": {f"{UNITS}/a.service": SERVICE + "Nice=1\n"}})
    assert calls == ["SWAP", "daemon-reload", "start a.service"]


def test_a_removed_unit_is_stopped_while_its_files_are_there(lab: Lab) -> None:
    lab.running("a.service")
    calls = lab.calls({"e": {f"{UNITS}/a.service": SERVICE}}, {}, "unmerge")
    assert calls == ["stop --wait a.service", "SWAP", "daemon-reload", "stop extension@e.service"]


def test_a_directory_image_that_was_removed_beforehand(lab: Lab) -> None:
    """Its layer is empty by now, so only PID 1 knows what it had."""
    lab.base = {f"{UNITS}/base.service": SERVICE}
    for name in ("a", "kept", "base"):
        lab.running(f"{name}.service", FragmentPath=f"/usr/{UNITS}/{name}.service")
    lab.running("generated.service", FragmentPath="/run/systemd/generator/generated.service")
    calls = lab.calls({"e": {}}, {"e": {f"{UNITS}/kept.service": SERVICE}})
    assert calls == ["stop --wait a.service", "SWAP", "daemon-reload", "try-restart kept.service"]


def test_a_unit_that_another_extension_still_has_is_restarted(lab: Lab) -> None:
    lab.running("a.service")
    low: Files = {f"{UNITS}/a.service": SERVICE}
    high: Files = {f"{UNITS}/a.service": SERVICE + "Nice=1\n"}
    calls = lab.calls({"low": low, "high": high}, {"low": low})
    assert calls == ["SWAP", "daemon-reload", "try-restart a.service", "stop extension@high.service"]


def test_a_unit_that_becomes_masked_is_stopped(lab: Lab) -> None:
    lab.base = {f"{UNITS}/a.service": SERVICE}
    lab.running("a.service")
    calls = lab.calls({}, {"e": {"local/lib/systemd/system/a.service": "->/dev/null"}})
    assert calls == ["stop --wait a.service", "SWAP", "daemon-reload", *OWN]


def test_a_file_without_precedence_changes_nothing(lab: Lab) -> None:
    lab.base = {"local/lib/systemd/system/a.service": SERVICE}
    lab.running("a.service")
    assert lab.calls({}, {"e": {f"{UNITS}/a.service": "[Unit]\n"}}) == ["SWAP", "daemon-reload", *OWN]


def test_a_masked_unit_is_not_started(lab: Lab) -> None:
    lab.base = {"local/lib/systemd/system/a.service": "->/dev/null"}
    files: Files = {f"{UNITS}/a.service": SERVICE, f"{WANTS}/a.service": "->../a.service"}
    assert lab.calls({}, {"e": files}) == ["SWAP", "daemon-reload", *OWN]


@pytest.mark.parametrize(
    ("folder", "restarted"),
    [
        ("a-b.service.d", ["a-b.service"]),
        ("a-.service.d", ["a-b.service", "a-c.service"]),
        ("x@.service.d", ["x@1.service", "x@2.service"]),
        ("x@2.service.d", ["x@2.service"]),
        ("service.d", []),
    ],
)
def test_dropins_restart_those_they_are_for(lab: Lab, folder: str, restarted: list[str]) -> None:
    lab.base = {f"{UNITS}/{name}.service": SERVICE for name in ("a-b", "a-c", "x@")}
    lab.running("a-b.service", "a-c.service", "x@1.service", "x@2.service")
    calls = lab.calls({}, {"e": {f"{UNITS}/{folder}/10.conf": "[Service]\nNice=1\n"}})
    middle = [f"try-restart {' '.join(restarted)}"] if restarted else []
    assert calls == ["SWAP", "daemon-reload", *middle, *OWN]


def test_running_instances_of_a_template(lab: Lab) -> None:
    lab.running("x@1.service", "x@2.service")
    calls = lab.calls({"e": {f"{UNITS}/x@.service": SERVICE}}, {"e": {f"{UNITS}/x@.service": SERVICE + "Nice=1\n"}})
    assert calls == ["SWAP", "daemon-reload", "try-restart x@1.service x@2.service"]


def test_removed_template_stops_instances(lab: Lab) -> None:
    lab.running("x@1.service")
    calls = lab.calls({"e": {f"{UNITS}/x@.service": SERVICE}}, {})
    assert calls[0] == "stop --wait x@1.service"


@pytest.mark.parametrize(
    ("setting", "calls"),
    [
        ("X-Extensions-OnChange=restart", ["try-restart a.service"]),
        ("X-Extensions-OnChange=reload", ["try-reload-or-restart a.service"]),
        ("X-Extensions-OnChange=none", []),
        ("RefuseManualStop=yes", []),
        ("X-Extensions-OnChange=typo", ["try-restart a.service"]),
    ],
)
def test_what_the_unit_says_of_changes(lab: Lab, setting: str, calls: list[str]) -> None:
    lab.running("a.service")
    old: Files = {f"{UNITS}/a.service": f"[Unit]\n{setting}\n{SERVICE}"}
    new: Files = {f"{UNITS}/a.service": f"[Unit]\n{setting}\n{SERVICE}Nice=1\n"}
    reaction = lab.react({"e": old}, {"e": new})
    reaction.after()
    assert lab.systemd.calls == ["daemon-reload", *calls]
    assert bool(reaction.notes) == (setting != "X-Extensions-OnChange=restart" and "reload" not in setting)


@pytest.mark.parametrize("unit", ["dbus.service", "getty@tty1.service", "user@0.service", "swap.swap"])
def test_what_must_not_be_restarted(lab: Lab, unit: str) -> None:
    lab.running(unit)
    name = f"{UNITS}/{unit.replace('tty1', '').replace('0', '')}"
    reaction = lab.react({"e": {name: SERVICE}}, {"e": {name: SERVICE + "Nice=1\n"}})
    reaction.after()
    assert lab.systemd.calls == ["daemon-reload"]
    assert unit in reaction.notes[0]


def test_a_changed_program_restarts_its_service(lab: Lab) -> None:
    show = "{ path=/usr/bin/%s ; argv[]=/usr/bin/%s -c %s ; ignore_errors=no ; start_time=[n/a] }"
    for name, config in (("one", "/usr/share/one"), ("two", "/usr/share/two"), ("three", "/x")):
        lab.base[f"{UNITS}/{name}.service"] = SERVICE
        lab.running(f"{name}.service", ExecStart=show % (name, name, config))
    lab.base[f"{UNITS}/lib.service"] = SERVICE
    lab.running("lib.service", Environment="A=b LD_LIBRARY_PATH=/usr/lib/private:/x", ExecStart=show % ("l", "l", "/"))
    old: Files = {"bin/one": "1", "bin/three": "1", "share/two": "1", "lib/private/x.so": "1"}
    new: Files = {"bin/one": "2", "bin/three": "1", "share/two": "2", "lib/private/x.so": "2"}
    calls = lab.calls({"e": old}, {"e": new})
    assert calls == ["SWAP", "try-restart lib.service one.service two.service"]


def test_a_program_that_goes_takes_its_service_along(lab: Lab) -> None:
    """A unit of the base whose program an extension had: a restart could only fail."""
    lab.base[f"{UNITS}/a.service"] = SERVICE
    lab.running("a.service", ExecStart="{ path=/usr/bin/a ; argv[]=/usr/bin/a ; ignore_errors=no }")
    lab.running("b.service", ExecStart="{ path=/bin/sh ; argv[]=/bin/sh -c test /usr/bin/a ; ignore_errors=no }")
    assert lab.calls({"e": {"bin/a": "1"}}, {}) == ["stop --wait a.service", "SWAP", "stop extension@e.service"]


def test_an_unmerge_is_not_taken_back(lab: Lab) -> None:
    lab.running("a.service")
    lab.base[f"{UNITS}/a.service"] = SERVICE
    reaction = lab.react({"e": {f"{UNITS}/a.service.d/1.conf": "[Service]\nNice=1\n"}}, {}, "unmerge")
    outcome = reaction.after()
    lab.systemd.shown = [{"a.service": {"LoadState": "loaded", "ActiveState": "failed", "Result": "signal"}}]
    assert reaction.healthy(10, 0) == []
    assert outcome.problems == ["a.service: failed (signal)"]


def test_watched_paths(lab: Lab) -> None:
    lab.base[f"{UNITS}/a.service"] = f"[Unit]\nX-Extensions-Watch=/usr/share/a /usr/share/b\n{SERVICE}"
    lab.base[f"{UNITS}/c.service"] = SERVICE
    lab.running("a.service", "c.service")
    assert lab.calls({}, {"e": {"share/b/deep/x": "1"}}) == ["SWAP", "try-restart a.service", *OWN]


def test_a_changed_socket_restarts_under_its_service(lab: Lab) -> None:
    lab.running("a.socket", Triggers="a.service")
    lab.running("a.service")
    calls = lab.calls({"e": {f"{UNITS}/a.socket": "1"}}, {"e": {f"{UNITS}/a.socket": "2"}})
    assert calls == ["SWAP", "daemon-reload", "stop --wait a.service a.socket", "start a.socket a.service"]


def test_user_units_are_told_of(lab: Lab) -> None:
    reaction = lab.react({}, {"e": {"lib/systemd/user/u.service": SERVICE}})
    assert any("u.service" in note and "--user" in note for note in reaction.notes)
    assert not reaction.reload


def test_manifests_and_release_files(lab: Lab) -> None:
    lab.running("r.service", "rr.service", "s.service", "f.service", "both.service", "g.service")
    lab.manifests["e"] = Manifest(
        "e", "/m", start=("n.service",), restart=("r.service", "idle.service", "both.service"),
        reload_or_restart=("rr.service", "both.service"), stop=("s.service",),
    )  # fmt: skip
    lab.release["e"] = {
        "EXTENSION_RELOAD_MANAGER": "1",
        "EXTENSION_RESTART_UNITS": "f.service",
        "EXTENSION_RELOAD_OR_RESTART_UNITS": "g.service ../wrong",
    }
    calls = lab.calls({"e": {"bin/x": "1"}}, {"e": {"bin/x": "2"}})
    assert calls == [
        "SWAP",
        "daemon-reload",
        "start n.service",
        "try-restart both.service f.service r.service",
        "try-reload-or-restart g.service rr.service",
    ]


def test_a_removed_extension_stops_what_its_manifest_names(lab: Lab) -> None:
    lab.running("s.service", "r.service")
    lab.manifests["e"] = Manifest("e", "/m", stop=("s.service",), restart=("r.service",), start=("n.service",))
    calls = lab.calls({"e": {"bin/x": "1"}}, {})
    assert calls == ["stop --wait s.service", "SWAP", "try-restart r.service", "stop extension@e.service"]


def test_units_none_leaves_units_alone(lab: Lab) -> None:
    lab.running("a.service")
    lab.manifests["e"] = Manifest("e", "/m", units="none")
    calls = lab.calls({"e": {f"{UNITS}/a.service": "1"}}, {"e": {f"{UNITS}/a.service": "2"}})
    assert calls == ["SWAP", "daemon-reload"]


def test_boot_queues_what_is_wanted_with_its_needs_and_nothing_else(lab: Lab) -> None:
    lab.systemd.state = {"multi-user.target": "inactive", "early.service": "active", "done.service": "inactive"}
    lab.systemd.queued = {"multi-user.target": ("start", "waiting")}
    lab.systemd.properties["done.service"] = {"InactiveExitTimestampMonotonic": "123"}
    lab.base = {f"{UNITS}/{name}.service": SERVICE for name in ("early", "done", "basedep", "other")}
    needs = "[Unit]\nRequires=dep.service early.service done.service\nWants=basedep.service missing.service\n"
    files: Files = {
        f"{UNITS}/a.service": needs + SERVICE,
        f"{UNITS}/a.service.wants/linked.service": "->../linked.service",
        f"{UNITS}/linked.service": SERVICE,
        f"{UNITS}/dep.service": "[Unit]\nBindsTo=dep.socket\n",
        f"{UNITS}/dep.socket": "[Socket]\n",
        f"{UNITS}/unwanted.service": SERVICE,
        f"{WANTS}/a.service": "->../a.service",
        "bin/big": "1",
    }
    lab.manifests["e"] = Manifest("e", "/m", start=("other.service",), restart=("early.service",))
    calls = lab.calls({}, {"e": files}, "merge", boot=True)
    assert calls == [
        "SWAP",
        "daemon-reload",
        "start ignore-requirements dep.socket a.service basedep.service dep.service linked.service other.service",
        "try-restart early.service",
    ]


def test_boot_without_units_does_not_reload(lab: Lab) -> None:
    assert lab.calls({}, {"e": {"bin/x": "1"}}, "merge", boot=True) == ["SWAP"]


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


def test_actions_none_runs_none(lab: Lab) -> None:
    action = Action("demo", "/a")
    action.paths, action.exec = ("/usr/**",), ("/bin/demo",)
    lab.actions = [action]
    lab.manifests["e"] = Manifest("e", "/m", actions="none")
    assert lab.calls({}, {"e": {"bin/x": "1"}}) == ["SWAP", *OWN]
