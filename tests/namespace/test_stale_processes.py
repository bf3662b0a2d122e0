#  SPDX-License-Identifier: MIT
"""Real processes that see an earlier overlay, in each of the ways there are."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from extension_runtime.kernel import syscalls
from extension_runtime.stale import search, swaps

HOLD = "import mmap,os,sys,time;{};print(flush=True);time.sleep(60)"
WAYS = {
    "clean": "pass",
    "cwd": "os.chdir('{usr}/folder')",
    "open": "f=open('{usr}/changed')",
    "open-same": "f=open('{usr}/same')",
    "map": "f=open('{usr}/changed','rb');m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ);f.close()",
    "map-same": "f=open('{usr}/same','rb');m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ);f.close()",
    "mount": "import ctypes;assert ctypes.CDLL(None).unshare(0x20000)==0",
}


def overlay(layer: Path, base: Path, target: Path) -> None:
    syscalls.mount("extensions", str(target), "overlay", syscalls.MS_RDONLY, f"lowerdir={layer}:{base}")


def test_each_way_of_being_stale_and_none(namespace: Path) -> None:
    base, one, two, usr = (namespace / name for name in ("base", "one", "two", "usr"))
    for path in (base, one, two, usr):
        path.mkdir()
    (base / "folder").mkdir()
    (base / "same").write_text("same")
    (one / "changed").write_text("1")
    (two / "changed").write_text("22")
    overlay(one, base, usr)
    old = swaps.device(str(usr))
    processes = {}
    for way, code in WAYS.items():
        text = HOLD.format(code.format(usr=usr))
        processes[way] = subprocess.Popen(["python3", "-c", text], stdout=subprocess.PIPE)
    try:
        for process in processes.values():
            assert process.stdout is not None
            process.stdout.readline()
        syscalls.umount(str(usr), syscalls.MNT_DETACH)
        overlay(two, base, usr)
        changed = {f"{usr}/changed"}
        found = {view.pid: view.reason for view in search.find({old: str(usr)}, changed)}
        names = {process.pid: way for way, process in processes.items()}
        assert {names[pid]: reason for pid, reason in found.items()} == {
            "cwd": f"its working directory is in the old {usr}",
            "open": f"has {usr}/changed open, which changed",
            "map": f"maps {usr}/changed, which changed",
            "mount": f"its mount namespace still shows {usr} as it was",
        }
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def test_three_hundred_processes_take_less_than_150_ms() -> None:
    sleepers = [subprocess.Popen(["sleep", "60"]) for _ in range(300)]
    try:
        took = []
        for _ in range(5):
            start = time.process_time()
            assert search.find({"0:4095": "/usr"}, {f"/usr/share/{number}" for number in range(1000)}) == []
            took.append(time.process_time() - start)
        assert min(took) < 0.150
        print(f"{len(os.listdir('/proc'))} entries of /proc: {min(took) * 1000:.0f} ms")
    finally:
        for process in sleepers:
            process.kill()
        for process in sleepers:
            process.wait()
