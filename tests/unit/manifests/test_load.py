#  SPDX-License-Identifier: MIT
"""A root's manifests and settings become a Plan, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests import load as loading
from extension_manifests import unitfile
from extension_manifests.errors import ManifestError, reason_of
from extension_manifests.load import load
from extension_manifests.unitfile import Entry
from injected import each_error


def test_a_broken_line_costs_that_line_only(tmp_path: Path) -> None:
    folder = tmp_path / "etc/extensions.d"
    folder.mkdir(parents=True)
    (folder / "extensions.conf").write_text("[Etc]\nnonsense\nMode=persistent\n")
    (folder / "extensions.conf.d").mkdir()
    (folder / "extensions.conf.d/a.conf").mkdir()
    plan = load(str(tmp_path), "")
    assert plan.settings.etc.mode == "persistent"
    assert [str(item) for item in plan.diagnostics] == [
        '/etc/extensions.d/extensions.conf:2: "nonsense" has no "="; write Key=value, or "#" before a comment',
        "/etc/extensions.d/extensions.conf.d/a.conf: is a directory; put a regular file there",
    ]


def put(root: Path, path: str, text: str) -> None:
    file = root / "etc/extensions.d" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_nothing_is_an_empty_plan(tmp_path: Path) -> None:
    plan = load(str(tmp_path))
    assert (plan.extensions, plan.masked, plan.broken, plan.diagnostics, plan.names()) == ((), {}, {}, [], [])
    assert plan.settings.enabled


def test_each_name_is_in_one_place(tmp_path: Path) -> None:
    put(tmp_path, "b.extension", "[Extension]\nAbove=c.extension\n")
    put(tmp_path, "c.extension", "[Extension]\nImag=x\n")
    put(tmp_path, "masked.extension", "")
    put(tmp_path, "broken.extension", "[Extension]\nMismatch=x\n")
    put(tmp_path, "a b.extension", "[Extension]\n")
    plan = load(f"{tmp_path}/", "")
    assert [item.name for item in plan.extensions] == ["c", "b"]
    assert plan.masked == {"masked": "/etc/extensions.d/masked.extension"}
    assert plan.names() == ["b", "broken", "c", "masked"]
    (wrong,) = plan.broken["broken"]
    assert str(wrong) == '/etc/extensions.d/broken.extension:2: Mismatch= "x" is not known; write skip or fail'
    assert [(item.severity, str(item)) for item in plan.diagnostics] == [
        ("error", "/etc/extensions.d/a b.extension: the name holds ' '; use A-Z a-z 0-9 . _ - only"),
        ("error", str(wrong)),
        (
            "warning",
            "/etc/extensions.d/c.extension:2: Imag= is not known in [Extension] and ignored; did you mean Image?",
        ),
    ]


def test_a_circle_reaches_the_manifests(tmp_path: Path) -> None:
    put(tmp_path, "a.extension", "[Unit]\nAfter=b.extension\n")
    put(tmp_path, "b.extension", "[Unit]\nRequires=a.extension gone.extension\n")
    plan = load(str(tmp_path), "")
    assert {item.name: item.unordered for item in plan.extensions} == {"a": {"a", "b"}, "b": {"a", "b"}}
    assert [str(item).partition(": ")[2].partition(";")[0] for item in plan.diagnostics] == [
        "After=, Before= and needs go in a circle: a, b",
        "Requires=gone.extension cannot be fulfilled, it has no manifest",
    ]


def test_settings_that_are_no_file_are_told(tmp_path: Path) -> None:
    put(tmp_path, "extensions.conf.d/a.conf", "[Etc]\nMode=ephemeral\n")
    (tmp_path / "etc/extensions.d/extensions.conf").symlink_to("nowhere")
    plan = load(str(tmp_path), "extensions.usr=read-only")
    assert (plan.settings.etc.mode, plan.settings.usr.mode) == ("ephemeral", "read-only")
    assert [str(item) for item in plan.diagnostics] == [
        "/etc/extensions.d/extensions.conf: is a link to nowhere; remove it or create its target"
    ]


def test_the_command_line_is_read_where_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("extensions=0")
    assert not load(str(tmp_path)).settings.enabled
    assert load(str(tmp_path), "").settings.enabled


def test_where_the_cmdline_is_read(tmp_path: Path) -> None:
    assert loading.read_cmdline(str(tmp_path), {"SYSTEMD_PROC_CMDLINE": "no"}) == ""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("below the root")
    assert loading.read_cmdline(str(tmp_path), {}) == "below the root"
    assert loading.read_cmdline("", {"SYSTEMD_PROC_CMDLINE": "given"}) == "given"
    container = loading.read_cmdline("", {"SYSTEMD_VIRTUALIZATION": "container:podman"})
    assert container == Path("/proc/1/cmdline").read_bytes().decode().replace("\0", " ")


def test_a_machine_without_a_command_line_has_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, _mode: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(loading, "open", refuse, raising=False)
    assert loading.read_cmdline("", {}) == ""


@each_error
def test_whatever_is_raised_over_one_file_costs_that_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("a", "bad", "c"):
        put(tmp_path, f"{name}.extension", "[Extension]\n")
    put(tmp_path, "extensions.conf", "[Etc]\nMode=persistent\n")
    put(tmp_path, "extensions.conf.d/bad.conf", "[Usr]\nMode=persistent\n")
    original = unitfile.parse

    def parse(text: str, path: str, problems: list[ManifestError] | None = None) -> list[Entry]:
        if "/bad." in path:
            raise error
        return original(text, path, problems)

    monkeypatch.setattr(loading, "parse", parse)
    plan = load(str(tmp_path), "")
    assert [item.name for item in plan.extensions] == ["a", "c"]
    assert [str(problem) for problem in plan.broken["bad"]] == [f"/etc/extensions.d/bad.extension: {reason_of(error)}"]
    assert plan.settings.etc.mode == "persistent"
    said = f"/etc/extensions.d/extensions.conf.d/bad.conf: {reason_of(error)}"
    assert [str(mistake) for mistake in plan.settings.mistakes] == [said]
    assert plan.diagnostics == [*plan.broken["bad"], *plan.settings.mistakes]


def test_what_is_wrong_with_manifests_is_no_mistake_of_the_settings(tmp_path: Path) -> None:
    put(tmp_path, "bad.extension", "[Extension]\nMismatch=x\n")
    put(tmp_path, "extensions.conf", "[Etc]\nMode=persistent\n[X-Other]\nKey=1\n")
    assert load(str(tmp_path), "").settings.mistakes == []
