#  SPDX-License-Identifier: MIT
"""The programs start the base's interpreter on the base's files, where a base is bound and can be seen."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from extension_runtime.kernel import syscalls
from requirements import require_tool

TOP = Path(__file__).resolve().parents[2]
STUBS = (
    "generators/extensions-generator", "helpers/extensionctl", "helpers/extensions-merge", "helpers/mount.extension",
)  # fmt: skip
BROKEN = "#!/bin/sh\necho broken >&2\nexit 7\n"
MS_BIND, MS_REC = 0x1000, 0x4000


def _bind(source: Path | str, target: Path | str) -> None:
    syscalls.mount(str(source), str(target), None, MS_BIND | MS_REC, None)


def _run(stub: str, *before: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"}
    return subprocess.run([*before, stub, "--nonsense"], capture_output=True, text=True, env=environment, check=False)


def _break(namespace: Path) -> None:
    """Bind a base, and put another python3 over that of /usr."""
    syscalls.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
    os.makedirs("/run/extensionctl/base/usr")
    os.chmod("/run/extensionctl", 0o700)
    _bind("/usr", "/run/extensionctl/base/usr")
    program = namespace / "python3"
    program.write_text(BROKEN)
    program.chmod(0o755)
    _bind(program, os.path.realpath("/usr/bin/python3"))


@pytest.mark.parametrize("stub", STUBS)
def test_the_interpreter_is_that_of_the_base(namespace: Path, stub: str) -> None:
    good = _run(str(TOP / stub))
    assert good.returncode not in (7, 126, 127) and "Traceback" not in good.stderr, good
    _break(namespace)
    assert _run("/usr/bin/python3").returncode == 7
    seen = _run(str(TOP / stub))
    assert (seen.returncode, seen.stdout, seen.stderr) == (good.returncode, good.stdout, good.stderr)


@pytest.mark.parametrize("stub", STUBS)
def test_who_cannot_see_it_gets_what_is_merged(namespace: Path, stub: str) -> None:
    require_tool("setpriv")
    _break(namespace)
    # Where nobody may read them both.
    shutil.copy(namespace / "python3", "/run/python3")
    _bind("/run/python3", os.path.realpath("/usr/bin/python3"))
    shutil.copy(TOP / stub, "/run/stub")
    seen = _run("/run/stub", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert (seen.returncode, seen.stderr) == (7, "broken\n")


def test_the_file_is_that_of_the_base(namespace: Path) -> None:
    """Also by the short names of /usr/bin and /usr/sbin: mount(8) calls its helpers by those."""
    if not os.path.islink("/sbin"):
        pytest.skip("/sbin is a folder of its own here")
    stub = (TOP / "helpers/extensionctl").read_text().partition('\n"""\n')[0]
    for place in ("base/usr/sbin", "merged"):
        (namespace / place).mkdir(parents=True)
        (namespace / place / "a-stub").write_text(f'{stub}\n"""\nprint(__file__)\n')
        (namespace / place / "a-stub").chmod(0o755)
    os.chmod(shutil.copy(namespace / "merged/a-stub", namespace / "merged/other"), 0o755)
    syscalls.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
    os.makedirs("/run/extensionctl/base")
    _bind(namespace / "base", "/run/extensionctl/base")
    _bind(namespace / "merged", "/usr/sbin")
    for called, file in {
        "/sbin/a-stub": "/run/extensionctl/base/usr/sbin/a-stub",
        "/usr/sbin/a-stub": "/run/extensionctl/base/usr/sbin/a-stub",
        "/usr/sbin/other": "/usr/sbin/other",
        f"{namespace}/merged/a-stub": f"{namespace}/merged/a-stub",
    }.items():
        assert _run(called).stdout == f"{file}\n"
