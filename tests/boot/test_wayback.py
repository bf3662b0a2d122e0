"""The way back does not need what is merged, which may take away the interpreter, systemctl or this project itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from images import directory, hello
from machine import Boot, Machine

PROGRAM = "#!/bin/sh\necho 'Python 3.9: no such option' >&2\nexit 2\n"
BAD = {
    "script": {"usr/bin/python3": PROGRAM},
    "text": {"usr/bin/python3": "no program at all\n"},
    "systemctl": {},
    "file": {"usr/lib/extensionctl": "a file where a folder was\n"},
    "packages": {
        "usr/lib/extensionctl/extension_runtime/__init__.py": "raise SystemExit(9)\n",
        "usr/lib/extensionctl/extension_manifests/__init__.py": "raise SystemExit(9)\n",
        "usr/lib/extensionctl/extensions-merge": "#!/bin/sh\nexit 9\n",
    },
    "all": {"usr/bin/python3": PROGRAM, "usr/lib/extensionctl": "a file where a folder was\n"},
}
WITHOUT_SYSTEMCTL = ("systemctl", "all")
# Not as a service that a new python3 restarts.
RUN = '#!/bin/sh\nexec /usr/bin/python3 -B /boot-test/wayback.py "$@"\n'
STILL_RUNS = ("packages", "file")

_booted: dict[str, Boot] = {}


def _bad(machine: Machine, name: str) -> None:
    image = directory(machine.root / "var/lib/bad" / name, name, BAD[name])
    (image / "usr/bin").mkdir(parents=True, exist_ok=True)
    if "usr/bin/python3" in BAD[name]:
        (image / "usr/bin/python3").chmod(0o755)
    if name in WITHOUT_SYSTEMCTL:
        _whiteout(image / "usr/bin/systemctl")


def _whiteout(path: Path) -> None:
    """What an overlay takes for: there is none below this."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What `inside/wayback.py` saw, by bad image and scene."""
    if suite not in _booted:
        with Machine(suite, tmp_path_factory.mktemp(suite)) as machine:
            for version in ("1", "2", "3"):
                directory(machine.root / f"var/lib/hello-{version}", "hello", hello(version))
            directory(machine.root / "var/lib/extensions/hello", "hello", hello("1"))
            machine.write("etc/extensions.d/hello.extension", "[Extension]\n")
            for name in BAD:
                _bad(machine, name)
            _booted[suite] = machine.boot(RUN, *BAD)
    return _booted[suite].facts()


def merged(seen: dict[str, Any], name: str, version: str) -> None:
    assert seen["ran"]["rc"] == 0, seen
    assert seen["states"] == {"hello": "merged", name: "merged"}, seen
    assert (seen["version"], seen["said"]) == (version, f"{version}\n"), seen
    assert seen["failed"] == "", seen


@pytest.mark.parametrize("name", BAD)
def test_the_image_takes_away_what_it_says(facts: dict[str, dict[str, Any]], name: str) -> None:
    merged(facts[name]["merged"], name, "1")
    assert (facts[name]["merged"]["broken"]["rc"] == 0) == (name in STILL_RUNS), facts[name]["merged"]


@pytest.mark.parametrize("name", BAD)
def test_a_refresh_works(facts: dict[str, dict[str, Any]], name: str) -> None:
    merged(facts[name]["refreshed"], name, "2")


@pytest.mark.parametrize("name", BAD)
def test_the_units_and_the_generator_work(facts: dict[str, dict[str, Any]], name: str) -> None:
    merged(facts[name]["reloaded"], name, "3")
    assert facts[name]["reloaded"]["mount"].startswith("/run/systemd/generator"), facts[name]["reloaded"]


@pytest.mark.parametrize("name", BAD)
def test_a_rollback_works(facts: dict[str, dict[str, Any]], name: str) -> None:
    assert facts[name]["rolled back"]["ran"]["rc"] == 0, facts[name]["rolled back"]
    assert facts[name]["rolled back"]["version"] == "2"


@pytest.mark.parametrize("scene", ["unmerged", "stopped"])
@pytest.mark.parametrize("name", BAD)
def test_everything_can_be_taken_off(facts: dict[str, dict[str, Any]], name: str, scene: str) -> None:
    seen = facts[name][scene]
    assert seen["ran"]["rc"] == 0, seen
    assert seen["version"] is None and seen["broken"]["rc"] == 0, seen
    assert seen["failed"] == "", seen
    merged({**facts[name]["again"], "failed": ""}, name, "3")
    assert facts[name]["stopped"]["merge"] == {"ActiveState": "inactive", "Result": "success"}


def test_the_units_are_confined(facts: dict[str, dict[str, Any]]) -> None:
    """As far as a swap in PID 1's namespace and the commands of actions allow."""
    for unit, line in facts["exposure"].items():
        assert line.startswith(f"→ Overall exposure level for {unit}: "), line
        assert float(line.split(": ")[1].split()[0]) <= 7.5, line


@pytest.mark.parametrize("who", ["user", "hidden"])
def test_who_cannot_see_the_base_is_not_left_alone(facts: dict[str, dict[str, Any]], who: str) -> None:
    assert facts[who]["rc"] == 0 and facts[who]["out"].startswith("usage: extensionctl"), facts[who]
