#  SPDX-License-Identifier: MIT
"""extensionctl list: what people read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cli_root import Root
from extension_manifests.errors import reason_of
from extension_runtime.cli import facts, main
from extension_runtime.merge.state import Standing
from injected import each_error


def test_list_for_people(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([f"--root={root.path}", "list"]) == 0
    assert capsys.readouterr().out == "No extensions.\n"
    root.merged(one={})
    root.manifest("one")
    assert main.main([f"--root={root.path}", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "CLASS", "STATE", "VERSION", "HIERARCHIES", "REASON"]
    assert lines[1].split() == ["one", "sysext", "merged", "1.0", "/usr", "-"]
    assert lines[2:] == ["", "1 extension listed."]
    assert main.main([f"--root={root.path}", "list", "--no-legend"]) == 0
    assert capsys.readouterr().out == "one  sysext  merged  1.0  /usr  -\n"


def test_what_is_to_be_known_follows_the_reason(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["/lib in the image counts for nothing", "merged by --force, until the next boot: made for ID=x"]
    root.merged(
        many={"overrides": {"": 2, "one": 1}, "remarks": told, "forced": True},
        one={"overrides": {"": 1}, "reason": "kept at its last good version"},
    )
    for name in ("many", "one"):
        root.manifest(name)
    assert main.main([f"--root={root.path}", "list", "--no-legend"]) == 0
    many, one = capsys.readouterr().out.splitlines()
    assert many.endswith(f"/usr  replaces 3 files; {'; '.join(told)}")
    assert one.endswith("/usr  kept at its last good version; replaces 1 file")


def test_programs_read_what_is_replaced_by_whose_it_was(
    root: Root, listed: Callable[[], dict[str, dict[str, Any]]]
) -> None:
    root.merged(many={"overrides": {"": 2, "one": 1}, "remarks": ["a"], "forced": True}, one={})
    many, one = listed()["many"], listed()["one"]
    assert many["overrides"] == {"base": 2, "extensions": {"one": 1}}
    assert (many["remarks"], many["forced"]) == (["a"], True)
    assert (one["overrides"], one["remarks"], one["forced"]) == ({"base": 0, "extensions": {}}, [], False)


def test_a_mistake_in_the_settings_is_told_by_every_verb_that_reads(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    root.merged(one={})
    root.manifest("one")
    (root.path / "etc/extensions.d/extensions.conf").write_text("[Usr]\nMode=persistant\n")
    for verb in (["list"], ["status"], ["explain", "one"], ["list", "--json=short"]):
        assert main.main([f"--root={root.path}", *verb]) == 0
        said = capsys.readouterr().err
        assert said.startswith('extensionctl: /etc/extensions.d/extensions.conf:2: Mode= "persistant" is not known; ')
        assert said.endswith("; until that is mended, hierarchies keep the mode that they had last\n")


@each_error
def test_one_extension_over_which_something_is_raised_hides_no_other(
    root: Root, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    root.merged(bad={}, one={})
    for name in ("bad", "one"):
        root.manifest(name)
    original = facts.Facts._merged

    def merged(self: facts.Facts, name: str, stands: Standing) -> facts.Extension:
        if name == "bad":
            raise error
        return original(self, name, stands)

    monkeypatch.setattr(facts.Facts, "_merged", merged)
    assert main.main([f"--root={root.path}", "--json=short", "list"]) == 0
    bad, one = json.loads(capsys.readouterr().out)
    assert (bad["name"], bad["state"], bad["reason"]) == ("bad", "failed", f"bad: {reason_of(error)}")
    assert one["state"] == "merged"
