"""A machine's day, from the boot to the removal of the project; prints one JSON object, a key for each scene."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import sys
from typing import Any

from inside import Lookups, can_write, difference, extensions, failed, mounts, read, sh, show, tree

RELOAD = "systemctl daemon-reload && systemctl reload extensions.target"
VERSIONS = "/var/lib/extensions/hello.v"
LIBDIR = "/usr/lib/extensionctl"
# What the Makefile passes on to it; the machine has no make.
PLACES = {
    "DESTDIR": "",
    "LIBDIR": LIBDIR,
    "BINDIR": "/usr/bin",
    "SBINDIR": "/usr/sbin",
    "MANDIR": "/usr/share/man",
    "COMPLETIONDIR": "/usr/share/bash-completion/completions",
    "UNITDIR": "/usr/lib/systemd/system",
    "GENERATORDIR": "/usr/lib/systemd/system-generators",
    "TMPFILESDIR": "/usr/lib/tmpfiles.d",
    "PYTHON": "/usr/bin/python3",
}
SETUP = " ".join(f"{name}={value}" for name, value in PLACES.items()) + " /boot-images/checkout/setup"
facts: dict[str, Any] = {}


def scene(name: str) -> dict[str, Any]:
    """What can be seen now; every scene begins with this."""
    facts[name] = {
        "extensions": extensions(),
        "failed": failed(),
        "version": read("/usr/share/hello/version"),
        "said": read("/run/hello"),
        "hello": show("hello.service", "ActiveState", "SubState", "MainPID", "NRestarts"),
        "config": read("/etc/hello.conf"),
        "raw": read("/usr/share/raw/file"),
        "submounts": [read("/opt/sub/file"), read("/usr/local/games/file"), read("/usr/local/games/nested/file")],
        "overlays": mounts(("/usr", "/opt", "/etc")),
    }
    return facts[name]  # type: ignore[no-any-return]


def generated() -> dict[str, str]:
    """Digests and targets of what the generators wrote."""
    found = {}
    for path in glob.glob("/run/systemd/generator*/**", recursive=True):
        if os.path.islink(path):
            found[path] = os.readlink(path)
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                found[path] = hashlib.sha256(file.read()).hexdigest()
    return found


def at_boot() -> None:
    """Everything that the boot alone must have done."""
    seen = scene("boot")
    seen["multi-user"] = show("multi-user.target", "ActiveState")["ActiveState"]
    seen["once"] = read("/run/raw-once")
    seen["early"] = read("/run/early-once")
    seen["early order"] = show("early-once.service", "ActiveEnterTimestampMonotonic")
    seen["sysinit"] = show("sysinit.target", "ActiveEnterTimestampMonotonic")
    seen["write"] = {path: can_write(path + "/x") for path in ("/usr", "/opt", "/etc")}
    seen["units"] = {
        name: show(f"run-extension-{name}.mount", "ActiveState", "SubState", "ConditionResult")
        for name in ("hello", "held", "broken", "typo", "foreign", "missing")
    }
    seen["active"] = {
        name: show(f"extension@{name}.service", "ActiveState")["ActiveState"]
        for name in ("hello", "hello-config", "raw", "held", "broken")
    }
    seen["typo log"] = sh("systemctl status run-extension-typo.mount; journalctl -b -u run-extension-typo.mount")["out"]
    before = generated()
    reloads = [sh("systemctl daemon-reload"), sh("systemctl daemon-reload")]
    seen["reloads"] = [reload["rc"] for reload in reloads]
    seen["generated"] = {"files": len([path for path in before if "extension" in path]), "same": before == generated()}


def refreshes() -> None:
    """No change, a new version, one that cannot be used, an image that goes."""
    ran = sh(RELOAD)
    scene("unchanged")["ran"] = ran
    shutil.copytree("/boot-images/hello_2.0", f"{VERSIONS}/hello_2.0", symlinks=True)
    with Lookups("/usr/share/raw/file", "/usr/share/hello/version", "/etc/hello.conf", "/usr/bin/hello") as lookups:
        ran = sh(RELOAD)
    scene("upgraded").update(ran=ran, lookups=lookups.count, missing=lookups.missing)
    os.mkdir(f"{VERSIONS}/hello_3.0")
    ran = sh(RELOAD)
    scene("bad version").update(ran=ran)
    ran = sh("extensionctl refresh")
    facts["bad version"]["verb"] = ran
    os.rmdir(f"{VERSIONS}/hello_3.0")
    ran = sh(RELOAD)
    scene("mended").update(ran=ran)
    os.makedirs("/run/extensions.d")
    os.rename("/boot-images/late", "/var/lib/extensions/late")
    with open("/run/extensions.d/late.extension", "w", encoding="utf-8") as file:
        file.write("[Extension]\nClass=sysext\n")
    ran = sh(RELOAD)
    scene("dropped in").update(ran=ran, late=read("/opt/late/file"))
    os.unlink("/run/extensions.d/late.extension")
    os.unlink("/var/lib/extensions/raw.raw")
    ran = sh(RELOAD)
    scene("removed").update(ran=ran, late=read("/opt/late/file"))
    facts["removed"]["once"] = show("raw-once.service", "LoadState", "ActiveState")
    ran = sh("systemctl reload extensions.target; " * 3)
    scene("again").update(ran=ran)


def ending() -> None:
    """Unmerge, merge, and the removal of the project."""
    ran = sh("extensionctl unmerge")
    scene("unmerged").update(ran=ran, write={path: can_write(path + "/x") for path in ("/usr", "/opt", "/etc")})
    for path in ("/usr/x", "/opt/x", "/etc/x"):
        sh(f"rm -f {path}")
    facts["unmerged"]["difference"] = {top: difference(base[top], tree(top)) for top in base}
    for name in ("broken", "typo", "missing", "raw"):
        os.unlink(f"/etc/extensions.d/{name}.extension")
    # The image that is attached is replaced, and its files are gone for good.
    shutil.copytree("/boot-images/hello_2.0", f"{VERSIONS}/hello_2.1", symlinks=True)
    with open(f"{VERSIONS}/hello_2.1/usr/share/hello/version", "w", encoding="utf-8") as file:
        file.write("2.1")
    # What a layer has where something is installed does not count for an installation.
    os.makedirs(f"{VERSIONS}/hello_2.1/usr/share/man/man1")
    with open(f"{VERSIONS}/hello_2.1/usr/share/man/man1/extensionctl.1", "w", encoding="utf-8") as file:
        file.write("of the image\n")
    shutil.rmtree(f"{VERSIONS}/hello_2.0")
    ran = sh("systemctl daemon-reload && extensionctl merge")
    scene("merged again").update(ran=ran)
    os.mkdir(f"{VERSIONS}/hello_3.0")
    sh(RELOAD)
    facts["cleared"] = {"before": failed()}
    os.rmdir(f"{VERSIONS}/hello_3.0")
    ran = sh(RELOAD)
    facts["cleared"].update(ran=ran, after=failed())
    install_nothing()
    install_over()
    os.mkdir(f"{VERSIONS}/hello_3.0")
    sh(RELOAD)
    failed_before = failed()
    ran = sh(f"{SETUP} uninstall")
    foreign = " ".join(f"-not -path '{path}'" for path in ("/run/extensions.d", "/usr/lib/python*", "*/systemd-*"))
    left = sh(f"find /usr /run -xdev -name '*extension*' {foreign}")["out"]
    facts["uninstalled"] = {
        "ran": ran,
        "left": left.splitlines(),
        "overlays": mounts(("/usr", "/opt", "/etc", "/run/extension")),
        "hello": show("hello.service", "ActiveState", "LoadState"),
        "write": can_write("/usr/x"),
        "multi-user": show("multi-user.target", "ActiveState")["ActiveState"],
        "failed before": failed_before,
        "failed": failed(),
    }


def install_nothing() -> None:
    """An upgrade where somebody has changed a file in the base."""
    sh("mount --bind / /mnt && cp -a /mnt/usr/bin/extensionctl /mnt/root/ && echo '# mine' >>/mnt/usr/bin/extensionctl")
    ran = sh(f"{SETUP} install")
    scene("not installed over").update(ran=ran, mine=(read("/mnt/usr/bin/extensionctl") or "").endswith("# mine\n"))
    sh("mv /mnt/root/extensionctl /mnt/usr/bin/ && umount /mnt")


def install_over() -> None:
    """What an upgrade does.  Extensions take their time to stop, and note which file their last work is done with."""
    place = "/run/systemd/system/extension@.service.d"
    program = f"{LIBDIR}/extensions-merge"
    os.makedirs(place)
    with open(f"{place}/slow.conf", "w", encoding="utf-8") as file:
        file.write(f"[Service]\nExecStop=/bin/sh -c 'sleep 1; stat -c %%i {program} >/run/stopped-%i'\n")
    # A merge by hand does not start them.
    sh("systemctl daemon-reload && systemctl start extension@hello.service extension@hello-config.service")
    before = f"{os.stat(program).st_ino}\n"
    ran = sh(f"{SETUP} install")
    scene("installed over").update(ran=ran, program={"before": before, "after": f"{os.stat(program).st_ino}\n"})
    facts["installed over"]["stopped"] = {name: read(f"/run/stopped-{name}") for name in ("hello", "hello-config")}
    facts["installed over"]["journal"] = sh("journalctl -b -u 'extension@*' | grep 'Failed with result'")["out"]
    shutil.rmtree(place)


# What is under the overlays: a bind of the root alone shows it.
sh("mount --bind / /mnt")
base = {top: tree("/mnt" + top) for top in ("/usr", "/opt", "/etc")}
del base["/opt"]["sub"], base["/usr"]["local/games"]
sh("umount /mnt")
at_boot()
refreshes()
ending()
json.dump(facts, sys.stdout)
