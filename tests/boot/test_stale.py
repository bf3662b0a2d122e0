"""Units that still use what a refresh replaced, and nginx whose configuration and content come from extensions."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from images import directory
from machine import Boot, Machine

TOOL = "/usr/share/tool"
SLEEP = "ExecStart=/bin/sleep infinity\n"
MMAP = (
    "import ctypes, os, time; fd = os.open('%s/library', os.O_RDONLY); libc = ctypes.CDLL(None); "
    "libc.mmap(None, ctypes.c_size_t(4096), 1, 2, fd, ctypes.c_long(0)); os.close(fd); time.sleep(100000)"
)
# Units of the base, so that no refresh has a reason of its own to restart them.
UNITS = {
    "mounts": f"BindReadOnlyPaths={TOOL}:/mnt\n{SLEEP}",
    "maps": "ExecStart=/usr/bin/tool infinity\n",
    "library": f'ExecStart=/usr/bin/python3 -c "{MMAP % TOOL}"\n',
    "opens": f"ExecStart=/bin/sh -c 'exec 7<{TOOL}/text; exec sleep infinity'\n",
    "cwd": f"WorkingDirectory={TOOL}\n{SLEEP}",
    "clean": f"ExecStart=/bin/sh -c 'exec 7<{TOOL}/same; exec sleep infinity'\n",
    "sandboxed": f"PrivateTmp=yes\nProtectSystem=strict\n{SLEEP}",
}
REASONS = {
    "mounts.service": "its mount namespace still shows /usr as it was",
    "maps.service": "maps /usr/bin/tool, which changed",
    "library.service": f"maps {TOOL}/library, which changed",
    "opens.service": f"has {TOOL}/text open, which changed",
    "cwd.service": "its working directory is in the old /usr",
}
SERVICE = "[Unit]\nAfter=extensions.target\n[Service]\n%s"
SITE = 'server {\n listen 127.0.0.1:8090;\n root /usr/share/site;\n add_header X-Config "%s";\n}\n'
NUMBERS = {"1": "one", "2": "two", "3": "three"}


def _prepare(machine: Machine) -> None:
    root, images = machine.root, machine.root / "boot-images"
    machine.write("etc/extensions.d/tool.extension", "[Reload]\nUnits=none\n")
    machine.write("etc/extensions.d/site.extension", "[Reload]\nReloadOrRestart=nginx.service\nHealthSec=500ms\n")
    machine.write("etc/extensions.d/nginx-config.extension", "[Extension]\nClass=confext\n[Reload]\nHealthSec=500ms\n")
    machine.write(
        "etc/systemd/system/nginx.service.d/watch.conf",
        "[Unit]\nX-Extensions-Watch=/etc/nginx\nX-Extensions-OnChange=reload\n",
    )
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "nginx.service").unlink(missing_ok=True)
    (wants / "nginx.service").symlink_to("/usr/lib/systemd/system/nginx.service")
    for name, text in UNITS.items():
        machine.write(f"etc/systemd/system/{name}.service", SERVICE % text)
        (wants / f"{name}.service").symlink_to(f"../{name}.service")
    for number, word in NUMBERS.items():
        tool = directory(
            images / f"tool-{number}",
            "tool",
            {
                "usr/share/tool/text": f"text {number}\n",
                "usr/share/tool/library": f"library {number}".ljust(8192),
                "usr/share/tool/same": "never another\n",
                "usr/bin/tool": "",
            },
        )
        program = (root / "usr/bin/sleep").read_bytes() + number.encode()
        (tool / "usr/bin/tool").write_bytes(program)
        (tool / "usr/bin/tool").chmod(0o755)
        directory(images / f"site-{number}", "site", {"usr/share/site/index.html": f"content {number}\n"})
        files = {"etc/nginx/conf.d/site.conf": SITE % word}
        directory(images / f"nginx-config-{number}", "nginx-config", files, "confext")
    files = {"etc/nginx/conf.d/site.conf": SITE % "four" + "no_such_directive yes;\n"}
    directory(images / "nginx-config-broken", "nginx-config", files, "confext")
    for name, place in (("tool", "extensions"), ("site", "extensions"), ("nginx-config", "confexts")):
        shutil.copytree(images / f"{name}-1", root / "var/lib" / place / name, symlinks=True)


_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `inside/stale.py` saw on a machine of `suite`, which is booted once, also when that fails."""
    if suite not in _booted:
        with Machine(suite, tmp_path_factory.mktemp(suite)) as machine:
            _prepare(machine)
            _booted[suite] = machine.boot("stale.py", timeout=240)
    return _booted[suite].facts()


def test_all_is_up_and_nothing_is_stale_at_boot(facts: dict[str, Any]) -> None:
    assert facts["before"]["stale"] == {}
    assert "0" not in facts["before"]["pids"].values()


def test_who_uses_what_was_replaced_is_listed_with_the_reason(facts: dict[str, Any]) -> None:
    seen = facts["reported"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert seen["state"] == "merged"
    assert seen["stale"] == REASONS
    assert all(f"{unit}: {reason}" in seen["text"] for unit, reason in REASONS.items()), seen["text"]
    assert sorted(line.partition(" ")[0] for line in seen["journal"].splitlines()) == sorted(REASONS)


def test_a_report_restarts_nobody(facts: dict[str, Any]) -> None:
    assert facts["reported"]["pids"] == facts["before"]["pids"]


def test_the_search_is_quick_among_many_processes(facts: dict[str, Any]) -> None:
    seen = facts["many"]
    print(f"searched {seen['processes']} processes: {seen['cpu'] * 1000:.0f} ms CPU, {seen['wall'] * 1000:.0f} ms")
    assert seen["processes"] > 300
    assert seen["units"] == sorted(REASONS)
    assert seen["cpu"] < 0.150


def test_stale_restart_restarts_them_and_no_other(facts: dict[str, Any]) -> None:
    seen, before = facts["restarted"], facts["reported"]["pids"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert seen["stale"] == {}
    assert "0" not in seen["pids"].values()
    assert sorted(f"{unit}.service" for unit, pid in seen["pids"].items() if pid != before[unit]) == sorted(REASONS)


def test_nginx_serves_through_refreshes_without_a_failed_request(facts: dict[str, Any]) -> None:
    seen = facts["nginx under load"]
    assert facts["nginx"]["answer"] == "content 1 one"
    for row in seen["rows"]:
        assert row["ran"]["rc"] == 0, row["ran"]
        assert (row["answer"], row["pid"]) == (row["wanted"], facts["nginx"]["pid"])
    print(f"answers: {seen['answers']}")
    assert seen["errors"] == []
    assert sum(seen["answers"].values()) > 100


def test_a_configuration_that_nginx_refuses_is_taken_back(facts: dict[str, Any]) -> None:
    seen = facts["nginx broken"]
    assert seen["ran"]["rc"] == 1, seen["ran"]
    assert "nginx.service" in seen["ran"]["out"]
    assert "no_such_directive" in seen["ran"]["out"]
    assert (seen["answer"], set(seen["answers"])) == ("content 3 three", {"content 3 three"})
    assert seen["errors"] == []
    assert (seen["active"], seen["pid"]) == ("active", facts["nginx"]["pid"])
    assert seen["test"] == 0
    assert seen["last"]["result"] == "rolled-back"
    assert "nginx.service" in seen["last"]["reason"]


def test_nginx_goes_on_after_the_configuration_is_mended(facts: dict[str, Any]) -> None:
    seen = facts["nginx mended"]
    assert seen["ran"]["rc"] == 0, seen["ran"]
    assert (seen["answer"], seen["pid"]) == ("content 3 three", facts["nginx"]["pid"])
