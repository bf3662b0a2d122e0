"""The fixture `namespace`: the body of a test that asks for it runs in a child with a mount namespace of its own.

Nothing it mounts is seen outside or outlives it.  Its value is the path of an empty directory on a fresh tmpfs,
which is mounted in the child only; other fixtures are set up in the parent, outside of that namespace.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path

import pytest
from extension_runtime.kernel import syscalls
from requirements import require_root

MS_REC = 0x4000


@pytest.fixture
def namespace(tmp_path: Path) -> Path:
    """The path of a directory that is an empty tmpfs inside the test's own mount namespace."""
    require_root()
    root = tmp_path / "root"
    root.mkdir()
    return root


def _child(item: pytest.Function, result: int) -> int:
    """Run the test's body in a namespace of its own; write why it failed to `result`; 0 passed, 1 failed, 2 skipped."""
    try:
        syscalls.unshare()
        syscalls.mount("none", "/", None, MS_REC | syscalls.MS_PRIVATE, None)
        syscalls.mount("tmpfs", str(item.funcargs["namespace"]), "tmpfs", 0, "mode=0755")
        names = item._fixtureinfo.argnames
        item.obj(**{name: item.funcargs[name] for name in names})
        return 0
    except pytest.skip.Exception as skipped:
        os.write(result, str(skipped).encode())
        return 2
    except BaseException:
        try:
            text = str(pytest.ExceptionInfo.from_current().getrepr(style="long"))
        except Exception:
            text = traceback.format_exc()
        with os.fdopen(result, "wb", closefd=False) as pipe:
            pipe.write(text.encode(errors="replace"))
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run tests that ask for `namespace` in a forked child."""
    if "namespace" not in pyfuncitem.fixturenames:
        return None
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # A parallel run has a thread that waits; the child does not need it.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            status = _child(pyfuncitem, writer)
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 2:
        pytest.skip(said)
    if code != 0:
        pytest.fail(said or f"the test's process ended with status {code}", pytrace=False)
    return True
