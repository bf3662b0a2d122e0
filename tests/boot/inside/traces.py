"""traces.py: what is seen at /opt, which fstab binds from /data/opt, and at /data/opt, by whom, across every verb."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from inside import failed, read, sh

facts: dict[str, Any] = {}


def seen() -> list[str]:
    """Where what is mounted at /opt/sub comes up."""
    sh("mount -t tmpfs seen /opt/sub")
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        found = sorted({line.split(" ")[4] for line in file if " - tmpfs seen " in line})
    sh("umount /opt/sub")
    return [path for path in found if not path.startswith("/run/")]


def scene(name: str) -> None:
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        ours = sorted({line.split(" ")[4] for line in file if " - overlay extensions:" in line})
    service = sh("systemd-run -q --pipe --wait -p ProtectSystem=full sh -c 'cat /opt/app/f 2>&1; true'")
    facts[name] = {
        "opt": read("/opt/app/f"),
        "base": read("/opt/file"),
        "peer": sorted(os.listdir("/data/opt")),
        "ours": ours,
        "new service": service["out"].strip(),
        "old service": read(f"/proc/{pid}/root/opt/app/f"),
        "failed": failed(),
    }


sh("systemd-run -q -u old.service -p ProtectSystem=full sleep infinity")
pid = sh("systemctl show -P MainPID old.service")["out"].strip()
scene("boot")
with open("/var/lib/extensions/app/opt/app/f", "w", encoding="utf-8") as file:
    file.write("2\n")
facts["refresh"] = sh("extensionctl refresh --always")
scene("refreshed")
facts["unmerge"] = sh("extensionctl unmerge")
scene("unmerged")
facts["seen"] = seen()
facts["merge"] = sh("extensionctl merge")
scene("merged")
facts["rollback"] = sh("extensionctl unmerge && extensionctl refresh --always")
scene("again")
sh("extensionctl unmerge")
facts["seen again"] = seen()
json.dump(facts, sys.stdout)
