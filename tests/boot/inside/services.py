"""Services that come, change and go with extensions; prints one JSON object, a key for each scene."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from typing import Any

from inside import extensions, failed, read, sh, show

IMAGES = "/boot-images"
SYSEXTS, CONFEXTS = "/var/lib/extensions", "/var/lib/confexts"
REFRESH = "extensionctl refresh"
UNITS = ("web.service", "echo.socket", "echo.service", "tick.timer")
FLEET = [f"s{number}.service" for number in range(1, 13)]
PROPERTIES = ("ActiveState", "MainPID", "NRestarts", "ActiveEnterTimestampMonotonic", "InvocationID")
facts: dict[str, Any] = {}


def put(image: str, place: str) -> None:
    """Put an image into place in one step, as one should; the old one stays until the refresh, which needs it."""
    shutil.copytree(f"{IMAGES}/{image}", f"{place}.new", symlinks=True)
    if os.path.isdir(place):
        shutil.rmtree(f"/boot-images/old/{os.path.basename(place)}", ignore_errors=True)
        os.renames(place, f"/boot-images/old/{os.path.basename(place)}")
    os.rename(f"{place}.new", place)


def ask(port: int = 8080) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
        text = b""
        while piece := wire.recv(1000):
            text += piece
    return text.decode()


class Load:
    """Context manager: asks the server without a pause meanwhile."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {}
        self.errors: list[str] = []
        self._stop = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop:
            try:
                answer = ask()
                self.answers[answer] = self.answers.get(answer, 0) + 1
            except OSError as error:
                self.errors.append(str(error))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()


def scene(name: str, ran: dict[str, Any] | None = None) -> dict[str, Any]:
    """What can be seen now."""
    facts[name] = {
        "ran": ran,
        "failed": failed(),
        "extensions": {key: row.get("state") for key, row in extensions().items()},
        "pids": {unit: show(unit, "MainPID")["MainPID"] for unit in FLEET},
        "web": show("web.service", *PROPERTIES),
        "jobs": sh("systemctl list-jobs --no-legend")["out"],
    }
    return facts[name]  # type: ignore[no-any-return]


def at_boot() -> None:
    seen = scene("boot")
    seen["answer"] = ask()
    seen["socket"] = show("echo.socket", *PROPERTIES)
    seen["echo before"] = show("echo.service", *PROPERTIES)
    seen["echo answer"] = ask(8081)
    seen["timer"] = show("tick.timer", *PROPERTIES)
    seen["merge"] = show(
        "extensions-merge.service", "ExecMainExitTimestampMonotonic", "ExecMainStartTimestampMonotonic"
    )
    seen["base twin"] = show("s-base.service", *PROPERTIES)
    seen["twin"] = show("s1.service", *PROPERTIES)
    seen["follower"] = show("follower.service", *PROPERTIES)
    seen["user"] = sh("getent passwd demo-user")["out"]
    seen["mutable etc"] = os.access("/etc", os.W_OK)


def changes() -> None:
    scene("unchanged", sh(REFRESH))
    put("fleet-2", f"{SYSEXTS}/fleet")
    scene("one of twelve", sh(REFRESH))
    put("config-2", f"{CONFEXTS}/web-config")
    with Load() as load:
        ran = sh(REFRESH)
        time.sleep(0.5)
    scene("reloaded under load", ran).update(answers=load.answers, errors=load.errors, answer=ask())
    put("web-2", f"{SYSEXTS}/web")
    ran = sh("systemctl daemon-reload && systemctl reload extensions.target")
    seen = scene("new program", ran)
    seen.update(answer=ask(), echo=show("echo.service", *PROPERTIES), follower=show("follower.service", *PROPERTIES))
    seen["echo answer"] = ask(8081)
    seen["tmpfiles"] = read("/run/web-tmpfiles")
    seen["paths"] = read("/run/paths")
    seen["ran action"] = read("/run/action-ran")


def crash() -> None:
    for name in ("crash", "hang"):
        put(f"config-{name}", f"{CONFEXTS}/web-config")
        ran = sh(REFRESH)
        seen = scene(name, ran)
        seen["answer"] = ask()
        seen["config"] = read("/etc/web.conf")
        seen["unit"] = show("extensions-refresh.service", "Result", "ExecMainStatus")
        seen["log"] = sh("journalctl -b -u extensions-refresh.service -o cat | tail -15")["out"]
        seen["status"] = sh("extensionctl status")["out"]
        put("config-2", f"{CONFEXTS}/web-config")
        scene(f"mended after {name}", sh(REFRESH))["answer"] = ask()


def goes() -> None:
    os.rename(f"{SYSEXTS}/web", f"{IMAGES}/web-aside")
    seen = scene("removed", sh(REFRESH))
    seen["stopped"] = read("/run/stopped")
    seen["units"] = {unit: show(unit, "ActiveState")["ActiveState"] for unit in UNITS}
    put("web-2", f"{SYSEXTS}/web")
    seen = scene("back", sh(REFRESH))
    seen["answer"] = ask()
    shutil.rmtree(f"{SYSEXTS}/web")
    seen = scene(
        "deleted beforehand",
        sh(f"{REFRESH} || systemd-run --quiet --wait /usr/lib/extensionctl/extensions-merge refresh"),
    )
    seen["units"] = {unit: show(unit, "ActiveState")["ActiveState"] for unit in UNITS}
    put("web-2", f"{SYSEXTS}/web")
    sh(REFRESH)
    ran = sh("systemctl stop extensions-merge.service")
    scene("unmerged", ran)
    ran = sh("systemctl start extensions-merge.service")
    # The unit that merges waits for no service: at boot that would be the boot waiting for itself.
    sh("for i in $(seq 100); do systemctl is-active -q web.service && break; sleep 0.1; done")
    scene("merged again", ran)["answer"] = ask()


at_boot()
changes()
crash()
goes()
print(json.dumps(facts))
