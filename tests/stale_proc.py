#  SPDX-License-Identifier: MIT
"""A /proc of a few files, with processes that look like those of units."""

from __future__ import annotations

from pathlib import Path

from extension_runtime.stale import search

OLD = "0:45"
TABLE = b"20 1 8:1 / / rw - ext4 /dev/sda rw\n21 20 0:50 / /usr ro - overlay extensions ro\n"
MAPS = "7f00-7f01 r-xp 00000000 %s 12   %s\n"


class Proc:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "self").mkdir()
        (path / "self" / "mountinfo").write_bytes(TABLE)

    def add(
        self, pid: int, unit: str, maps: str = "", table: bytes = TABLE, namespace: str = "mnt:[1]",
        fds: dict[str, int] | None = None,
    ) -> None:  # fmt: skip
        folder = self.path / str(pid)
        for name in ("ns", "fd", "fdinfo"):
            (folder / name).mkdir(parents=True)
        (folder / "cgroup").write_text(f"0::/system.slice/{unit}\n" if unit else "0::/\n")
        (folder / "comm").write_text("demo\n")
        (folder / "maps").write_text(maps)
        (folder / "mountinfo").write_bytes(table)
        (folder / "ns" / "mnt").symlink_to(namespace)
        (folder / "exe").symlink_to("/usr/bin/demo")
        (folder / "cwd").symlink_to("/")
        (folder / "root").symlink_to("/")
        for number, (target, mount) in enumerate((fds or {}).items()):
            (folder / "fd" / str(number)).symlink_to(target)
            (folder / "fdinfo" / str(number)).write_text(f"pos:\t0\nflags:\t0\nmnt_id:\t{mount}\n")

    def find(self, *changed: str, covered: dict[str, str] | None = None) -> dict[str, str]:
        found = search.find({OLD: "/usr"}, set(changed), covered, str(self.path))
        return {view.unit: view.reason for view in found}
