#  SPDX-License-Identifier: MIT
"""extensionctl check on raw images: root sees whether what is inside matches, and nothing stays behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

from requirements import require_filesystem, require_tool

PROGRAM = Path(__file__).resolve().parents[2] / "helpers/extensionctl"


def check(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run([PROGRAM, "check", "--no-legend", *arguments], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def pack(folder: Path, name: str, release: str) -> Path:
    """A squashfs sysext."""
    file = folder / name / f"usr/lib/extension-release.d/extension-release.{name}"
    file.parent.mkdir(parents=True)
    file.write_text(release)
    image = folder / f"{name}.raw"
    subprocess.run(
        ["mksquashfs", folder / name, image, "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL
    )
    return image


def test_raw_images(namespace: Path) -> None:
    require_tool("mksquashfs")
    require_filesystem("squashfs")
    system = namespace / "os-release"
    system.write_text("ID=debian\nVERSION_ID=12\n")
    mounts = Path("/proc/self/mountinfo").read_text()
    assert check("--os-release", system, pack(namespace, "good", "ID=debian\nVERSION_ID=12\n")) == (0, "")
    other = pack(namespace, "other", "ID=debian\nVERSION_ID=13\n")
    status, said = check("--os-release", system, other)
    assert status == 1
    assert said.startswith(f"{other}: made for VERSION_ID=13")
    renamed = other.rename(namespace / "renamed.raw")
    status, said = check("--os-release", system, renamed)
    assert status == 1
    assert "extension-release.renamed" in said
    assert Path("/proc/self/mountinfo").read_text() == mounts
    loops = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True, check=True).stdout
    assert str(namespace) not in loops
