"""Extension images for the boot tests, made in a machine's tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

HELLO_SERVICE = """\
[Unit]
Description=Says which version it is
[Service]
ExecStart=/usr/bin/hello
"""


def release(kind: str) -> str:
    """The path of a release file below an image, `%s` standing for the image's name; `kind` is sysext or confext."""
    return ("usr/lib" if kind == "sysext" else "etc") + "/extension-release.d/extension-release.%s"


def directory(place: Path, name: str, files: dict[str, str], kind: str = "sysext", host: str = "ID=_any\n") -> Path:
    """A directory image of `name` at `place`; a text that begins with `-> ` is a link, one with `#!` is executable."""
    for path, text in {release(kind) % name: host, **files}.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            file.symlink_to(text.removeprefix("-> "))
        else:
            file.write_text(text)
            file.chmod(0o755 if text.startswith("#!") else 0o644)
    return place


def squashfs(source: Path, image: Path) -> Path:
    """Pack a directory image into a squashfs, and remove the directory."""
    image.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mksquashfs", str(source), str(image), "-noappend", "-quiet", "-no-progress", "-all-root"], check=True
    )
    subprocess.run(["rm", "-rf", str(source)], check=True)
    return image


def hello(version: str) -> dict[str, str]:
    """The files of a sysext with a program that says `version` and a service that runs it from boot on."""
    return {
        "usr/bin/hello": f"#!/bin/sh\necho {version} >/run/hello\nexec sleep infinity\n",
        "usr/share/hello/version": version,
        "usr/lib/systemd/system/hello.service": HELLO_SERVICE,
        "usr/lib/systemd/system/multi-user.target.wants/hello.service": "-> ../hello.service",
    }
