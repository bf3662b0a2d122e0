"""death.py refresh|look: refresh for ever, to be killed at any moment; or see what the next boot made of it,
and what the verbs make of a record of the merge that cannot be read.
"""

from __future__ import annotations

import json
import os
import sys

from inside import can_write, extensions, failed, mounts, read, sh

VERSIONS = "/var/lib/extensions/hello.v"
STATE = "/run/extensionctl/state.json"
LOST = ("{", '{"format": 99}', "")


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
    facts["lost"] = [lose(text) for text in LOST]
    json.dump(facts, sys.stdout)


def told() -> int:
    """How often the journal has been told that a record was put aside."""
    sh("journalctl --sync")
    command = "journalctl -b -u extensions-refresh.service -o cat | grep -c 'kept as .*state.json.aside' || :"
    return int(sh(command)["out"])


def lose(text: str) -> dict[str, object]:
    """What the record of the merge being `text` does to the verbs, and what is there after them."""
    with open(STATE, "w", encoding="utf-8") as file:
        file.write(text)
    return {
        "list": sh("extensionctl list"),
        "refresh": sh("extensionctl refresh"),
        "told": told(),
        "extensions": {name: row["state"] for name, row in extensions().items()},
        "mark": read("/etc/mark"),
        "version": read("/usr/share/hello/version"),
        "active": sh("systemctl is-active hello.service")["out"],
        "failed": failed(),
        "again": sh("extensionctl refresh"),
        "told again": told(),
        "overlays": [line for line in mounts(("/usr", "/opt", "/etc")) if line.endswith(" overlay")],
    }


{"refresh": refresh_for_ever, "look": look}[sys.argv[1]]()
