#  SPDX-License-Identifier: MIT
"""Where nothing is to be exchanged nothing is; the exchanges themselves are held where mounts can be made."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_runtime.kernel.mountinfo import Mount
from extension_runtime.overlay import exchange

TOP = Mount("31 30 0:45 / /usr rw - overlay extensions:usr:4 ro")


@pytest.mark.parametrize("keep", [None, 0, 4])
def test_one_top_or_none_is_left_as_it_is(tmp_path: Path, keep: int | None) -> None:
    found: list[Mount] = []
    exchange.collapse(found, str(tmp_path / "missing"), keep)
    assert found == []
    found = [TOP]
    exchange.collapse(found, str(tmp_path / "missing"), keep)
    assert found == [TOP]


def test_what_is_not_there_cannot_be_taken_off(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exchange.unmount_top(str(tmp_path / "missing"))
