#  SPDX-License-Identifier: MIT
"""Our own units are told from all others by the beginning of their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests import escape, units

SHIPPED = sorted(path.name for path in (Path(__file__).resolve().parents[3] / "units").iterdir())


@pytest.mark.parametrize("name", [*SHIPPED, escape.mount_unit("a"), escape.service_unit("a")])
def test_every_unit_of_ours_is_known_as_such(name: str) -> None:
    assert name.startswith(units.OURS)


@pytest.mark.parametrize("name", [units.TARGET, units.MERGE, units.REFRESH])
def test_what_is_named_is_shipped(name: str) -> None:
    assert name in SHIPPED


@pytest.mark.parametrize("name", ["extension.service", "run-extensions.mount", "my-extension@a.service", "a.target"])
def test_others_are_not_ours(name: str) -> None:
    assert not name.startswith(units.OURS)
