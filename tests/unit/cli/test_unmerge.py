#  SPDX-License-Identifier: MIT
"""extensionctl unmerge: a stop that fails is no success."""

from __future__ import annotations

from cli_root import Pid1
from extension_runtime.cli import main


def test_a_stop_that_fails_is_told_though_systemctl_does_not(systemd: Pid1) -> None:
    systemd.properties |= {"ActiveState": "active", "Result": "exit-code"}
    assert main.main(["unmerge"]) == 1
