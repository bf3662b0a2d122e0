"""Which suites are booted: bookworm (systemd 252), trixie (257), sid (262); SUITES names fewer."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="module", params=os.environ.get("SUITES", "bookworm trixie sid").split())
def suite(request: pytest.FixtureRequest) -> str:
    """The Debian suite whose systemd is PID 1."""
    name: str = request.param
    return name
