"""A throwaway machine: a copy of a cached Debian root with the project installed, booted under systemd-nspawn.

The copy lives on a tmpfs in a mount namespace that only a holder process keeps: when that one ends, all is gone.
It must not be an overlay, which would use up one of the two stacking levels that the kernel has.  PID 1 of
systemd >= 256 needs a pure cgroup2 tree; the namespace has one whatever the host has.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pytest
from requirements import lacking, require_root, require_tool

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("EXTENSIONCTL_CACHE", "/var/cache/extensionctl"))
INSIDE = Path(__file__).resolve().parent / "inside"
LOOPS = 128
SUITES = ("bookworm", "trixie", "sid")

_HOLD = f"""
set -e
mount -t tmpfs -o size=4g,mode=755 tmpfs "$1"
if mountpoint -q /sys/fs/cgroup; then umount -R /sys/fs/cgroup; fi
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for i in $(seq 0 {LOOPS - 1}); do [ -e /dev/loop$i ] || mknod /dev/loop$i b 7 $i 2>/dev/null || :; done
mkdir -p "$1/root" /run/systemd/nspawn
mount -t tmpfs -o mode=755 tmpfs /run/systemd/nspawn
cp -a "$2/." "$1/root/"
make -s -C "$3" install DESTDIR="$1/root"
echo ready
exec sleep infinity
"""

# A test run that is killed cannot clean up: what it started must not outlive it.
_DIE_WITH_US = ["setpriv", "--pdeathsig", "KILL"]

# Without one of its own, two machines would take each other's units' cgroups away: both call theirs /payload.
_OWN_CGROUP = 'c="/sys/fs/cgroup/$1"; shift; mkdir -p "$c" && echo $$ >"$c/cgroup.procs" && exec "$@"'

_UNIT = """\
[Unit]
Description=What the test does inside
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c '{run} >/boot-test/stdout 2>/boot-test/stderr </dev/null; echo $? >/boot-test/rc'
ExecStopPost=-/bin/bash -c 'journalctl -b --no-pager -o short-monotonic >/boot-test/journal 2>&1'
ExecStopPost=/bin/bash -c 'sync; {end}'
StandardOutput=null
StandardError=null
TimeoutSec=infinity
"""


class Boot(NamedTuple):
    """What one boot left: `rc` is -1 when the script did not end."""

    rc: int
    stdout: str
    stderr: str
    journal: str
    console: str

    def facts(self) -> dict[str, Any]:
        """The JSON object that the script printed; the test fails with all there is to read if it printed none."""
        if self.rc == 0:
            facts = json.loads(self.stdout)
            assert isinstance(facts, dict)
            return facts
        pytest.fail(
            f"the script inside ended with {self.rc}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}\n"
            f"--- journal\n{self.journal[-12000:]}\n--- console\n{self.console[-4000:]}",
            pytrace=False,
        )


class Machine:
    """Context manager; `root` is the path of the machine's tree, usable from outside while it is open."""

    def __init__(self, suite: str, directory: Path) -> None:
        require_root()
        require_tool("systemd-nspawn", "unshare", "nsenter", "make")
        cached = CACHE / "roots" / suite
        if not (cached / "usr").is_dir():
            lacking(f"needs the Debian root {cached}: make roots")
        directory.mkdir(parents=True, exist_ok=True)
        self.suite = suite
        self._directory = directory
        self._cgroup = f"extensionctl-test-{os.getpid()}-{id(self)}"
        self._boots = 0
        self._holder = subprocess.Popen(
            [*_DIE_WITH_US, "unshare", "--mount", "--propagation", "private", "--kill-child", "--fork"]
            + ["sh", "-c", _HOLD, "hold", str(directory), str(cached), str(CHECKOUT)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if self._holder.stdout.readline().strip() != "ready":
            said = self._holder.stderr.read()
            self.close()
            pytest.fail(f"could not make the machine: {said}", pytrace=False)
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._pid = children[0]
        self.root = Path(f"/proc/{self._pid}/root{directory}/root")

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the holder: the namespace, the tmpfs and the tree go with it."""
        if self._holder.poll() is None:
            cgroup = f"/sys/fs/cgroup/{self._cgroup}"
            subprocess.run(
                ["nsenter", "-t", str(self._holder.pid), "-m", "find", cgroup, "-depth", "-type", "d", "-delete"],
                stderr=subprocess.DEVNULL,
                check=False,
            )
        self._holder.kill()
        self._holder.wait()
        for pipe in (self._holder.stdout, self._holder.stderr):
            if pipe is not None:
                pipe.close()

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Write a file of the machine, with its directories."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        return place

    def run(self, *argv: str) -> str:
        """Run a command of the host in the machine's mount namespace, in the machine's tree; its output."""
        return subprocess.run(
            ["nsenter", "-t", self._pid, "-m", f"--wdns={self._directory}/root", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout

    def _prepare(self, script: str, argv: Iterable[str], end: str) -> None:
        place = self.root / "boot-test"
        self.run("rm", "-rf", "boot-test")
        place.mkdir()
        for file in INSIDE.glob("*.py"):
            self.write(f"boot-test/{file.name}", file.read_text())
        if "\n" in script:
            self.write("boot-test/script", script, 0o755)
            command = ["/boot-test/script", *argv]
        else:
            command = ["/usr/bin/python3", "-B", f"/boot-test/{script}", *argv]
        unit = "etc/systemd/system/boot-test.service"
        self.write(unit, _UNIT.format(run=shlex.join(command).replace("%", "%%"), end=end))
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        if not (wants / "boot-test.service").is_symlink():
            (wants / "boot-test.service").symlink_to("../boot-test.service")

    def _group(self) -> str:
        """The cgroup of this boot: what a killed one left would be in the way of the next."""
        return f"{self._cgroup}/{self._boots}"

    def _nspawn(self, kernel_command_line: str) -> subprocess.Popen[bytes]:
        self._boots += 1
        tree = f"{self._directory}/root"
        argv = [*_DIE_WITH_US, "nsenter", "-t", self._pid, "-m", "sh", "-c", _OWN_CGROUP, "sh", self._group()]
        argv += ["systemd-nspawn", "-q", "-D", tree, "--register=no", "--keep-unit"]
        argv += ["--console=pipe", "-b", "--private-network", "--capability=all"]
        argv += ["--system-call-filter=@mount @privileged"]
        argv += [f"--bind={loop}" for loop in ("/dev/loop-control", *(f"/dev/loop{i}" for i in range(LOOPS)))]
        argv += kernel_command_line.split()
        with open(self._directory / "console", "wb") as console:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT)

    def boot(
        self, script: str, *argv: str, timeout: float = 300.0, kernel_command_line: str = "", after: float | None = None
    ) -> Boot:
        """Boot, run `script` once multi-user.target is up, power off; what it said.

        `script` is the name of a file in `inside/`, or a text of several lines with its own `#!`.
        `after`: kill -9 the whole machine that many seconds (at random up to it) after the script has made the file
        /boot-test/now, as a loss of power would.
        """
        self._prepare(script, argv, "systemctl poweroff --no-block")
        nspawn = self._nspawn(kernel_command_line)
        try:
            if after is not None:
                self._wait_to_kill(nspawn, after, timeout)
            else:
                nspawn.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also when the test is interrupted.
            self._kill(nspawn)
        said = [self._text(name) for name in ("stdout", "stderr", "journal")]
        return Boot(self._rc(), said[0], said[1], said[2], self._console())

    def _wait_to_kill(self, nspawn: subprocess.Popen[bytes], after: float, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not (self.root / "boot-test/now").exists() and nspawn.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(random.random() * after)

    def _kill(self, nspawn: subprocess.Popen[bytes]) -> None:
        """End the machine, if it still runs, and wait for that."""
        if nspawn.poll() is None:
            try:
                # The whole group at once: a container outlives its nspawn for a while.
                (Path(f"/proc/{self._pid}/root/sys/fs/cgroup") / self._group() / "cgroup.kill").write_text("1")
            except OSError:
                pass  # it is not in its group yet
            nspawn.kill()
            nspawn.wait()

    def _text(self, name: str) -> str:
        try:
            return (self.root / "boot-test" / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def _rc(self) -> int:
        text = self._text("rc").strip()
        return int(text) if text else -1

    def _console(self) -> str:
        return (self._directory / "console").read_text(errors="replace")
