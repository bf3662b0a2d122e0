"""load.py SWAPS UNITS: swaps under load.  Sandboxed units that try all the time what they must not, and what they must
be able to do, start and stop, while the contents of /usr, /opt and /etc are exchanged again and again.

One swap in twenty is a whole refresh; the others are its steps from the staging to the namespaces of services.
"""

from __future__ import annotations

import glob
import json
import os
import random
import subprocess
import sys
import time
from typing import Any

from inside import read, sh

sys.path.insert(0, "/usr/lib/extensionctl")
from extension_manifests import load
from extension_runtime import files, steps
from extension_runtime.kernel import mountinfo
from extension_runtime.merge import transaction
from extension_runtime.merge.stage import Stage
from extension_runtime.merge.steps import Pin
from extension_runtime.merge.swap import Swap
from extension_runtime.merge.wanted import Wanted
from extension_runtime.namespaces import spread
from extension_runtime.namespaces import steps as spreading
from extension_runtime.overlay.hierarchy import find
from extension_runtime.paths import Paths

BOX = "/etc/box"
PAUSE = 50000  # microseconds between the rounds of a unit
ANY = f"read:{BOX}/file read:/usr/share/box/file read:/opt/box/file"
CAN = f"{ANY} allow:{BOX} allow:{BOX}/open"
CANNOT = f"{ANY} deny:{BOX} deny:{BOX}/open deny:/usr/share/box deny:/opt/box"
KINDS = {
    "private-tmp": ("PrivateTmp=yes", CAN),
    "private-users": ("PrivateUsers=yes\nPrivateTmp=yes", CAN),
    "system-full": ("ProtectSystem=full", CANNOT),
    "system-strict": ("ProtectSystem=strict", CANNOT),
    "read-write": (f"ProtectSystem=strict\nReadWritePaths={BOX}/open", f"{ANY} deny:{BOX} allow:{BOX}/open"),
    "read-only": (f"ReadOnlyPaths={BOX}/shut", f"{CAN} deny:{BOX}/shut read:{BOX}/shut/file"),
    "inaccessible": (f"InaccessiblePaths={BOX}/secret", f"{CAN} hide:{BOX}/secret/file deny:{BOX}/secret"),
    "tmpfs": (f"TemporaryFileSystem={BOX}/secret", f"{CAN} hide:{BOX}/secret/file allow:{BOX}/secret"),
    "bind": (f"BindReadOnlyPaths={BOX}/open:{BOX}/bound", f"{CAN} deny:{BOX}/bound read:{BOX}/bound/file"),
    "nested": (
        f"ReadOnlyPaths={BOX}\nInaccessiblePaths={BOX}/secret\nReadWritePaths={BOX}/open",
        f"{ANY} deny:{BOX} deny:{BOX}/shut hide:{BOX}/secret/file allow:{BOX}/open",
    ),
}
EVERYTHING = [
    f"{operation}:{folder}{'' if operation == 'list' else '/file'}"
    for folder in ("/usr/share/box", "/opt/box", BOX)
    for operation in ("stat", "read", "map", "list")
] + ["exec:/usr/bin/prober", "exec:/opt/box/prober"]
swaps, units = int(sys.argv[1]), int(sys.argv[2])
facts: dict[str, Any] = {}


def bring(version: str) -> None:
    """Put the images of a version into place."""
    for home, name in (("/var/lib/confexts", "box"), ("/var/lib/extensions", "boxware")):
        if os.path.exists(f"{home}/{name}"):
            os.rename(f"{home}/{name}", f"/srv/{name}-{read(f'{home}/{name}.version')}")
        os.rename(f"/srv/{name}-{version}", f"{home}/{name}")
        with open(f"{home}/{name}.version", "w", encoding="utf-8") as file:
            file.write(version)


class Meter:
    """Stands for spreading.spread: the same, noted down with what it took."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float]] = []
        self.failed: list[str] = []
        self._spread = spreading.spread

    def __call__(self, *arguments: Any) -> spread.Spread:
        begin = time.process_time()
        result = self._spread(*arguments)
        self.rows.append((result.namespaces, result.seconds, time.process_time() - begin))
        self.failed += result.failed
        return result


class Swapper:
    """Exchanges what is merged for one of two versions, both of which stay pinned."""

    def __init__(self) -> None:
        self.places = Paths("")
        self.settings = load.load("").settings

    def pin(self, version: str) -> None:
        """Keep what is attached now as the layers of a version."""
        for name in ("box", "boxware"):
            Pin(name, f"/run/extension/{name}", f"/run/pinned/{version}/{name}").do()

    def swap(self, version: str) -> None:
        """What a refresh does between the images and the units."""
        found = find(self.places).found
        for place in found.values():
            place.look()
        generation = max(place.generation for place in found.values()) + 1
        layers = {
            name: [(image, f"/run/pinned/{version}/{image}/{name}")]
            for name, image in (("usr", "boxware"), ("opt", "boxware"), ("etc", "box"))
        }
        stages = []
        for name, place in found.items():
            mode = getattr(self.settings, name).mode
            wanted = Wanted(name, mode, layers[name], "", False, True)
            stages.append(Stage(self.places, place, wanted, generation, print))
        swapping = [Swap(stage, print) for stage in stages]
        out = spreading.SpreadOut(found, self.places.staging, lambda _text: None)
        todo = [*stages, spreading.SpreadBack(found, self.places.staging), *swapping, out]
        steps.execute(todo, lambda _step: None, print)
        for stage in stages:
            stage.close()
        for step in swapping:
            step.close()
        files.remove_empty(self.places.staging)


def write_units() -> list[str]:
    """The units, and which of them there are to be."""
    os.makedirs("/run/load", exist_ok=True)
    for kind, (sandbox, operations) in KINDS.items():
        with open(f"/run/systemd/system/load-{kind}@.service", "w", encoding="utf-8") as file:
            file.write(
                f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStart=/srv/prober {PAUSE} {operations}\n"
            )
            file.write(f"{sandbox}\nStandardOutput=append:/run/load/{kind}\nTimeoutStopSec=20\n")
    sh("systemctl daemon-reload")
    return [f"load-{kind}@{number}.service" for number in range(units // len(KINDS)) for kind in KINDS]


def churn(names: list[str]) -> None:
    """Stop and start units until killed; a process of its own."""
    while True:
        some = " ".join(random.sample(names, 8))
        sh(f"systemctl stop {some}; systemctl start {some}")
        time.sleep(0.25)


def exchange(swapper: Swapper) -> None:
    """Swap after swap."""
    begin = time.monotonic()
    current = "2"
    for number in range(swaps):
        current = "1" if current == "2" else "2"
        if number % 20 == 19:
            bring(current)
            transaction.run("refresh", "", always=True)
        else:
            swapper.swap(current)
        time.sleep(0.02)
    facts["seconds"] = time.monotonic() - begin


def measured(number: int, swapper: Swapper) -> list[tuple[int, float, float]]:
    """What swaps take while all units stand still."""
    sh("systemctl kill --signal=STOP 'load-*'")
    before = len(meter.rows)
    for turn in range(number):
        swapper.swap(str(1 + turn % 2))
    sh("systemctl kill --signal=CONT 'load-*'")
    return meter.rows[before:]


def outdated(names: list[str]) -> list[str]:
    """Which running units do not see the last version, or still have another overlay mounted."""
    pids = [line.partition("=")[2] for line in sh(f"systemctl show -p MainPID {' '.join(names)}")["out"].split()]
    newest = {m.dev for m in mountinfo.read().mounts.values() if m.source.startswith("extensions:")}
    found = []
    for name, pid in zip(names, pids, strict=True):
        if pid == "0":
            found.append(f"{name}: not running")
            continue
        texts = {read(f"/proc/{pid}/root{path}") for path in (f"{BOX}/file", "/usr/share/box/file", "/opt/box/file")}
        table = mountinfo.Table(read(f"/proc/{pid}/mountinfo") or "")
        overlays = {m.dev for m in table.mounts.values() if m.source.startswith("extensions:")}
        if texts != {"3\n"} or overlays - newest:
            old = [f"{m.path} of {m.source}" for m in table.mounts.values() if m.dev in overlays - newest]
            found.append(f"{name}: {texts} {old}")
    return found


def counts() -> dict[str, Any]:
    """What the probers said, summed up: rounds, and their failures."""
    found: dict[str, Any] = {"processes": 0, "rounds": 0, "failures": []}
    for path in glob.glob("/run/load/*"):
        for line in (read(path) or "").splitlines():
            rounds, *failures = line.split()
            found["processes"] += 1
            found["rounds"] += int(rounds.partition("=")[2])
            found["failures"] += [f"{os.path.basename(path)}: {failure}" for failure in failures]
    return found


def main() -> None:
    """Start the load, swap, and see."""
    names = write_units()
    swapper = Swapper()
    for version in ("1", "2"):
        bring(version)
        transaction.run("refresh", "")
        swapper.pin(version)
    setattr(spreading, "spread", meter)  # noqa: B010
    facts["started"] = sh(f"systemctl start {' '.join(names)}")
    facts["quiet"] = measured(10, swapper)
    with open("/run/everything", "w", encoding="utf-8") as file:
        # It never pauses; being nice, it leaves the others what they need of two processors.
        prober = subprocess.Popen(["nice", "-n", "10", "/srv/prober", "0", *EVERYTHING], stdout=file)
    before = len(meter.rows)
    churner = os.fork()
    if churner == 0:
        try:
            churn(names)
        finally:
            os._exit(1)
    try:
        exchange(swapper)
    finally:
        os.kill(churner, 9)
        os.waitpid(churner, 0)
        prober.terminate()
        prober.wait()
    facts["loaded"] = meter.rows[before:]
    facts["restarted"] = sh(f"systemctl start {' '.join(names)}")
    bring("3")
    transaction.run("refresh", "", always=True)
    facts["outdated"] = outdated(names)
    facts["stopped"] = sh(f"systemctl stop {' '.join(names)}")
    facts["left behind"] = meter.failed
    facts["units"] = counts()
    facts["everything"] = read("/run/everything")
    json.dump(facts, sys.stdout)


meter = Meter()
main()
