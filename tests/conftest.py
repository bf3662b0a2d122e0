"""What all tests share: nothing left out goes unnoticed, and boots of one suite stay in one process."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="module", params=os.environ.get("SUITES", "bookworm trixie sid").split())
def suite(request: pytest.FixtureRequest) -> str:
    """The Debian suite that a machine is booted of: systemd 252, 257, 262; SUITES names fewer."""
    name: str = request.param
    return name


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep what shares a boot in one worker process."""
    suite = getattr(getattr(item, "callspec", None), "params", {}).get("suite")
    if suite is not None:
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{suite}"))


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
