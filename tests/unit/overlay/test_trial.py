#  SPDX-License-Identifier: MIT
"""How programs are tried: which fail, and that none is waited for longer than it may take; mounts: tests/namespace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from extension_runtime.kernel import syscalls
from extension_runtime.overlay import trial
from extension_runtime.overlay.top import OverlayError
from requirements import require_root


def program(path: Path, name: str, text: str) -> tuple[str]:
    (path / name).write_text(f"#!/bin/sh\n{text}\n")
    (path / name).chmod(0o755)
    return (str(path / name),)


@pytest.fixture
def unmounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No namespaces and no mounts: the programs of this machine are run."""
    monkeypatch.setattr(syscalls, "unshare", lambda _kind: None)
    monkeypatch.setattr(syscalls, "mount_setattr", lambda *_, **__: None)
    monkeypatch.setattr(syscalls, "move_mount", lambda _top, _target: None)


@pytest.mark.usefixtures("unmounted")
def test_those_that_fail_are_named(tmp_path: Path) -> None:
    good = program(tmp_path, "good", "exit 0")
    bad = program(tmp_path, "bad", "exit 3")
    killed = program(tmp_path, "killed", "kill -9 $$")
    missing = (str(tmp_path / "missing"),)
    assert trial.failing({}, [good, bad, missing, good, killed]) == [bad[0], missing[0], killed[0]]
    assert trial.failing({}, [good]) == trial.failing({}, []) == []


@pytest.mark.usefixtures("unmounted")
def test_one_that_hangs_is_ended_and_all_together_have_one_time(tmp_path: Path) -> None:
    hangs = program(tmp_path, "hangs", "exec sleep 100")
    good = program(tmp_path, "good", "exit 0")
    begun = time.monotonic()
    assert trial.failing({}, [hangs, good, hangs, hangs], 1.0) == [hangs[0]] * 3
    assert time.monotonic() - begun < 20


@pytest.mark.usefixtures("unmounted")
def test_they_read_and_write_nothing_of_ours_and_know_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/nowhere")
    text = f"echo said; echo wrong >&2; read line; (pwd; env) >{tmp_path}/seen"
    assert trial.failing({}, [program(tmp_path, "noisy", text)]) == []
    assert capfd.readouterr() == ("", "")
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith("/\n") and "LD_PRELOAD" not in seen


def test_tops_are_used_up_also_when_nothing_can_be_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_kind: int) -> None:
        raise OSError(1, "no")

    monkeypatch.setattr(syscalls, "unshare", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OverlayError, match="no mount namespace to try programs in"):
        trial.failing({"/usr": os.open(tmp_path, os.O_RDONLY)}, [("/bin/true",)])
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_is_tried_on_this_machine_works_here() -> None:
    require_root()
    assert all(os.path.isabs(argv[0]) for argv in trial.PROGRAMS)
    assert len(trial.PROGRAMS) < 8  # a bit of an exit status for each
    there = [argv for argv in trial.PROGRAMS if os.path.exists(argv[0])]
    assert trial.failing({}, there) == []
