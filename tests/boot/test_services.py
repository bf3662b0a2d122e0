"""Services that come, change and go with extensions: one boot a suite, real units, real processes."""

from __future__ import annotations

from typing import Any

import pytest
from images import directory
from machine import INSIDE, Boot, Machine

UNITS = "usr/lib/systemd/system"
SERVICE = "[Unit]\nDescription=%s\n[Service]\nExecStart=/bin/sleep infinity\n%s"
WEB = """\
[Unit]
Description=Answers with its version and its configuration
X-Extensions-Watch=/etc/web.conf
X-Extensions-OnChange=%s
[Service]
Type=notify
ExecStart=/usr/bin/web
ExecReload=/bin/kill -HUP $MAINPID
ExecStop=/bin/sh -c 'test -e /usr/bin/web && echo with its files >/run/stopped'
TimeoutStartSec=5
"""
ECHO_SERVICE = """\
[Service]
ExecStart=/usr/bin/python3 /usr/lib/echo.py
"""
ECHO_SERVER = """\
import socket
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"echo %s")
    connection.close()
"""
FOLLOWER = """\
[Unit]
Requires=extension@web.service
After=extension@web.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ls /usr/bin | grep -qx web'
"""
ACTION = """\
[Trigger]
Path=/usr/lib/echo.py /usr/bin/
[Action]
Exec=/bin/sh -c 'cat >/run/paths; echo x >>/run/action-ran'
"""


def web(version: str, on_change: str = "reload") -> dict[str, str]:
    """The files of a sysext with a notify service, a socket-activated one and a timer."""
    wants = {
        "multi-user.target": "web.service",
        "sockets.target": "echo.socket",
        "timers.target": "tick.timer",
    }
    files = {f"{UNITS}/{target}.wants/{unit}": f"-> ../{unit}" for target, unit in wants.items()}
    return files | {
        "usr/bin/web": (INSIDE / "web.py").read_text().replace("@VERSION@", version),
        f"{UNITS}/web.service": WEB % on_change,
        f"{UNITS}/echo.socket": "[Socket]\nListenStream=127.0.0.1:8081\n",
        f"{UNITS}/echo.service": ECHO_SERVICE,
        "usr/lib/echo.py": ECHO_SERVER % version,
        f"{UNITS}/tick.timer": "[Timer]\nOnBootSec=1h\n",
        f"{UNITS}/tick.service": SERVICE % ("tick", ""),
        "usr/lib/sysusers.d/web.conf": "u demo-user - - /\n",
        "usr/lib/tmpfiles.d/web.conf": f"f+ /run/web-tmpfiles 0644 - - - {version}\n",
    }


def fleet(changed: str = "") -> dict[str, str]:
    """The files of a sysext with twelve services, of which one is another than before."""
    files = {}
    for number in range(1, 13):
        name = f"s{number}"
        files[f"{UNITS}/{name}.service"] = SERVICE % (name, "Nice=1\n" if name == changed else "")
        files[f"{UNITS}/multi-user.target.wants/{name}.service"] = f"-> ../{name}.service"
    return files


def _prepare(machine: Machine) -> None:
    root, images = machine.root, machine.root / "boot-images"
    sysexts, confexts = root / "var/lib/extensions", root / "var/lib/confexts"
    machine.write("etc/extensions.d/fleet.extension", "[Reload]\nHealthSec=500ms\n")
    machine.write("etc/extensions.d/web.extension", "[Reload]\nHealthSec=500ms\n")
    machine.write("etc/extensions.d/web-config.extension", "[Extension]\nClass=confext\n[Reload]\nHealthSec=1s\n")
    machine.write("etc/extensions.d/paths.action", ACTION)
    machine.write("etc/extensions.d/extensions.conf", "[Refresh]\nTimeoutSec=20\n")
    machine.write("etc/systemd/system/follower.service", FOLLOWER)
    machine.write("etc/systemd/system/s-base.service", SERVICE % ("The twin of s1 in the base", ""))
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    for unit in ("follower.service", "s-base.service"):
        (wants / unit).symlink_to(f"../{unit}")
    directory(sysexts / "fleet", "fleet", fleet())
    directory(images / "fleet-2", "fleet", fleet("s5"))
    directory(sysexts / "web", "web", web("1"))
    directory(images / "web-2", "web", web("2", "restart"))
    for place, text in (
        (confexts / "web-config", "one"),
        (images / "config-2", "two"),
        (images / "config-crash", "crash"),
        (images / "config-hang", "hang"),
    ):
        directory(place, "web-config", {"etc/web.conf": text}, "confext")


_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `inside/services.py` saw on a machine of `suite`, which is booted once, also when that fails."""
    if suite not in _booted:
        with Machine(suite, tmp_path_factory.mktemp(suite)) as machine:
            _prepare(machine)
            _booted[suite] = machine.boot("services.py", timeout=240)
    return _booted[suite].facts()


def test_services_of_images_start_in_the_same_boot(facts: dict[str, Any]) -> None:
    seen = facts["boot"]
    assert seen["extensions"] == dict.fromkeys(("fleet", "web", "web-config"), "merged")
    assert seen["web"]["ActiveState"] == "active"
    assert seen["answer"] == "1 one"
    assert "0" not in seen["pids"].values()
    assert seen["jobs"].split()[:1] == [] or "boot-test.service" in seen["jobs"]


def test_sockets_and_timers_of_images_are_up_at_boot(facts: dict[str, Any]) -> None:
    seen = facts["boot"]
    assert (seen["socket"]["ActiveState"], seen["timer"]["ActiveState"]) == ("active", "active")
    assert seen["echo before"]["ActiveState"] == "inactive"
    assert seen["echo answer"] == "echo 1"


def test_a_unit_that_requires_an_extension_starts_and_nothing_waits_for_itself(facts: dict[str, Any]) -> None:
    assert facts["boot"]["follower"]["ActiveState"] == "active"
    assert facts["new program"]["follower"] == facts["boot"]["follower"]


def test_a_service_of_an_image_starts_as_early_as_its_twin_in_the_base(facts: dict[str, Any]) -> None:
    seen = facts["boot"]
    merged = int(seen["merge"]["ExecMainExitTimestampMonotonic"])
    twin, base = (int(seen[key]["ActiveEnterTimestampMonotonic"]) for key in ("twin", "base twin"))
    assert merged < twin
    assert abs(twin - base) < 1_000_000, f"{(twin - base) / 1000:.0f} ms after its twin"


def test_no_change_touches_nothing(facts: dict[str, Any]) -> None:
    assert facts["unchanged"]["ran"]["rc"] == 0
    assert facts["unchanged"]["pids"] == facts["boot"]["pids"]
    assert facts["unchanged"]["web"] == facts["boot"]["web"]


def test_of_twelve_services_the_one_that_changed_is_restarted(facts: dict[str, Any]) -> None:
    seen, before = facts["one of twelve"], facts["boot"]["pids"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert [unit for unit, pid in seen["pids"].items() if pid != before[unit]] == ["s5.service"]
    assert seen["web"] == facts["boot"]["web"]


def test_a_reload_under_load_fails_no_request(facts: dict[str, Any]) -> None:
    seen = facts["reloaded under load"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert seen["errors"] == []
    assert set(seen["answers"]) == {"1 one", "1 two"}
    assert sum(seen["answers"].values()) > 100
    assert seen["web"]["MainPID"] == facts["boot"]["web"]["MainPID"]
    assert seen["answer"] == "1 two"


def test_a_changed_program_restarts_its_services(facts: dict[str, Any]) -> None:
    seen = facts["new program"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert (seen["answer"], seen["echo answer"]) == ("2 two", "echo 2")
    assert seen["web"]["MainPID"] != facts["boot"]["web"]["MainPID"]
    assert seen["pids"] == facts["one of twelve"]["pids"]


def test_actions_run_once_with_the_paths(facts: dict[str, Any]) -> None:
    seen = facts["new program"]
    assert seen["paths"] == "/usr/bin/web\n/usr/lib/echo.py\n"
    assert seen["ran action"] == "x\n"


def test_tmpfiles_action(facts: dict[str, Any]) -> None:
    assert facts["new program"]["tmpfiles"] == "2"


@pytest.mark.parametrize("scene", ["crash", "hang"])
def test_a_service_that_does_not_come_up_takes_the_change_back(facts: dict[str, Any], scene: str) -> None:
    seen = facts[scene]
    assert seen["ran"]["rc"] == 1, seen["ran"]
    assert "web.service" in seen["ran"]["out"]
    assert (seen["answer"], seen["config"]) == ("2 two", "two")
    assert seen["web"]["ActiveState"] == "active"
    assert seen["unit"]["ExecMainStatus"] == "1"
    assert "web.service" in seen["log"]
    assert seen["pids"] == facts["one of twelve"]["pids"]
    mended = facts[f"mended after {scene}"]
    assert mended["ran"]["rc"] == 0, mended["ran"]
    assert mended["answer"] == "2 two"
    assert not [unit for unit in mended["failed"] if "extension" in unit or "web" in unit]


def test_the_reason_has_the_last_line_of_the_log(facts: dict[str, Any]) -> None:
    assert "the configuration is not to my taste" in facts["crash"]["ran"]["out"]


def test_what_goes_is_stopped_while_its_files_are_there(facts: dict[str, Any]) -> None:
    seen = facts["removed"]
    assert seen["stopped"] == "with its files\n"
    assert seen["web"]["ActiveState"] == "inactive"
    assert set(seen["units"].values()) == {"inactive"}
    assert "web.service" not in seen["failed"]
    assert seen["pids"] == facts["one of twelve"]["pids"]


def test_a_directory_that_was_deleted_before_the_refresh(facts: dict[str, Any]) -> None:
    seen = facts["deleted beforehand"]
    assert set(seen["units"].values()) <= {"inactive", "failed"}
    assert seen["pids"] == facts["one of twelve"]["pids"]


def test_it_comes_back(facts: dict[str, Any]) -> None:
    assert facts["back"]["answer"] == "2 two"


def test_unmerge_and_merge(facts: dict[str, Any]) -> None:
    seen = facts["unmerged"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert seen["web"]["ActiveState"] == "inactive"
    assert set(seen["pids"].values()) == {"0"}
    again = facts["merged again"]
    assert again["ran"]["rc"] == 0, again["ran"]
    assert again["answer"] == "2 two"
    assert "0" not in again["pids"].values()
