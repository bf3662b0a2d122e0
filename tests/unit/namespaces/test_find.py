#  SPDX-License-Identifier: MIT
"""Mount namespaces on a /proc made for the test: whose they are, and which PID 1 is still making."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from extension_runtime.namespaces.find import Namespaces


class Proc:
    """Processes, and the namespaces they are in: one file stands for each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.namespaces = Namespaces()
        os.close(self.namespaces.proc)
        self.namespaces.proc = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def add(self, pid: int, namespace: str, cgroup: str = "/", comm: str = "demo", exe: str = "/usr/bin/demo") -> None:
        folder = self.path / str(pid)
        (folder / "ns").mkdir(parents=True)
        place = self.path / namespace
        place.touch()
        (folder / "ns/mnt").symlink_to(place)
        (folder / "cgroup").write_text(f"0::{cgroup}\n")
        (folder / "comm").write_text(f"{comm}\n")
        (folder / "exe").symlink_to(exe)

    def number(self, namespace: str) -> int:
        return (self.path / namespace).stat().st_ino


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[Proc]:
    found = Proc(tmp_path)
    yield found
    found.namespaces.close()


def test_processes_are_told_by_namespace_but_for_our_own(proc: Proc, tmp_path: Path) -> None:
    proc.add(10, "one")
    proc.add(11, "two")
    proc.add(12, "one")
    (tmp_path / "13/ns").mkdir(parents=True)  # a kernel thread, or one that has ended
    (tmp_path / "self").mkdir()
    found = {number: sorted(names) for number, names in proc.namespaces.processes().items()}
    assert found == {proc.number("one"): ["10", "12"], proc.number("two"): ["11"]}


def test_our_own_namespace_is_not_among_the_others() -> None:
    namespaces = Namespaces()
    try:
        assert os.stat("/proc/self/ns/mnt").st_ino not in namespaces.processes()
    finally:
        namespaces.close()


def test_each_is_opened_once_and_those_that_are_done_are_not(proc: Proc) -> None:
    proc.add(10, "one")
    proc.add(11, "two")
    proc.add(12, "one")
    made = {proc.number("one"), proc.number("two")}
    opened = []
    for number, fd, _processes in proc.namespaces.each(without={proc.number("two")}):
        assert os.fstat(fd).st_ino == number
        os.close(fd)
        opened.append(number)
    # There may be more on this machine, which no process of the test's /proc is in.
    assert [number for number in opened if number in made] == [proc.number("one")]


def test_one_whose_first_process_has_ended_is_opened_by_the_next(proc: Proc, tmp_path: Path) -> None:
    proc.add(10, "one")
    proc.add(12, "one")
    names = proc.namespaces.processes()[proc.number("one")]
    (tmp_path / names[0] / "ns/mnt").unlink()
    proc.namespaces.processes = lambda: {proc.number("one"): names}  # type: ignore[method-assign]
    [(number, fd, processes)] = [found for found in proc.namespaces.each() if found[2]]
    os.close(fd)
    assert (number, processes) == (proc.number("one"), names)


@pytest.mark.parametrize(
    ("cgroup", "owner"),
    [
        ("/system.slice/a.service", "a.service"),
        ("/system.slice/a.service/payload", "a.service"),
        ("/", "process 10"),
        ("/custom", "process 10"),
    ],
)
def test_whose_a_namespace_is(proc: Proc, cgroup: str, owner: str) -> None:
    proc.add(10, "one", cgroup)
    assert proc.namespaces.owner(4711, ["10"]) == owner


def test_whose_it_is_shows_the_first_process_that_is_still_there(proc: Proc) -> None:
    proc.add(11, "one", "/system.slice/b.service")
    assert proc.namespaces.owner(4711, ["10", "11"]) == "b.service"
    assert proc.namespaces.owner(4711, ["10"]) == "mount namespace 4711"
    assert proc.namespaces.owner(4711, []) == "mount namespace 4711"


@pytest.mark.parametrize(
    ("comm", "exe", "made"),
    [
        ("(demo)", "/usr/lib/systemd/systemd-executor", True),
        ("(demo)", "/usr/lib/systemd/systemd", True),
        ("(demo)", "/usr/lib/systemd/systemd (deleted)", True),
        ("(demo)", "/usr/bin/demo", False),
        ("demo", "/usr/lib/systemd/systemd", False),
        ("(sd-pam)", "/usr/lib/systemd/systemd", False),
    ],
)
def test_which_are_still_being_made(proc: Proc, comm: str, exe: str, made: bool) -> None:
    proc.add(10, "one", comm=comm, exe=exe)
    assert proc.namespaces.being_made(["10"]) is made
    proc.add(9, "one")
    assert proc.namespaces.being_made(["8", "9", "10"]) is made


def test_who_has_ended_makes_nothing(proc: Proc, tmp_path: Path) -> None:
    assert not proc.namespaces.being_made([])
    assert not proc.namespaces.being_made(["10"])
    proc.add(10, "one")
    (tmp_path / "10/comm").write_bytes(b"(\xff\xfe\n")
    assert not proc.namespaces.being_made(["10"])
