"""death.py refresh|look: refresh for ever, to be killed at any moment; or see what the next boot made of it."""

from __future__ import annotations

import json
import os
import sys

from inside import can_write, extensions, failed, mounts, read, sh

VERSIONS = "/var/lib/extensions/hello.v"


def refresh_for_ever() -> None:
    """Drop the second version in and take it away again, with a refresh each; write to /etc all along."""
    while True:
        os.rename("/boot-images/hello_2.0", f"{VERSIONS}/hello_2.0")
        with open("/boot-test/now", "w", encoding="utf-8"):
            can_write("/etc/mark")
        sh("extensionctl refresh")
        os.rename(f"{VERSIONS}/hello_2.0", "/boot-images/hello_2.0")
        sh("extensionctl refresh --always")


def look() -> None:
    """What is there after the boot that follows, and after one refresh."""
    facts = {
        "newest": "2.0" if os.path.exists(f"{VERSIONS}/hello_2.0") else "1.0",
        "version": read("/usr/share/hello/version"),
        "said": read("/run/hello"),
        "config": read("/etc/hello.conf"),
        "mark": read("/etc/mark"),
        "extensions": {name: row["state"] for name, row in extensions().items()},
        "failed": failed(),
        "refresh": sh("extensionctl refresh"),
        "overlays": [line for line in mounts(("/usr", "/opt", "/etc")) if line.endswith(" overlay")],
        "loops": sh("losetup --list --noheadings --output BACK-FILE | grep -c boot-images || :")["out"],
    }
    json.dump(facts, sys.stdout)


{"refresh": refresh_for_ever, "look": look}[sys.argv[1]]()
