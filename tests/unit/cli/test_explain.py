#  SPDX-License-Identifier: MIT
"""extensionctl explain: all that decided, and what PID 1 says of conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_root import Root
from extension_runtime.cli import main


def test_explain(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    root.manifest("one", "[Extension]\nAbove=two.extension\n[Reload]\nRestart=a.service\n")
    root.manifest("two")
    root.write("usr/lib/extensions.d/one.extension", "[Extension]\n")
    root.write("etc/extensions.d/one.extension.d/10-a.conf", "[Reload]\nRollback=no\n")
    root.image("one", "ID=fedora\n")
    assert main.main([f"--root={root.path}", "explain", "one.extension"]) == 0
    text = capsys.readouterr().out
    for said in (
        "one: skipped",
        "Manifest: /etc/extensions.d/one.extension",
        "Hides: /usr/lib/extensions.d/one.extension",
        "Drop-ins: /etc/extensions.d/one.extension.d/10-a.conf",
        "looked for in /etc/extensions, /run/extensions, /var/lib/extensions",
        "Picked: /var/lib/extensions/one",
        "made for ID=fedora",
        "System: ID=debian VERSION_ID=12",
        "Layer: by manifests: 2 of 2, on top of two, topmost",
        "Restart=a.service",
        "Rollback=no",
    ):
        assert said in text, said
    assert main.main([f"--root={root.path}", "explain", "nobody"]) == 1
    assert "known: one, two" in capsys.readouterr().err


def test_explain_what_is_merged_masked_or_broken(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    def explained(name: str) -> dict[str, Any]:
        assert main.main([f"--root={root.path}", "--json=short", "explain", name]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    root.manifest("one")
    root.manifest("masked", "")
    root.manifest("broken", "[Extension]\nClass=wrong\n")
    root.merged(one={}, gone={})
    assert explained("one")["explanation"]["Layer"] == ["/usr: 1 of 2, lowest, below gone"]
    assert explained("gone")["explanation"]["Manifest"] == ["none; it was removed after the merge"]
    assert explained("masked")["explanation"] == {
        "Reason": ["masked by /etc/extensions.d/masked.extension"],
        "Manifest": ["/etc/extensions.d/masked.extension (masks the name)"],
    }
    broken = explained("broken")
    assert broken["state"] == "failed"
    assert broken["explanation"]["Mistakes"][0].startswith("/etc/extensions.d/broken.extension:2: ")
