#  SPDX-License-Identifier: MIT
"""What no image may replace: it is there on a Debian system, and no ordinary package brings it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_runtime.layers.vital import VITAL
from extension_runtime.merge.harm import matcher

vital = matcher(VITAL)
CACHE = Path(os.environ.get("EXTENSIONCTL_CACHE", "/var/cache/extensionctl")) / "roots"


def test_globs_are_absolute_paths_of_hierarchies_each_said_once() -> None:
    assert all(glob.startswith(("/usr/", "/etc/")) for glob in VITAL)
    assert len(set(VITAL)) == len(VITAL)
    assert not any("**" in glob or "//" in glob or " " in glob for glob in VITAL)


@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "/usr/lib/ld-linux-aarch64.so.1", "/usr/lib/ld-linux-armhf.so.3", "/usr/lib/ld64.so.2", "/usr/lib/ld-2.36.so",
        "/usr/lib/ld-musl-x86_64.so.1", "/usr/lib/powerpc64le-linux-gnu/ld64.so.2", "/usr/lib64/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libm.so.6",
        "/usr/lib/i386-linux-gnu/libc.so.6",
        "/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-executor", "/usr/lib/systemd/systemd-journald",
        "/usr/lib/systemd/libsystemd-shared-257.so", "/usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-257.so",
        "/usr/lib/systemd/system/sysinit.target", "/usr/lib/systemd/system/multi-user.target",
        "/usr/lib/systemd/system/systemd-journald.service", "/usr/lib/systemd/system/extensions-merge.service",
        "/usr/bin/systemctl", "/usr/sbin/init", "/usr/bin/sh", "/usr/bin/python3", "/usr/bin/python3.13",
        "/usr/lib/python3.13/os.py", "/usr/lib/python3.13/encodings/utf_8.py",
        "/usr/lib/python3.13/collections/__init__.py",
        "/usr/lib/python3.13/lib-dynload/_ctypes.cpython-313-x86_64-linux-gnu.so",
        "/usr/bin/extensionctl", "/usr/sbin/mount.extension", "/usr/lib/extensionctl/extension_runtime/paths.py",
        "/usr/lib/systemd/system-generators/extensions-generator",
        "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d/README",
        "/etc/machine-id",
    ],
)  # fmt: skip
def test_what_is_vital(path: str) -> None:
    assert vital(path)


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/python3-config", "/usr/bin/python3-qr", "/usr/bin/nginx", "/usr/sbin/nginx", "/usr/bin/bash",
        "/usr/bin/systemd-repart", "/usr/bin/shasum", "/usr/lib/x86_64-linux-gnu/libcap.so.2",
        "/usr/lib/x86_64-linux-gnu/libc.a", "/usr/lib/x86_64-linux-gnu/libssl.so.3",
        "/usr/lib/python3/dist-packages/x.py",
        "/usr/lib/python3.13/site-packages/flask/app.py", "/usr/lib/x86_64-linux-gnu/libcrypt.so.1",
        "/usr/lib/systemd/system/nginx.service", "/usr/lib/systemd/system/redis-server.service",
        "/usr/share/extensionctl/x", "/etc/passwd-", "/etc/hosts", "/etc/sudo.conf",
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/lib64", "/usr/lib", "/usr/bin", "/etc/ld.so.conf.d/x.conf", "/opt/python3", "/usr/local/bin/python3",
        "/usr/lib/systemd/network/80-wifi.link", "/usr/lib/modules/6.1.0/modules.dep",
    ],
)  # fmt: skip
def test_what_is_not(path: str) -> None:
    assert not vital(path)


def paths(root: Path) -> set[str]:
    found = set()
    for top in ("usr", "etc"):
        for folder, folders, files in os.walk(root / top):
            found |= {f"/{os.path.relpath(os.path.join(folder, name), root)}" for name in (*files, *folders)}
    return found


def packages(root: Path) -> dict[str, set[str]]:
    """The paths of each package that is installed in a Debian root, in the /usr that holds all of them."""
    found = {}
    for listing in (root / "var/lib/dpkg/info").glob("*.list"):
        lines = {f"/usr{line}" if line.startswith(("/bin/", "/sbin/", "/lib")) else line for line in
                 listing.read_text().splitlines()}  # fmt: skip
        found[listing.stem.partition(":")[0]] = lines
    return found


# Whose paths may be vital; all of them are essential to a Debian system, or this program's own needs.
OWNERS = {
    "libc6", "libc-bin", "systemd", "systemd-sysv", "mount", "dash", "sudo", "base-files", "base-passwd",
    "libsystemd-shared",
    "python3-minimal", "python3", "libpython3-stdlib", "udev", "systemd-resolved", "systemd-timesyncd", "util-linux",
    "libsystemd0", "systemd-container", "systemd-cryptsetup", "systemd-hwe-hwdb", "systemd-standalone-sysusers",
}  # fmt: skip


@pytest.mark.parametrize("suite", ["bookworm", "trixie", "sid"])
def test_on_a_real_system(suite: str) -> None:
    root = CACHE / suite
    if not (root / "usr/bin").is_dir():
        pytest.skip(f"needs the Debian root {root}: make roots")
    found = {path for path in paths(root) if vital(path)}
    wanted = {
        "/usr/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/systemd/systemd", "/usr/bin/systemctl", "/usr/bin/python3",
        "/usr/lib/systemd/system/multi-user.target", "/usr/bin/sh", "/usr/bin/mount", "/etc/passwd", "/etc/shadow",
    }  # fmt: skip
    if os.uname().machine == "x86_64":
        assert wanted <= found
    for package, listed in packages(root).items():
        theirs = {path for path in listed & found if not (root / path[1:]).is_dir()}
        own = package in OWNERS or package.startswith(("libpython3.", "python3.", "libsystemd", "systemd"))
        assert own or not theirs, (package, sorted(theirs)[:5])
