"""imports.py: which modules each verb imports on the running machine once /usr is another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from inside import failed, read, sh

LIBRARY = "/usr/lib/extensionctl"
NOTHING = "no swap"
# Neither imports anything that what it looks at may have to import: json, re and the like would hide it.
UNIT = f"""
import sys
sys.path.insert(0, "{LIBRARY}")
from extension_runtime.merge import main
loaded = set()
progress = main._progress
def look(step):
    if step.name.startswith("swap:"):
        loaded.update(set() if loaded else sys.modules)
    progress(step)
main._progress = look
code = main.main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    print(*sorted(set(sys.modules) - loaded) if loaded else ["{NOTHING}"], file=file)
sys.exit(code)
"""
COMMAND = f"""
import sys
sys.path.insert(0, "{LIBRARY}")
from extension_runtime.cli import main
from extension_runtime.pid1 import queries
loaded = set()
def looking(call):
    def called(*arguments):
        ended = call(*arguments)
        loaded.update(set() if loaded else sys.modules)
        return ended
    return called
queries.run_unit, queries.run_transient = looking(queries.run_unit), looking(queries.run_transient)
code = main.main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    print(*sorted(set(sys.modules) - loaded) if loaded else ["{NOTHING}"], file=file)
sys.exit(code)
"""
facts: dict[str, Any] = {}


def scene(name: str, program: str, *arguments: str) -> None:
    """Run a program that notes its imports; what it noted, its exit status and what is on the machine then."""
    note = f"/run/imports-{len(facts)}"
    argv = [sys.executable, "-ISB", "-c", program, note, *arguments]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    imported = (read(note) or "the program did not end").split("\n")[0]
    facts[name] = {
        "imported": imported,
        "rc": ran.returncode,
        "out": ran.stdout + ran.stderr,
        "version": read("/usr/share/hello/version"),
        "failed": failed(),
    }


def install(version: str) -> None:
    """Put a version of the image in the place of the one that is there."""
    os.rename("/var/lib/extensions/hello", f"/var/lib/extensions-old-{version}")
    os.rename(f"/var/lib/hello-{version}", "/var/lib/extensions/hello")


sh("systemctl start hello.service")
install("2")
scene("refresh with a restart", UNIT, "refresh")
install("3")
scene("refresh that is taken back", UNIT, "refresh")
install("4")
scene("refresh with one left out", UNIT, "refresh")
scene("rollback", UNIT, "rollback")
scene("refresh of all", UNIT, "refresh", "--always")
scene("unmerge", UNIT, "unmerge")
scene("merge", UNIT, "merge")
sh("systemctl reset-failed; extensionctl unmerge; extensionctl merge")
scene("the command merge", COMMAND, "merge")
for verb in ("refresh", "unmerge", "merge"):
    scene(f"the command {verb}, in short", COMMAND, verb, "--json=short")
scene("the command refresh", COMMAND, "refresh")
scene("the command refresh --always", COMMAND, "refresh", "--always", "--json=pretty")
scene("the command rollback", COMMAND, "rollback")
scene("the command unmerge", COMMAND, "unmerge")
json.dump(facts, sys.stdout)
