#  SPDX-License-Identifier: MIT
"""What is started with the units that images bring at boot."""

from __future__ import annotations

from extension_manifests.manifest import Manifest
from react_lab import SERVICE, UNITS, WANTS, Files, Lab


def test_boot_queues_what_is_wanted_with_its_needs_and_nothing_else(lab: Lab) -> None:
    lab.systemd.state = {"multi-user.target": "inactive", "early.service": "active", "done.service": "inactive"}
    lab.systemd.queued = {"multi-user.target": ("start", "waiting")}
    lab.systemd.properties["done.service"] = {"InactiveExitTimestampMonotonic": "123"}
    lab.base = {f"{UNITS}/{name}.service": SERVICE for name in ("early", "done", "basedep", "other")}
    needs = "[Unit]\nRequires=dep.service early.service done.service\nWants=basedep.service missing.service\n"
    files: Files = {
        f"{UNITS}/a.service": needs + SERVICE,
        f"{UNITS}/a.service.wants/linked.service": "->../linked.service",
        f"{UNITS}/linked.service": SERVICE,
        f"{UNITS}/dep.service": "[Unit]\nBindsTo=dep.socket\n",
        f"{UNITS}/dep.socket": "[Socket]\n",
        f"{UNITS}/unwanted.service": SERVICE,
        f"{WANTS}/a.service": "->../a.service",
        "bin/big": "1",
    }
    lab.manifests["e"] = Manifest("e", "/m", start=("other.service",), restart=("early.service",))
    calls = lab.calls({}, {"e": files}, "merge", boot=True)
    assert calls == [
        "SWAP",
        "daemon-reload",
        "start ignore-requirements dep.socket a.service basedep.service dep.service linked.service other.service",
        "try-restart early.service",
    ]
