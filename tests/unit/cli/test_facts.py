#  SPDX-License-Identifier: MIT
"""The state of each extension and the reason for it, from all that is known of a root."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cli_root import Root
from extension_runtime.cli import main
from extension_runtime.image import record


def test_states_of_extensions_that_are_not_merged(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    for name in ("good", "foreign", "strict", "missing"):
        root.manifest(name, "[Extension]\nMismatch=fail\n" if name == "strict" else "[Extension]\n")
    root.image("good")
    root.image("foreign", "ID=fedora\n")
    root.image("strict", "ID=fedora\n")
    root.manifest("broken", "[Extension]\nClass=wrong\n")
    root.manifest("verified", f"[Extension]\nImage=good\nRootHash={'00' * 32}\n")
    root.manifest("hidden", "")
    root.write("etc/extensions.d/b ad.extension", "[Extension]\n")
    found = listed()
    assert {name: entry["state"] for name, entry in found.items()} == {
        "b ad": "failed",
        "broken": "failed",
        "foreign": "skipped",
        "good": "ready",
        "hidden": "masked",
        "missing": "failed",
        "strict": "failed",
        "verified": "failed",
    }
    assert found["verified"]["reason"].startswith("RootHash= is not yet supported")
    assert found["broken"]["reason"].startswith("/etc/extensions.d/broken.extension:2: ")
    assert "ID=fedora" in found["foreign"]["reason"]
    assert "/var/lib/extensions" in found["missing"]["reason"]
    assert found["hidden"]["reason"] == "masked by /etc/extensions.d/hidden.extension"
    good = {key: found["good"][key] for key in ("class", "image", "version", "hierarchies")}
    assert good == {"class": "sysext", "image": "/var/lib/extensions/good", "version": "1.0", "hierarchies": ["usr"]}


def test_states_of_merged_extensions(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    for name in ("plain", "old"):
        root.manifest(name)
    root.manifest("masked", "")
    root.manifest("broken", "[Extension]\nClass=wrong\n")
    root.merged(plain={}, old={"reason": "kept at 1.0: 2.0 is cut off"}, gone={}, masked={}, broken={})
    found = listed()
    assert {entry["state"] for entry in found.values()} == {"merged"}
    assert found["plain"]["reason"] == ""
    assert found["old"]["reason"] == "kept at 1.0: 2.0 is cut off"
    assert "manifest is gone" in found["gone"]["reason"]
    assert "the next refresh takes it off" in found["masked"]["reason"]
    assert "broken.extension:2" in found["broken"]["reason"]


def test_an_attachment_that_failed_is_told(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    root.manifest("bad")
    root.image("bad")
    root.merged()
    record.write(f"{root.path}/run/extensionctl/attached", record.Record("bad", "failed", "bad.raw: is truncated"))
    assert (listed()["bad"]["state"], listed()["bad"]["reason"]) == ("failed", "bad.raw: is truncated")


def test_the_kernel_command_line_switches_all_off(root: Root, listed: Callable[[], dict[str, dict[str, Any]]]) -> None:
    root.manifest("one")
    root.image("one")
    root.write("proc/cmdline", "quiet extensions=0\n")
    assert listed()["one"]["state"] == "skipped"
    assert "extensions=0" in listed()["one"]["reason"]


@pytest.mark.parametrize("verb", ["list", "status", "history"])
def test_a_broken_state_is_one_line_and_stops_no_verb(
    root: Root, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    root.manifest("one")
    root.write("run/extensionctl/state.json", "{")
    assert main.main([f"--root={root.path}", verb]) == 0
    said = capsys.readouterr()
    [line] = said.err.splitlines()
    assert line.endswith("; the next merge or refresh puts it aside")
    assert "state.json: " in line
    assert verb == "history" or said.out
