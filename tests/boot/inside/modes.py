"""modes.py MODE: what /etc is like in the mode that the settings give it, across a reload, and what a reboot left."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from inside import can_write, extensions, failed, mounts, read, sh

mode = sys.argv[1]
MARKS = ("auto", "read-only", "ephemeral", "persistent")
facts: dict[str, Any] = {}


def scene(name: str) -> None:
    """What of /etc can be seen now."""
    facts[name] = {
        "config": read("/etc/hello.conf"),
        "extensions": {key: row["state"] for key, row in extensions().items()},
        "marks": {mark: read(f"/etc/mark-{mark}") for mark in MARKS},
        "changed": read("/etc/issue.net"),
        "failed": failed(),
    }


scene("boot")
facts["write"] = can_write(f"/etc/mark-{mode}")
facts["change"] = can_write("/etc/issue.net")
facts["reload"] = sh("systemctl daemon-reload; systemctl reload extensions.target")
scene("reloaded")
with open("/var/lib/confexts/hello-config/etc/hello.conf", "w", encoding="utf-8") as file:
    file.write(f"greeting={mode}\n")
facts["forced"] = sh("extensionctl refresh --always")
scene("refreshed")
facts["rewrite"] = can_write(f"/etc/mark-{mode}")
# The mode changes under way, and back.
DROP_IN = "/run/extensions.d/extensions.conf.d/90-test.conf"
os.makedirs(os.path.dirname(DROP_IN))
with open(DROP_IN, "w", encoding="utf-8") as file:
    file.write("[Etc]\nMode=ephemeral\n")
facts["to ephemeral"] = sh("systemctl daemon-reload && extensionctl refresh")
facts["write ephemeral"] = can_write("/etc/mark-other")
scene("changed to ephemeral")
facts["come back"] = sh(f"rm {DROP_IN}; systemctl daemon-reload; extensionctl refresh")
scene("back")
facts["write back"] = can_write("/etc/mark-back")
sh("rm -f /etc/mark-back")
facts["unmerge"] = sh("extensionctl unmerge")
scene("unmerged")
facts["merge"] = sh("extensionctl merge")
scene("merged")
facts["mounts"] = mounts(("/etc",))
json.dump(facts, sys.stdout)
