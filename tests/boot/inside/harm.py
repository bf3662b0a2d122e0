"""harm.py NAME=PATH...: a machine that was booted with images which harm it; NAME's innocent file is PATH."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from inside import extensions, failed, mounts, read, sh

innocent = dict(argument.split("=", 1) for argument in sys.argv[1:])
facts: dict[str, Any] = {}
FOLDERS = ("/", "/usr", "/usr/bin", "/usr/lib", "/usr/share", "/usr/lib/systemd", "/usr/lib/systemd/system", "/opt",
           "/etc", "/etc/sudoers.d")  # fmt: skip


def ordinary(command: str) -> int:
    """Run a program as nobody; its status."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.execv("/bin/sh", ["sh", "-c", command])
        finally:
            os._exit(126)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def scene(name: str, verb: str = "true") -> None:
    """What there is after `verb`."""
    rc = sh(verb, 300)
    facts[name] = {
        "rc": rc,
        "rows": {key: {"state": row["state"], "reason": row["reason"]} for key, row in extensions().items()},
        "there": sorted(key for key, path in innocent.items() if os.path.exists(f"/{path}")),
        "folders": {path: [oct(os.stat(path).st_mode), os.stat(path).st_uid, os.stat(path).st_gid] for path in FOLDERS},
        "kinds": [os.path.islink("/usr/lib64"), os.path.islink("/usr/bin"), os.path.isdir("/usr/lib/systemd/system")],
        "passwd": (read("/etc/passwd") or "").partition("\n")[0],
        "programs": [sh(program)["rc"] for program in ("/bin/true", "python3 -c 'import json'", "systemctl --version",
                                                        "/usr/lib/systemd/systemd --version", "mount --version")],
        "nobody": ordinary("/bin/true && ls /usr/bin /etc /opt >/dev/null && test -x /usr/bin/python3"),
        "hello": (read("/run/hello") or "").strip(),
        "list": sh("extensionctl list")["out"],
        "failed": failed(),
    }  # fmt: skip


scene("boot")
scene("refreshed", "extensionctl refresh")
scene("anew", "extensionctl refresh --always")
scene("reloaded", "systemctl daemon-reload && systemctl reload extensions.target")
facts["explained"] = {name: sh(f"extensionctl explain {name}")["out"] for name in innocent}
# Two that are not merged, because somebody insists: one that harms, and one for another system.
FORCED = ("folder-over-file", "elsewhere")
scene("forced", "extensionctl refresh " + " ".join(f"--force={name}" for name in (*FORCED, "link-over-lib64")))
facts["kept"] = sh("extensionctl refresh")
scene("unmerged", "extensionctl unmerge")
scene("merged", "extensionctl merge")
facts["mounts"] = mounts(("/usr", "/etc", "/opt"))
json.dump(facts, sys.stdout)
