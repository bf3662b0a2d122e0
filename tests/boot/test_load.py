"""Many swaps while a hundred sandboxed units start, stop, and try all the time what they must not.

It takes minutes, so that by default it is twenty swaps on one of the suites that are tested, trixie if that is one.
All of it: LOAD_SWAPS=100 LOAD_SUITES="bookworm trixie sid", five minutes a suite on two processors.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import SUITES
from images import directory
from machine import Boot, Machine
from requirements import require_tool

SWAPS, UNITS = int(os.environ.get("LOAD_SWAPS", "20")), 100
DEFAULT = "trixie" if "trixie" in SUITES else SUITES[0]
LOAD_SUITES = os.environ.get("LOAD_SUITES", DEFAULT).split()
TAILS = ("", "/open", "/shut", "/secret", "/bound")
SOURCE = Path(__file__).with_name("prober.c")


def _prepare(machine: Machine, prober: Path) -> None:
    root = machine.root
    for tail in TAILS:
        machine.write(f"etc/box{tail}/file", "base\n")
    shutil.copy(prober, root / "srv/prober")
    for version in ("1", "2", "3"):
        config = {f"etc/box{tail}/file": f"{version}\n" for tail in TAILS}
        directory(root / f"srv/box-{version}", "box", config, "confext")
        software = dict.fromkeys(("usr/share/box/file", "opt/box/file"), f"{version}\n")
        image = directory(root / f"srv/boxware-{version}", "boxware", software)
        for folder in ("usr/bin", "opt/box"):
            (image / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(prober, image / folder)
    for home, name, kind in (("var/lib/confexts", "box", "confext"), ("var/lib/extensions", "boxware", "sysext")):
        (root / home).mkdir(parents=True, exist_ok=True)
        (root / f"srv/{name}-3").rename(root / home / name)
        machine.write(f"{home}/{name}.version", "3")
        machine.write(f"etc/extensions.d/{name}.extension", f"[Extension]\nClass={kind}\n")
    machine.write("etc/extensions.d/extensions.conf", "[Etc]\nMode=ephemeral\n")


_booted: dict[str, Boot] = {}


@pytest.fixture(scope="module", params=LOAD_SUITES)
def facts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What load.py saw on a machine of a suite, which is booted once, also when that fails."""
    suite: str = request.param
    if suite not in _booted:
        require_tool("gcc")
        place = tmp_path_factory.mktemp(suite)
        prober = place / "prober"
        subprocess.run(["gcc", "-O2", "-static", "-Wall", "-Werror", "-o", str(prober), str(SOURCE)], check=True)
        with Machine(suite, place / "machine") as machine:
            _prepare(machine, prober)
            _booted[suite] = machine.boot("load.py", str(SWAPS), str(UNITS), timeout=900.0)
    return _booted[suite].facts()


def test_all_units_run(facts: dict[str, Any]) -> None:
    assert [facts[key]["rc"] for key in ("started", "restarted", "stopped")] == [0, 0, 0]
    assert facts["units"]["processes"] > UNITS, "they stopped and started meanwhile"
    assert facts["units"]["rounds"] > 10 * UNITS


def test_no_unit_could_do_what_it_must_not_and_each_could_what_it_may(facts: dict[str, Any]) -> None:
    assert facts["units"]["failures"] == []


def test_no_unit_is_left_with_old_content(facts: dict[str, Any]) -> None:
    assert (facts["outdated"], facts["left behind"]) == ([], [])


def test_each_access_at_full_speed_works_all_the_time(facts: dict[str, Any]) -> None:
    match = re.fullmatch(r"rounds=(\d+)\n", facts["everything"])
    assert match, facts["everything"]
    assert int(match[1]) > SWAPS


def test_time_for_a_namespace(facts: dict[str, Any]) -> None:
    for name in ("quiet", "loaded"):
        rows = [row for row in facts[name] if row[0]]
        number = sum(row[0] for row in rows)
        wall, processor = (1000 * sum(row[column] for row in rows) / number for column in (1, 2))
        print(f"{name}: {len(rows)} swaps, {number} namespaces, {wall:.2f} ms each, {processor:.2f} ms of processor")
        assert number > UNITS
        assert processor < 20, "several times of what it takes"
