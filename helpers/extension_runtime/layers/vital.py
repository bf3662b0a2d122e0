#  SPDX-License-Identifier: MIT
"""What no image may replace unless its manifest says so: without it a machine cannot be used, nor put right."""

from __future__ import annotations

_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/lib/*")
VITAL = (
    # The loader and the C library
    *(
        f"{folder}/{name}"
        for folder in _LIBRARIES
        for name in (
            "ld-linux*.so.*", "ld-musl-*.so.*", "ld64.so.*", "ld.so.*", "ld-2.*.so",
            "libc.so.*", "libc-2.*.so", "libc.musl-*", "libm.so.*", "libpthread.so.*", "libdl.so.*", "librt.so.*",
        )
    ),
    # systemd, its own units, and what speaks to it
    "/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-*",
    *(f"{folder}/systemd/libsystemd-*.so" for folder in _LIBRARIES),
    "/usr/lib/systemd/system/*.target", "/usr/lib/systemd/system/systemd-*",
    "/usr/bin/systemctl", "/usr/sbin/init", "/usr/bin/init",
    # What attaches images, and what runs this program
    "/usr/bin/mount", "/usr/bin/sh",
    "/usr/bin/python3", "/usr/bin/python3.*",
    *(
        f"{folder}/python3.*/{name}"
        for folder in ("/usr/lib", "/usr/lib64")
        for name in ("*.py", "encodings/*", "collections/*", "lib-dynload/*")
    ),
    # This program
    "/usr/sbin/mount.extension", "/usr/bin/mount.extension",
    *(f"{prefix}/{path}" for prefix in ("/usr", "/usr/local") for path in ("bin/extensionctl", "lib/extensionctl/")),
    "/usr/lib/systemd/system/extension*", "/usr/lib/systemd/system-generators/extensions-generator",
    # Who may log in, and who may become root
    "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid",
    "/etc/sudoers", "/etc/sudoers.d/*", "/etc/machine-id",
)  # fmt: skip
"""Globs, as those of Hides= in a manifest, of paths of a base."""
