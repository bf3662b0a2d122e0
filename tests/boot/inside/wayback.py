"""wayback.py: what still works while something is merged that takes away what this project runs on."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from typing import Any

from inside import extensions, read, sh, show

BASE = "/run/extensionctl/base/usr/bin"
OURS = ("extensions-merge.service", "extensions-refresh.service", "extension@hello.service")
facts: dict[str, Any] = {}


def hello(version: str) -> None:
    """Put a version of the image in the place of the one that is there, which is merged and must stay whole."""
    os.rename("/var/lib/extensions/hello", tempfile.mkdtemp(dir="/var/lib"))
    shutil.copytree(f"/var/lib/hello-{version}", "/var/lib/extensions/hello", symlinks=True)


def look() -> dict[str, Any]:
    return {
        "states": {name: row["state"] for name, row in extensions().items()},
        "version": read("/usr/share/hello/version"),
        "said": read("/run/hello"),
        "failed": sh(f"{BASE}/systemctl --failed --plain --no-legend")["out"],
        "broken": sh(
            "/usr/bin/python3 -c pass; r=$?; systemctl --version && extensionctl --help >/dev/null && exit $r"
        ),
    }


def merge(name: str) -> dict[str, Any]:
    """Merge the bad image `name` beside the good one."""
    hello("1")
    sh("systemctl start extensions-merge.service")
    os.rename(f"/var/lib/bad/{name}", f"/var/lib/extensions/{name}")
    with open(f"/etc/extensions.d/{name}.extension", "w", encoding="utf-8") as file:
        file.write("[Extension]\nHides=/usr/bin/* /usr/lib/extensionctl /usr/lib/extensionctl/**\n")
    ran = sh("systemctl daemon-reload && extensionctl refresh")
    return {"ran": ran, **look()}


def refresh(how: str, version: str) -> dict[str, Any]:
    hello(version)
    return {"ran": sh(how), **look()}


def remove(name: str) -> None:
    os.unlink(f"/etc/extensions.d/{name}.extension")
    shutil.rmtree(f"/var/lib/extensions/{name}")
    sh("systemctl daemon-reload; systemctl reset-failed")


facts["exposure"] = {unit: sh(f"systemd-analyze security --no-pager {unit} | tail -n 1")["out"] for unit in OURS}
# Who cannot see the base takes what is there.
facts["user"] = sh("setpriv --reuid=65534 --regid=65534 --clear-groups extensionctl --help")
facts["hidden"] = sh("systemd-run --quiet --wait --pipe -p InaccessiblePaths=/run/extensionctl extensionctl --help")
for bad in sys.argv[1:]:
    seen = facts[bad] = {"merged": merge(bad)}
    seen["refreshed"] = refresh("extensionctl refresh", "2")
    # The generator runs here, with what is merged.
    seen["reloaded"] = refresh(f"{BASE}/systemctl daemon-reload; {BASE}/systemctl reload extensions.target", "3")
    seen["reloaded"]["mount"] = sh(f"{BASE}/systemctl show run-extension-{bad}.mount -p FragmentPath --value")["out"]
    seen["rolled back"] = {"ran": sh("extensionctl rollback"), **look()}
    seen["unmerged"] = {"ran": sh("extensionctl unmerge"), **look()}
    seen["again"] = {"ran": sh("extensionctl merge"), **look()}
    seen["stopped"] = {"ran": sh(f"{BASE}/systemctl stop extensions-merge.service"), **look()}
    seen["stopped"]["merge"] = show("extensions-merge.service", "ActiveState", "Result")
    remove(bad)
json.dump(facts, sys.stdout)
