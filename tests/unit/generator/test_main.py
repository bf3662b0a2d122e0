#  SPDX-License-Identifier: MIT
"""The generator's command line, its diet of imports, and hostile input from end to end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from extension_generator import main, render
from extension_manifests import keys
from extension_manifests.load import load
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TOP = Path(__file__).resolve().parents[3]
GENERATOR = TOP / "generators/extensions-generator"
# What an interpreter with -I -S has loaded by itself differs from version to version; these never come in.
BANNED = {
    "argparse", "collections", "configparser", "dataclasses", "enum", "json", "logging", "pathlib", "re", "shutil",
    "subprocess", "tempfile", "textwrap", "traceback", "typing", "ctypes", "socket", "threading", "glob", "fnmatch",
    "string", "inspect", "functools", "contextlib", "random", "hashlib",
}  # fmt: skip
STDLIB_BUDGET = {"os", "os.path", "stat", "posixpath", "genericpath", "_collections_abc", "errno", "heapq"}


def run(root: Path | None, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], **({"EXTENSIONS_ROOT": str(root)} if root else {}), **environ}
    command = [str(GENERATOR), *map(str, arguments)]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)


def put(root: Path, name: str, text: str = "[Extension]\n") -> Path:
    file = root / "etc/extensions.d" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "b", "c", "d"], ["--frobnicate"], ["--dry-run", "a", "b"]])
def test_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "--help" in done.stderr


def test_help_and_keys() -> None:
    assert run(None, "--help").stdout.startswith("extensions-generator NORMAL [EARLY LATE]\n")
    assert run(None, "--keys").stdout == keys.listing()


def test_no_manifest_no_output(tmp_path: Path, out: Path) -> None:
    for _ in range(2):
        done = run(tmp_path, out)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert list(out.iterdir()) == []
        (tmp_path / "etc/extensions.d").mkdir(parents=True, exist_ok=True)


def test_dry_run_prints_what_would_be_written(tmp_path: Path, out: Path) -> None:
    put(tmp_path, "a.extension")
    printed = run(tmp_path, "--dry-run").stdout
    assert list(out.iterdir()) == []
    assert run(tmp_path, out).returncode == 0
    for path in out.rglob("*"):
        if path.is_symlink():
            assert f"# {path.relative_to(out)} -> {os.readlink(path)}\n" in printed
        elif path.is_file():
            assert f"# {path.relative_to(out)}\n{path.read_text()}" in printed


def test_user_scope_is_not_ours(tmp_path: Path, out: Path) -> None:
    put(tmp_path, "a.extension")
    assert run(tmp_path, out, SYSTEMD_SCOPE="user").returncode == 0
    assert list(out.iterdir()) == []


def test_off_on_the_kernel_command_line(tmp_path: Path, out: Path) -> None:
    put(tmp_path, "a.extension")
    put(tmp_path, "broken.extension", "x")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("quiet extensions=0\n")
    assert run(tmp_path, out).returncode == 0
    assert list(out.iterdir()) == []


def test_a_second_run_into_the_same_directory_names_the_source(tmp_path: Path, out: Path) -> None:
    put(tmp_path, "a.extension")
    assert run(tmp_path, out).returncode == 0
    done = run(tmp_path, out)
    assert done.returncode == 1
    assert "run-extension-a.mount exists already, made from /etc/extensions.d/a.extension" in done.stderr


def test_hostile_names_are_one_diagnostic_each_and_hurt_nothing(tmp_path: Path, out: Path) -> None:
    put(tmp_path, "good.extension")
    folder = os.fsencode(tmp_path / "etc/extensions.d")
    # 300 bytes do not fit a file name; what does still makes too long a name or unit.
    names = [
        b"..",
        b"a:b",
        b"a,b",
        b"a\\b",
        b"a\nb",
        b"a\x1b[31mb",
        b"\xff\xfe",
        "é".encode(),
        b"x" * 240,
        b"-" * 100,
        b"",
    ]
    for name in names:
        with open(folder + b"/" + name + b".extension", "wb") as file:
            file.write(b"[Extension]\n")
    done = run(tmp_path, out)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == len(names)
    assert all(text.startswith("<3>extensions-generator[") and text.isprintable() for text in lines)
    assert [path.name for path in out.glob("*.mount")] == ["run-extension-good.mount"]
    plan = load(str(tmp_path), "")
    assert plan.names() == ["good"]


def test_hostile_files_do_not_hang_it(tmp_path: Path, out: Path) -> None:
    put(tmp_path, "good.extension")
    os.mkfifo(put(tmp_path, "gone").with_name("fifo.extension"))
    put(tmp_path, "nul.extension", "[Extension]\0")
    put(tmp_path, "long.extension", "[Extension]\nImage=" + "x" * 2_000_000)
    put(tmp_path, "deep.extension", "[Extension]\nAbove=" + " ".join(f"e{n}.extension" for n in range(20000)))
    done = run(tmp_path, out)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    for name in ("fifo", "nul", "long"):
        assert "ext.error=" in (out / f"run-extension-{name}.mount").read_text()
    assert "ext.class=" in (out / "run-extension-deep.mount").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "[Unit]\n" + "After=a.service\n" * 30000 + "Before=\n" * 30000,
        "[Extension]\n" + "".join(f"Imag{n}=x\n" for n in range(60000)),
        "[Extension]\n" + "\\\n" * 400000,
        "".join(f"[Exten{n}]\na=b\n" for n in range(40000)),
        "[Extension]\n" + "x" * 900000 + "=y",
        "[Extension]\nMismatch=" + "x" * 900000,
    ],
    ids=["resets", "unknown", "continued", "sections", "key", "value"],
)
def test_a_large_file_costs_time_in_proportion(text: str, tmp_path: Path, out: Path) -> None:
    put(tmp_path, "a.extension", text)
    done = run(tmp_path, out)
    assert len(done.stderr) < 5000
    assert (out / "run-extension-a.mount").exists()


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=100), dropin=st.binary(max_size=60))
def test_whatever_a_file_holds_it_is_known_afterwards(data: bytes, dropin: bytes, tmp_path: Path) -> None:
    put(tmp_path, "a.extension").write_bytes(b"[Extension]\n" + data)
    put(tmp_path, "extensions.conf").write_bytes(dropin)
    (tmp_path / "etc/extensions.d/a.extension.d").mkdir(exist_ok=True)
    (tmp_path / "etc/extensions.d/a.extension.d/b.conf").write_bytes(dropin)
    plan = load(str(tmp_path), "")
    assert plan.names() == ["a"]
    assert bool(plan.broken) != bool(plan.extensions)
    render.render(plan)


def loaded(*, manifests: bool, root: Path) -> set[str]:
    """Modules that a run brings in on top of the bare interpreter."""
    if manifests:
        put(root, "a.extension", "[Unit]\nAfter=b.extension\n[Extension]\nAbove=b.extension\n")
        put(root, "b.extension")
        put(root, "broken.extension", "[Extension]\nClas=x\nMismatch=y")
        put(root, "extensions.conf", "[Etc]\nMode=persistent\n")
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1])\n"
        "from extension_generator.main import main\n"
        "main(['--dry-run'], {'EXTENSIONS_ROOT': sys.argv[2]})\n"
        "sys.stderr.write('\\n' + ' '.join(set(sys.modules) - before))\n"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", code, str(TOP / "generators"), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_imports_with_nothing_to_do(tmp_path: Path) -> None:
    ours = {name for name in loaded(manifests=False, root=tmp_path) if name.startswith("extension_")}
    assert ours == {"extension_generator", "extension_generator.main", "extension_manifests"}


def test_imports_with_all_there_is(tmp_path: Path) -> None:
    modules = {name for name in loaded(manifests=True, root=tmp_path) if not name.startswith("extension_")}
    assert not modules & BANNED
    assert modules - {name for name in modules if name.startswith("_")} <= STDLIB_BUDGET


def test_the_stub_finds_its_package_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "generator").symlink_to(GENERATOR)
    done = subprocess.run([tmp_path / "generator", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_in_this_process(tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "a.extension")
    environ = {"EXTENSIONS_ROOT": f"{tmp_path}/"}
    assert main.main([str(out)], environ) == 0
    assert (out / "run-extension-a.mount").exists()
    assert main.main([str(out), "early", "late"], environ) == 1
    assert "exists already" in capfd.readouterr().err
    assert main.main(["--dry-run"], environ) == 0
    assert "# run-extension-a.mount\n" in capfd.readouterr().out
    assert main.main(["--keys"], {}) == main.main(["-h"], {}) == 0
    assert capfd.readouterr().out == keys.listing() + main.HELP
    assert main.main([], environ) == 2
    assert capfd.readouterr().err == "extensions-generator: wants 1 or 3 directories; see --help\n"


def test_a_diagnostic_is_the_exit_status_only_when_it_is_an_error(tmp_path: Path, out: Path) -> None:
    environ = {"EXTENSIONS_ROOT": str(tmp_path), "SYSTEMD_LOG_TARGET": "null"}
    put(tmp_path, "a.extension", "[Extension]\nImag=x\n")
    assert main.generate(str(tmp_path), str(out / "one"), environ) == 0
    put(tmp_path, "a.extension", "[Extension]\nMismatch=x\n")
    assert main.generate(str(tmp_path), str(out / "two"), environ) == 1
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("extensions=off")
    assert main.generate(str(tmp_path), str(out / "three"), environ) == 0
    assert sorted(path.name for path in out.iterdir()) == ["one", "two"]


def test_when_in_doubt_there_is_something(tmp_path: Path) -> None:
    assert not main.anything(str(tmp_path))
    (tmp_path / "etc").symlink_to("/elsewhere")  # inside the root only
    assert main.anything(str(tmp_path))
    (tmp_path / "etc").unlink()
    (tmp_path / "etc").write_text("")
    assert main.anything(str(tmp_path))
    (tmp_path / "etc").unlink()
    put(tmp_path, "readme").unlink()
    assert not main.anything(str(tmp_path))
    put(tmp_path, "readme")
    assert main.anything(str(tmp_path))


@pytest.mark.parametrize("what", ["merged", "a link"])
def test_what_is_merged_may_hide_all_there_is(tmp_path: Path, what: str) -> None:
    if what == "merged":
        (tmp_path / "run/extensionctl/base").mkdir(parents=True)
    else:
        (tmp_path / "run").symlink_to("/inside/the/root")
    assert main.anything(str(tmp_path))


def test_a_reader_that_has_gone_is_no_error() -> None:
    code = "import sys; from extension_generator.main import show; sys.exit(show('x' * (1 << 20)))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(TOP / "generators")},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
