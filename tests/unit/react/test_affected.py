#  SPDX-License-Identifier: MIT
"""What a change of layers does to units: the calls that PID 1 gets, in order."""

from __future__ import annotations

import pytest
from react_lab import OWN, SERVICE, UNITS, WANTS, Files, Lab


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


def test_watched_paths(lab: Lab) -> None:
    lab.base[f"{UNITS}/a.service"] = f"[Unit]\nX-Extensions-Watch=/usr/share/a /usr/share/b\n{SERVICE}"
    lab.base[f"{UNITS}/c.service"] = SERVICE
    lab.running("a.service", "c.service")
    assert lab.calls({}, {"e": {"share/b/deep/x": "1"}}) == ["SWAP", "try-restart a.service", *OWN]


def test_user_units_are_told_of(lab: Lab) -> None:
    reaction = lab.react({}, {"e": {"lib/systemd/user/u.service": SERVICE}})
    assert any("u.service" in note and "--user" in note for note in reaction.notes)
    assert not reaction.reload


def test_an_alias_that_goes_leaves_what_it_stood_for(lab: Lab) -> None:
    lab.base = {f"{UNITS}/real.service": SERVICE}
    lab.running("real.service", "alias.service")
    calls = lab.calls({"e": {f"{UNITS}/alias.service": "->real.service"}}, {})
    assert calls == ["SWAP", "daemon-reload", "stop extension@e.service"]


def test_a_removed_template_leaves_instances_that_have_their_own_file(lab: Lab) -> None:
    lab.base = {f"{UNITS}/x@own.service": SERVICE}
    lab.running("x@own.service", "x@1.service")
    calls = lab.calls({"e": {f"{UNITS}/x@.service": SERVICE}}, {})
    assert calls[0] == "stop --wait x@1.service"


def test_a_file_that_goes_while_it_is_only_an_argument_restarts_nobody(lab: Lab) -> None:
    """A restart without it could not be any better."""
    lab.base[f"{UNITS}/a.service"] = SERVICE
    lab.running("a.service", ExecStart="{ path=/usr/bin/a ; argv[]=/usr/bin/a -c /usr/share/a ; ignore_errors=no }")
    assert lab.calls({"e": {"share/a": "1"}}, {}) == ["SWAP", "stop extension@e.service"]


def test_a_file_that_comes_restarts_nobody_but_through_a_link(lab: Lab) -> None:
    lab.base = {
        f"{UNITS}/a.service": SERVICE,
        f"{UNITS}/b.service": SERVICE,
        "share/current": "->/usr/share/new",
    }
    show = "{ path=/usr/bin/a ; argv[]=/usr/bin/a -c %s ; ignore_errors=no }"
    lab.running("a.service", ExecStart=show % "/usr/share/new")
    lab.running("b.service", ExecStart=show % "/usr/share/current")
    assert lab.calls({}, {"e": {"share/new": "1"}}) == ["SWAP", "try-restart b.service", *OWN]


def test_who_refuses_to_be_started_is_told_of(lab: Lab) -> None:
    files: Files = {
        f"{UNITS}/a.service": f"[Unit]\nRefuseManualStart=yes\n{SERVICE}",
        f"{WANTS}/a.service": "->../a.service",
    }
    reaction = lab.react({}, {"e": files})
    assert reaction.notes == ["a.service is not started: it refuses that; the next boot does"]
    assert reaction.wishes == []


def test_a_note_is_made_once_however_many_files_say_it(lab: Lab) -> None:
    lab.running("a.service")
    both = (f"{UNITS}/a.service", "local/lib/systemd/system/a.service")
    unit = f"[Unit]\nX-Extensions-OnChange=none\n{SERVICE}"
    reaction = lab.react({"e": dict.fromkeys(both, unit)}, {"e": dict.fromkeys(both, f"{unit}Nice=1\n")})
    assert reaction.notes == ["a.service runs on as it is: its unit file changed, but X-Extensions-OnChange=none"]


def test_the_first_reason_for_a_unit_is_told_and_it_is_restarted_once(lab: Lab) -> None:
    lab.running("a.service")
    old: Files = {f"{UNITS}/a.service": SERVICE, f"{UNITS}/a.service.d/1.conf": "[Service]\nNice=1\n"}
    new: Files = {f"{UNITS}/a.service": SERVICE + "Nice=2\n", f"{UNITS}/a.service.d/1.conf": "[Service]\nNice=3\n"}
    reaction = lab.react({"e": old}, {"e": new})
    assert [(wish.verb, wish.unit, wish.why, wish.extension) for wish in reaction.wishes] == [
        ("restart", "a.service", "its unit file changed", "e")
    ]


def test_a_dropin_that_another_one_covers_changes_nothing(lab: Lab) -> None:
    lab.base = {
        f"{UNITS}/a.service": SERVICE,
        "local/lib/systemd/system/a.service.d/1.conf": "[Service]\nNice=1\n",
    }
    lab.running("a.service")
    calls = lab.calls({}, {"e": {f"{UNITS}/a.service.d/1.conf": "[Service]\nNice=2\n"}})
    assert calls == ["SWAP", "daemon-reload", *OWN]


def test_what_is_wanted_already_or_by_nobody_active_is_not_started(lab: Lab) -> None:
    lab.running("ran.service")
    files: Files = {
        f"{UNITS}/ran.service": SERVICE,
        f"{UNITS}/x@.service": SERVICE,
        f"{WANTS}/ran.service": "->../ran.service",
        f"{WANTS}/x@1.service": "->../x@.service",
        f"{UNITS}/idle.target.wants/x@2.service": "->../x@.service",
        f"{WANTS}/missing.service": "->../missing.service",
    }
    found = [(wish.verb, wish.unit) for wish in lab.react({}, {"e": files}).wishes]
    assert [wish for wish in found if wish[0] == "start"] == [("start", "x@1.service")]


@pytest.mark.parametrize(
    ("path", "reload"),
    [
        (f"{UNITS}/a.service", True),
        ("local/lib/systemd/system/a.service", True),
        ("lib/systemd/system-generators/a", True),
        ("local/lib/systemd/system-generators/a", True),
        ("lib/systemd/user/a.service", False),
        ("lib/systemd/systemd", False),
    ],
)
def test_pid_1_reads_again_what_it_reads_only_once(lab: Lab, path: str, reload: bool) -> None:
    assert lab.react({}, {"e": {path: "1"}}).reload is reload
