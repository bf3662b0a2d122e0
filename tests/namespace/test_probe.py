"""A process that looks at every hierarchy without a pause while they are swapped a thousand times."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import signal
import time
from pathlib import Path

from roots import Root

REFRESHES = 1000
# Where others keep the machine busy, as many as there is time for.
ENOUGH, PATIENCE = 200, 60.0  # refreshes, seconds


class Prober:
    """Looks at the file FOLDER/probe and the program FOLDER/run; `failures` counts what went wrong, by what it was."""

    def __init__(self, folders: list[Path]) -> None:
        self._folders = [str(folder) for folder in folders]
        self.rounds = 0
        self.failures: dict[str, int] = {}

    def run(self, report: int) -> None:
        """Look until told to end by SIGTERM, then write what was found to the descriptor `report`."""
        going = True

        def end(_number: int, _frame: object) -> None:
            nonlocal going
            going = False

        signal.signal(signal.SIGTERM, end)
        while going:
            for folder in self._folders:
                for look in (self._stat, self._open, self._list, self._map):
                    self._note(look, folder)
            if self.rounds % 50 == 0:
                self._note(self._exec, self._folders[(self.rounds // 50) % len(self._folders)])
            self.rounds += 1
        os.write(report, json.dumps([self.rounds, self.failures]).encode())

    def _note(self, look: object, folder: str) -> None:
        assert callable(look)
        try:
            look(folder)
        except Exception as error:
            what = f"{getattr(look, '__name__', '')} {folder}: {error!r}"
            self.failures[what] = self.failures.get(what, 0) + 1

    @staticmethod
    def _stat(folder: str) -> None:
        os.stat(f"{folder}/probe")

    @staticmethod
    def _open(folder: str) -> None:
        with open(f"{folder}/probe") as file:
            assert file.read().strip().isdigit()

    @staticmethod
    def _list(folder: str) -> None:
        assert {"probe", "run"} <= set(os.listdir(folder))

    @staticmethod
    def _map(folder: str) -> None:
        with open(f"{folder}/probe", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            assert bytes(text).strip().isdigit()

    @staticmethod
    def _exec(folder: str) -> None:
        pid = os.posix_spawn(f"{folder}/run", [f"{folder}/run"], {})
        assert os.waitpid(pid, 0)[1] == 0


def test_nothing_is_missing_for_an_instant(namespace: Path) -> None:
    root = Root(namespace / "r")
    program = shutil.which("true")
    assert program
    # /opt and /etc have the folder in the base, too, and one submount is always there.
    folders = {"usr/probed": "app", "opt/probed": "app", "etc/probed": "conf"}
    for name, class_ in (("app", "sysext"), ("conf", "confext")):
        image = root.tree(name, class_=class_)
        for folder in (folder for folder, owner in folders.items() if owner == name):
            (image / folder).mkdir(parents=True)
            (image / folder / "probe").write_text("1\n")
            shutil.copy(program, image / folder / "run")
        root.install(image, class_)
        # Programs are run from every hierarchy here, and what is of /etc may not be otherwise.
        root.manifest(name, class_, "NoExec=no\n")
    root.merge()
    reader, writer = os.pipe()
    prober = os.fork()
    if prober == 0:
        try:
            Prober([root / folder for folder in folders]).run(writer)
        finally:
            os._exit(0)
    begin = time.perf_counter()
    try:
        done = 0
        while done < (REFRESHES if time.perf_counter() - begin < PATIENCE else ENOUGH):
            assert root.refresh(always=True).exit_code == 0
            done += 1
    finally:
        os.kill(prober, signal.SIGTERM)
        os.waitpid(prober, 0)
    seconds = time.perf_counter() - begin
    os.close(writer)
    with open(reader) as file:
        rounds, failures = json.load(file)
    print(f"{done} refreshes of 3 hierarchies in {seconds:.1f} s, {rounds} rounds of 12 looks")
    assert failures == {}
    assert rounds > done
    root.check()
