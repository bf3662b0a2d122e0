"""Who takes what for an image, and whose rights a program has that an image brings; prints one JSON object."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from inside import can_write, extensions, failed, mounts, read, sh, show

HASH = "RootHash=" + "00" * 32
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
facts: dict[str, Any] = {}


def etc_flags() -> dict[str, int]:
    """The flags of /etc, as statvfs(3) has them, here and for services with mounts of their own."""
    roots = {"": ""}
    for unit in ("private.service", "full.service"):
        roots[unit] = f"/proc/{show(unit, 'MainPID')['MainPID']}/root"
    return {name: os.statvfs(f"{root}/etc").f_flag for name, root in roots.items()}


def scene(name: str) -> None:
    """What can be seen now."""
    facts[name] = {
        "extensions": extensions(),
        "failed": failed(),
        "evil": [os.path.lexists(f"/usr/{path}") for path in ("share/evil", "lib/systemd/system/evil.service")],
        "users": {
            path: sh(f"{NOBODY} {path}/suid -u")
            for path in ("/usr/lib/tools", "/etc/conf", "/etc/base", "/run/extension/tools/usr/lib/tools")
        },
        "etc": etc_flags(),
    }


scene("boot")
facts["boot"]["tmp"] = read("/run/tmp-then")
facts["boot"]["mounts"] = mounts(("/run/extension/",))
facts["boot"]["units"] = {name: show(f"run-extension-{name}.mount", "ActiveState", "What") for name in ("tmp", "tools")}
facts["boot"]["log"] = sh("journalctl -b -u run-extension-tmp.mount -u extensions-merge.service -o cat")["out"]
facts["boot"]["check"] = sh("extensionctl check")
facts["boot"]["refresh"] = sh("cp -a /boot-images/evil/. /tmp/ && extensionctl refresh")
facts["boot"]["write"] = can_write("/etc/x")

# PID 1 has not read the manifest again: its unit still attaches without the key.
os.makedirs("/run/extensions.d")
shutil.copy("/usr/lib/extensions.d/tools.extension", "/run/extensions.d/tools.extension")
with open("/run/extensions.d/tools.extension", "a", encoding="utf-8") as file:
    file.write(f"{HASH}\n")
ran = sh("extensionctl refresh")
scene("not read again")
facts["not read again"]["ran"] = ran
ran = sh("systemctl daemon-reload && extensionctl refresh")
scene("read again")
facts["read again"]["ran"] = ran
os.unlink("/run/extensions.d/tools.extension")
ran = sh("systemctl daemon-reload && extensionctl refresh")
scene("without")
facts["without"]["ran"] = ran
json.dump(facts, sys.stdout)
