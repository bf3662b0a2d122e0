"""Who still uses what a refresh replaced, and nginx through refreshes; prints one JSON object, a key for each scene."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from typing import Any

from inside import extensions, sh, show

sys.path.insert(0, "/usr/lib/extensionctl")
from extension_runtime.stale import swaps

IMAGES = "/boot-images"
PLACES = {"tool": "/var/lib/extensions", "site": "/var/lib/extensions", "nginx-config": "/var/lib/confexts"}
UNITS = ("mounts", "maps", "library", "opens", "cwd", "clean", "sandboxed")
PROCESSES = 300
facts: dict[str, Any] = {}


def put(image: str, version: str) -> None:
    """Put the image IMAGES/IMAGE-VERSION into the place of IMAGE in one step."""
    place = f"{PLACES[image]}/{image}"
    shutil.copytree(f"{IMAGES}/{image}-{version}", f"{place}.new", symlinks=True)
    os.renames(place, f"/boot-images/old/{image}-{time.monotonic()}")
    os.rename(f"{place}.new", place)


def pids(*units: str) -> dict[str, str]:
    return {unit: show(f"{unit}.service", "MainPID")["MainPID"] for unit in units}


def stale() -> dict[str, str]:
    """What `extensionctl status` lists: unit to reason."""
    ran = subprocess.run(["extensionctl", "status", "--json=short"], stdout=subprocess.PIPE, check=True)
    return {view["unit"]: view["reason"] for view in json.loads(ran.stdout)["stale"]}


def search_with_many() -> dict[str, Any]:
    """The best of some searches among many more processes, in seconds."""
    many = [subprocess.Popen(["/bin/sleep", "infinity"]) for _ in range(PROCESSES)]
    try:
        cpu, wall = [], []
        for _ in range(7):
            begun = time.process_time(), time.perf_counter()
            found = swaps.find("/run/extensionctl")
            cpu.append(time.process_time() - begun[0])
            wall.append(time.perf_counter() - begun[1])
        running = sum(name.isdigit() for name in os.listdir("/proc"))
        return {"cpu": min(cpu), "wall": min(wall), "units": [view.unit for view in found], "processes": running}
    finally:
        for process in many:
            process.kill()
            process.wait()


def stale_views() -> None:
    facts["before"] = {"stale": stale(), "pids": pids(*UNITS)}
    put("tool", "2")
    ran = sh("extensionctl refresh")
    facts["reported"] = {"ran": ran, "stale": stale(), "pids": pids(*UNITS), "state": extensions()["tool"]["state"]}
    facts["reported"]["text"] = sh("extensionctl status --no-pager")["out"]
    sh("journalctl --sync")
    facts["reported"]["journal"] = sh("journalctl -b -o cat -g 'still uses old content'")["out"]
    facts["many"] = search_with_many()
    os.makedirs("/run/extensions.d/tool.extension.d")
    with open("/run/extensions.d/tool.extension.d/stale.conf", "w", encoding="ascii") as file:
        file.write("[Reload]\nStale=restart\n")
    put("tool", "3")
    ran = sh("extensionctl refresh")
    end = time.monotonic() + 20
    while (left := stale()) and time.monotonic() < end:
        time.sleep(0.2)
    facts["restarted"] = {"ran": ran, "stale": left, "pids": pids(*UNITS)}


def ask() -> str:
    connection = http.client.HTTPConnection("127.0.0.1", 8090, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        text = answer.read().decode().strip()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        return f"{text} {answer.getheader('X-Config')}"
    finally:
        connection.close()


class Load:
    """Context manager: asks nginx meanwhile, some 200 times a second."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {}
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            try:
                answer = ask()
                self.answers[answer] = self.answers.get(answer, 0) + 1
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(repr(error))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def settled(wanted: str) -> str:
    """The answer once it is `wanted`, else the last of five seconds: old workers may end a little later."""
    end = time.monotonic() + 5
    while (answer := ask()) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return answer


def nginx() -> None:
    facts["nginx"] = {"answer": ask(), "pid": pids("nginx")}
    rows = []
    with Load() as load:
        for changes, wanted in (
            ({"nginx-config": "2"}, "content 1 two"),
            ({"site": "2"}, "content 2 two"),
            ({"nginx-config": "3", "site": "3"}, "content 3 three"),
        ):
            for image, version in changes.items():
                put(image, version)
            ran = sh("extensionctl refresh")
            rows.append({"ran": ran, "answer": settled(wanted), "wanted": wanted, "pid": pids("nginx")})
            time.sleep(0.3)
    facts["nginx under load"] = {"rows": rows, "answers": load.answers, "errors": load.errors}
    put("nginx-config", "broken")
    with Load() as load:
        ran = sh("extensionctl refresh")
        time.sleep(0.5)
    history = json.loads(sh("extensionctl history --json=short")["out"])
    facts["nginx broken"] = {
        "ran": ran,
        "answer": ask(),
        "answers": load.answers,
        "errors": load.errors,
        "pid": pids("nginx"),
        "active": show("nginx.service", "ActiveState")["ActiveState"],
        "last": history[-1],
        "test": sh("nginx -t -q")["rc"],
    }
    put("nginx-config", "3")
    facts["nginx mended"] = {"ran": sh("extensionctl refresh"), "answer": ask(), "pid": pids("nginx")}


stale_views()
nginx()
print(json.dumps(facts))
