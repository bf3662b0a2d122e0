"""What all tests share: nothing left out goes unnoticed, and boots are done side by side."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Nothing is kept from run to run: a checkout may be read-only, and what a test tries is in the test.
settings.register_profile("extensionctl", database=None, deadline=None)
settings.load_profile("extensionctl")

SUITES = os.environ.get("SUITES", "bookworm trixie sid").split()
CI = os.environ.get("CI") == "true"
PACKAGES = Path(__file__).resolve().parent / "packages"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave what needs the network to who names it: `make check-packages`."""
    return True if collection_path == PACKAGES else None


@pytest.fixture(scope="module", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """The Debian suite that a machine is booted of: systemd 252, 257, 262; SUITES names fewer."""
    name: str = request.param
    return name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole files to processes, and of those that boot, what shares the boot of one suite."""
    from xdist.scheduler import LoadScopeScheduling

    class BySuite(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path, _, test = nodeid.partition("::")
            suites = [suite for suite in SUITES if suite in re.split(r"[\[\]-]", test)]
            return f"{path} {suites}"

    return BySuite(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the boots, which take longest."""
    items.sort(key=lambda item: "boot" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a test that is left out has failed."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"left out, and CI=true: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line what was left out, and how to run it."""
    left_out = terminalreporter.stats.get("skipped", [])
    if left_out:
        terminalreporter.write_line(
            f"{len(left_out)} tests were left out for the reasons above; `sudo make check` runs them all"
        )
