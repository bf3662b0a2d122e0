#  SPDX-License-Identifier: MIT
"""A root for the verbs of extensionctl, and a PID 1 that answers them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from extension_runtime.merge import statefile
from extension_runtime.merge.state import State
from extension_runtime.paths import Paths
from extension_runtime.pid1 import commands, queries
from pytest_mock import MockerFixture


class Root:
    """A root with an operating system, to which manifests, images and states are added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("etc/os-release", "ID=debian\nVERSION_ID=12\n")

    def write(self, path: str, text: str) -> None:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def manifest(self, name: str, text: str = "[Extension]\n") -> None:
        self.write(f"etc/extensions.d/{name}.extension", text)

    def image(self, name: str, release: str = "ID=_any\nIMAGE_VERSION=1.0\n") -> None:
        self.write(f"var/lib/extensions/{name}/usr/lib/extension-release.d/extension-release.{name}", release)

    def merged(self, **extensions: dict[str, Any]) -> None:
        """A state in which these are merged over /usr."""
        now: dict[str, Any] = State().data() | {"generation": 3, "when": 1700000000}
        usr = {"target": "/usr", "mode": "auto", "merged": True, "writable": False, "generation": 3, "upper": ""}
        pinned = f"{Paths(str(self.path)).layers}/3"
        layers = [[name, f"{pinned}/{name}/usr"] for name in extensions]
        spec = {"mode": "auto", "layers": layers, "upper": "", "import": False, "merged": True}
        now["hierarchies"] = {"usr": usr | {"layers": layers, "spec": spec}}
        now["last"] = {"verb": "refresh", "result": "done", "reason": "", "when": 1700000000}
        for name, fields in extensions.items():
            now["extensions"][name] = {
                "name": name,
                "state": "merged",
                "reason": "",
                "image": f"/var/lib/extensions/{name}",
                "version": "1.0",
                "identity": "i",
                "classes": ["sysext"],
                "hierarchies": ["usr"],
                "manifest": f"/etc/extensions.d/{name}.extension",
                "layer": f"{pinned}/{name}",
                "options": "",
                "compared": "Hides=",
                "forced": False,
                "overrides": {},
                "mends": [],
                "remarks": [],
            } | fields
        (self.path / "run/extensionctl").mkdir(parents=True, exist_ok=True, mode=0o700)
        statefile.write(Paths(str(self.path)), State.of(now))


class Result:
    """As of a transaction."""

    def __init__(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self.messages = ["a message"]
        self.steps = ["first", "second"]


class Pid1:
    """Answers commands as systemd would: `properties` of any unit, and what `systemctl start` or `stop` ends with."""

    def __init__(self, mocker: MockerFixture) -> None:
        self.calls: list[list[str]] = []
        self.properties = {"LoadState": "loaded", "ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
        self.returncode = 0
        self.log = "one line of the log\n"
        self.invocations = 0
        mocker.patch.object(commands, "run", self.run)
        mocker.patch.object(queries, "running", return_value=True)
        mocker.patch.object(os, "geteuid", return_value=0)

    def run(self, argv: list[str], **_: object) -> commands.Completed:
        self.calls.append(argv)
        if argv[:2] == ["systemctl", "show"]:
            wanted = argv[2].removeprefix("--property=").split(",")
            have = self.properties | {"InvocationID": f"i{self.invocations}"}
            text = "".join(f"{key}={have.get(key, '')}\n" for key in wanted)
            return commands.Completed(0, "\n".join([text] * (len(argv) - argv.index("--") - 1)), "")
        if argv[0] == "systemctl":
            self.invocations += 1
            return commands.Completed(self.returncode, "", "")
        return commands.Completed(0, self.log if argv[0] == "journalctl" and "--sync" not in argv else "", "")

    def jobs(self) -> list[str]:
        """What was started and stopped."""
        return [" ".join(argv[2:]) for argv in self.calls if argv[:2] == ["systemctl", "--no-ask-password"]]
