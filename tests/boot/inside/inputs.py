"""What is merged, over refreshes and reloads of PID 1, where images bring and hide inputs and lie below hierarchies."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from inside import extensions, read, sh

IMAGES = ("etc/extensions/kube.raw", "usr/lib/confexts/vend.raw")
facts: dict[str, Any] = {}


def generation() -> int:
    with open("/run/extensionctl/state.json", encoding="utf-8") as file:
        found: int = json.load(file)["generation"]
    return found


def number_of(image: str) -> list[str]:
    """The inode and the device of an image below a hierarchy, as losetup has them."""
    info = os.stat(f"/run/extensionctl/base/{image}")
    return [str(info.st_ino), f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}"]


def scene(name: str) -> None:
    rows = extensions()
    # Not by name: other machines of these tests run on the same kernel, with images of the same name.
    backed = [line.split() for line in sh("losetup -l -n -O BACK-INO,BACK-MAJ:MIN")["out"].splitlines()]
    generated = sorted(str(path.name) for path in Path("/run/systemd/generator").glob("run-extension-*.mount"))
    facts[name] = {
        "states": {key: row["state"] for key, row in rows.items()},
        "carried": rows["carried"]["reason"],
        "loops": {os.path.basename(image): backed.count(number_of(image)) for image in IMAGES},
        "units": generated,
        "generation": generation(),
    }


scene("boot")
facts["hidden"] = os.listdir("/usr/lib/extensions.d")
sh("systemctl daemon-reload")
scene("reloaded")
facts["unchanged"] = []
for _ in range(3):
    sh("systemctl daemon-reload; extensionctl refresh")
    facts["unchanged"].append(generation())
facts["updates"] = []
for number in range(6):
    with open("/var/lib/confexts/site/etc/site.conf", "w", encoding="utf-8") as file:
        file.write(str(number))
    os.utime("/var/lib/confexts/site/etc")
    sh("extensionctl refresh")
    facts["updates"].append(read("/etc/site.conf"))
os.rename("/var/lib/extensions/tool/usr/share/tool/file", "/var/lib/extensions/tool/usr/share/tool/old")
with open("/var/lib/extensions/tool/usr/share/tool/file", "w", encoding="utf-8") as file:
    file.write("2")
os.utime("/var/lib/extensions/tool/usr")
facts["tool"] = sh("extensionctl refresh")
facts["tool file"] = read("/usr/share/tool/file")
scene("refreshed")
os.makedirs("/run/extensions.d")
with open("/run/extensions.d/extensions.conf", "w", encoding="utf-8") as file:
    file.write("[Etc]\nMode=ephemeral\n")
sh("systemctl daemon-reload; extensionctl refresh")
scene("mutable")
with open("/etc/extensions.d/late.extension", "w", encoding="utf-8") as file:
    file.write("[Extension]\n")
os.unlink("/etc/extensions.d/tool.extension")
os.symlink("/dev/null", "/etc/extensions.d/tool.extension")
facts["people"] = sh("systemctl daemon-reload; extensionctl refresh")
scene("written")
print(json.dumps(facts))
