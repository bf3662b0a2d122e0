"""Measures refreshes on the booted machine it runs on, beside systemd-sysext; prints JSON."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from typing import Any

from figures import MANIFEST, once, peak_mib

IMAGES = "/var/lib/extensions"
MANIFESTS = "/run/extensions.d"
STORE = "/var/lib/bench"
OURS = ["/usr/bin/extensionctl", "refresh"]
THEIRS = ["/usr/bin/systemd-sysext", "refresh"]
TIMES = 5
# Name: how many, whether they are raw images, and the goal: how many times the time of systemd-sysext.
SETS = {
    "1 directory": (1, False, 2.0),
    "10 directories": (10, False, 1.5),
    "50 directories": (50, False, 0.8),
    "20 raw images": (20, True, 0.2),
}


def run(*argv: str) -> None:
    """Run a command that must not fail."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def image(place: str, name: str, text: str, raw: bool) -> str:
    """Make an image with one file, as a directory or squashfs; its path."""
    tree = f"{place}/{name}"
    release = f"{tree}/usr/lib/extension-release.d"
    os.makedirs(release)
    os.makedirs(f"{tree}/usr/share/{name}")
    with open(f"{release}/extension-release.{name}", "w", encoding="utf-8") as file:
        file.write("ID=_any\n")
    with open(f"{tree}/usr/share/{name}/file", "w", encoding="utf-8") as file:
        file.write(text)
    if not raw:
        return tree
    run("mksquashfs", tree, f"{tree}.raw", "-quiet", "-noappend")
    shutil.rmtree(tree)
    return f"{tree}.raw"


def populate(number: int, raw: bool) -> tuple[str, str]:
    """Put `number` extensions in place; the paths of the first one's image and of another version to swap it with."""
    for place in (IMAGES, MANIFESTS, STORE):
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
    first = ""
    for index in range(number):
        name = f"extension{index:03}"
        made = image(IMAGES, name, "one\n", raw)
        first = first or made
        with open(f"{MANIFESTS}/{name}.extension", "w", encoding="utf-8") as file:
            file.write(MANIFEST.replace("Restart=some.service\n", ""))
    run("systemctl", "daemon-reload")
    return first, image(STORE, "extension000", "another\n", raw)


def exchange(one: str, other: str) -> None:
    """Let two paths change names, so that the image in place is another one."""
    os.rename(one, one + ".old")
    os.rename(other, one)
    os.rename(one + ".old", other)


def refreshed(argv: list[str], one: str, other: str) -> float:
    """The median time in ms of a refresh with one image changed."""
    found = []
    for _ in range(TIMES):
        exchange(one, other)
        found.append(once(argv))
    median: float = statistics.median(found)
    return median


def lookups(argv: list[str], times: int, one: str, other: str, path: str) -> tuple[int, int]:
    """How often `path` was looked up during so many refreshes, and how often in vain."""
    code = (
        "import os, sys\ncount = missing = 0\n"
        "while not os.path.exists('/run/bench-end'):\n"
        "    for _ in range(1000):\n        count += 1\n"
        "        try: os.stat(sys.argv[1])\n        except OSError: missing += 1\n"
        "print(count, missing)\n"
    )
    looker = subprocess.Popen([sys.executable, "-ISc", code, path], stdout=subprocess.PIPE, text=True)
    for _ in range(times):
        exchange(one, other)
        once(argv)
    with open("/run/bench-end", "w", encoding="utf-8"):
        out = looker.communicate()[0]
    os.unlink("/run/bench-end")
    count, missing = out.split()
    return int(count), int(missing)


def main() -> None:
    """Measure everything."""
    facts: dict[str, Any] = {"refresh": {}, "parts": {}, "lookups": {}}
    for name, (number, raw, goal) in SETS.items():
        one, other = populate(number, raw)
        run("extensionctl", "refresh")
        ours = refreshed(OURS, one, other)
        if number == 50:
            facts["merge MiB"] = peak_mib(["/usr/lib/extensionctl/extensions-merge", "refresh", "--always"])
        if number == 1:
            facts["parts"]["extensionctl refresh, nothing changed: 1 directory"] = once(OURS)
            facts["parts"]["systemctl daemon-reload, for comparison"] = once(["/usr/bin/systemctl", "daemon-reload"])
        run("extensionctl", "unmerge")
        run("systemd-sysext", "merge")
        theirs = refreshed(THEIRS, one, other)
        run("systemd-sysext", "unmerge")
        facts["refresh"][name] = (ours, theirs, goal)
    one, other = populate(1, False)
    path = "/usr/share/extension000/file"
    run("extensionctl", "refresh")
    facts["lookups"]["extensionctl, 200 refreshes"] = (*lookups(OURS, 200, one, other, path), True)
    run("extensionctl", "unmerge")
    run("systemd-sysext", "merge")
    facts["lookups"]["systemd-sysext, 200 refreshes"] = (*lookups(THEIRS, 200, one, other, path), False)
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
