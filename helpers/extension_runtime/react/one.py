#  SPDX-License-Identifier: MIT
"""What reload and stop of extension@NAME.service do."""

from __future__ import annotations

from extension_manifests import load

from extension_runtime.pid1.systemctl import Systemd
from extension_runtime.react.requested import of_manifest, settle
from extension_runtime.react.wish import RELOAD, RESTART, START, STOP, Machine


def reload_one(root: str, name: str) -> int:
    """`systemctl reload extension@NAME.service`: restart, reload and start what the manifest names; an exit status."""
    return run_one(root, name, (RESTART, RELOAD, START))


def stop_one(root: str, name: str) -> int:
    """`systemctl stop extension@NAME.service`: stop what the manifest names; an exit status."""
    return run_one(root, name, (STOP,))


def run_one(root: str, name: str, verbs: tuple[str, ...]) -> int:
    """Do what the manifest of extension `name` asks for, without waiting: its own unit is what others wait for."""
    if root:
        return 0
    manifest = next((found for found in load.load(root).extensions if found.name == name), None)
    if manifest is None:
        return 0
    systemd = Systemd()
    machine = Machine(systemd.units(), {}, {})
    calls = {START: "start", RESTART: "try-restart", RELOAD: "try-reload-or-restart", STOP: "stop"}
    for verb in verbs:
        wanted = settle(of_manifest(manifest, STOP in verbs), machine)
        systemd.queue(calls[verb], [wish.unit for wish in wanted if wish.verb == verb])
    return 0
