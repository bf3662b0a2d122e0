#  SPDX-License-Identifier: MIT
"""What becomes of each extension, and what is said of it: pure functions, table-tested."""

from __future__ import annotations

from typing import Any

import pytest
from extension_manifests import options
from extension_manifests.manifest import Manifest
from extension_runtime.image.record import Record
from extension_runtime.merge import choose
from extension_runtime.merge.choose import KEEP, LAST_GOOD, NEW, NONE, Candidate, Choice
from extension_runtime.merge.state import Standing


def manifest(name: str, *unit: tuple[str, str]) -> Manifest:
    return Manifest(name, f"/etc/extensions.d/{name}.extension", unit)


def record(name: str, state: str = "attached", reason: str = "", identity: str = "new") -> Record:
    return Record(name, state, reason, f"/var/lib/extensions/{name}", "2", identity, "directory", ["sysext"], ["usr"])


def merged(name: str, identity: str = "old") -> Standing:
    """The entry of an extension as the last merge left it."""
    return choose.standing(manifest(name), "merged", "", record(name, identity=identity), f"/layers/1/{name}")


@pytest.mark.parametrize(
    ("found", "before", "source", "state", "left_out", "reason"),
    [
        (record("app"), None, NEW, "merged", False, ""),
        (record("app"), merged("app"), NEW, "merged", False, ""),
        (record("app", identity="old"), merged("app"), KEEP, "merged", False, ""),
        # A new version that is no good: the old one stays.
        (record("app", "failed", "truncated"), merged("app"), LAST_GOOD, "merged", True, "truncated"),
        (record("app", "skipped", "ID differs"), merged("app"), LAST_GOOD, "merged", True, "ID differs"),
        # The same image, which cannot be attached just now: stays, too.
        (record("app", "failed", "no loop", "old"), merged("app"), LAST_GOOD, "merged", True, "no loop"),
        # The same image, which is not made for this host any more: goes.
        (record("app", "skipped", "ID differs", "old"), merged("app"), NONE, "skipped", False, "ID differs"),
        # There is no image any more.
        (record("app", "failed", "no such image", ""), merged("app"), NONE, "failed", True, "no such image"),
        # Never merged.
        (record("app", "failed", "truncated"), None, NONE, "failed", True, "truncated"),
        (record("app", "skipped", "ID differs"), None, NONE, "skipped", False, "ID differs"),
        (None, merged("app"), NONE, "failed", True, "not attached and no reason recorded"),
    ],
)
def test_choice(
    found: Record | None, before: Standing | None, source: str, state: str, left_out: bool, reason: str
) -> None:
    [choice] = choose.choose([Candidate(manifest("app"), found)], {"app": before} if before else {})
    assert (choice.source, choice.standing.state, choice.left_out) == (source, state, left_out)
    assert reason in choice.standing.reason
    assert bool(choice.standing.reason) == (bool(reason))
    expected = {KEEP: "/layers/1/app", LAST_GOOD: "/layers/1/app", NEW: "", NONE: ""}[source]
    assert choice.standing.layer == expected


def test_what_pid_1_holds_back_is_skipped_for_its_reason() -> None:
    [choice] = choose.choose([Candidate(manifest("app"), record("app"), "a condition")], {"app": merged("app")})
    assert (choice.source, choice.standing.state, choice.standing.reason) == (NONE, "skipped", "a condition")
    assert not choice.left_out


def test_the_last_good_version_tells_its_own_version_and_the_new_image() -> None:
    before = merged("app").but(version="1", manifest="/run/extensions.d/app.extension")
    [choice] = choose.choose([Candidate(manifest("app"), record("app", "failed", "broken"))], {"app": before})
    assert (choice.standing.version, choice.standing.manifest) == ("1", "/etc/extensions.d/app.extension")
    assert "because of /var/lib/extensions/app: broken" in choice.standing.reason
    assert before.reason == ""


def chosen(name: str, source: str = NEW) -> Choice:
    return Choice(name, source, Standing(name, "merged", "", "/m", layer=f"/layers/2/{name}", hierarchies=["usr"]))


@pytest.mark.parametrize("key", ["Requires", "Requisite", "BindsTo"])
def test_what_needs_one_that_is_not_merged_is_left_out_and_so_on(key: str) -> None:
    manifests = [manifest("a"), manifest("b", (key, "a.extension")), manifest("c", (key, "x.service b.extension"))]
    good = choose.without_unmet_needs(manifests, [chosen("a"), chosen("b"), chosen("c")])
    assert [choice.source for choice in good] == [NEW, NEW, NEW]
    bad = choose.without_unmet_needs(manifests, [chosen("a", NONE), chosen("b"), chosen("c")])
    assert [choice.source for choice in bad] == [NONE, NONE, NONE]
    assert [choice.standing.reason for choice in bad] == [
        "",
        "requires a, which is not merged",
        "requires b, which is not merged",
    ]
    assert [choice.left_out for choice in bad] == [False, True, True]


def test_wants_is_no_need() -> None:
    [choice] = choose.without_unmet_needs([manifest("b", ("Wants", "a.extension"))], [chosen("b")])
    assert choice.source == NEW


def test_the_last_good_one_of_a_broken_manifest_meets_a_need() -> None:
    found = choose.without_unmet_needs(
        [manifest("b", ("Requires", "broken.extension"))], [chosen("b"), chosen("broken", LAST_GOOD)]
    )
    assert [choice.source for choice in found] == [NEW, LAST_GOOD]


# Promises


def promising(**keys: Any) -> Manifest:
    return Manifest("app", "/etc/extensions.d/app.extension", **keys)


PROMISES: list[dict[str, Any]] = [
    {"root_hash": "00" * 32},
    {"signature": "/x.p7s"},
    {"image_policy": "root=verity"},
    {"noexec": True},
    {"nosuid": True},
    {"classes": ("sysext", "confext"), "nosuid": True},
]


@pytest.mark.parametrize("keys", PROMISES)
@pytest.mark.parametrize("state", ["failed", "skipped"])
@pytest.mark.parametrize("identity", ["", "old", "new"])
def test_nothing_is_kept_that_was_attached_without_a_promise(keys: dict[str, Any], state: str, identity: str) -> None:
    demanding = promising(**keys)
    refused = record("app", state, "refused", identity)
    [choice] = choose.choose([Candidate(demanding, refused)], {"app": merged("app")})
    assert (choice.source, choice.standing.layer) == (NONE, "")
    # With the same promises as now, it is as good as it was.
    kept = merged("app")
    kept.options = options.text(options.told(demanding))
    [choice] = choose.choose([Candidate(demanding, record("app", "failed", "broken"))], {"app": kept})
    assert choice.source == LAST_GOOD


@pytest.mark.parametrize("keys", PROMISES)
@pytest.mark.parametrize("before", [None, merged("app", identity="new")])
def test_whoever_attached_it_it_is_not_merged_without_a_promise(keys: dict[str, Any], before: Standing | None) -> None:
    """As an old unit does that PID 1 has not read again."""
    found = record("app")
    found.options = options.text(options.told(manifest("app")))
    [choice] = choose.choose([Candidate(promising(**keys), found)], {"app": before} if before else {})
    assert (choice.source, choice.standing.state, choice.left_out) == (NONE, "failed", True)
    assert choice.standing.reason.startswith("attached without ")
    assert "; run systemctl daemon-reload" in choice.standing.reason
    found.options = options.text(options.told(promising(**keys)))
    [choice] = choose.choose([Candidate(promising(**keys), found)], {"app": before} if before else {})
    assert (choice.source, choice.standing.options) == (KEEP if before else NEW, found.options)


def test_an_extension_over_which_something_is_raised_stays_as_it_was() -> None:
    kept = choose.failed(manifest("app"), "app: bad", merged("app"))
    assert (kept.source, kept.left_out, kept.standing.layer) == (LAST_GOOD, True, "/layers/1/app")
    assert kept.standing.reason == "kept at its last good version: app: bad"
    for before in (None, merged("app").but(layer="")):
        gone = choose.failed(manifest("app"), "app: bad", before)
        assert (gone.source, gone.left_out, gone.standing.state) == (NONE, True, "failed")
    # What it promises now was not kept when that was attached.
    strict = Manifest("app", "/m", root_hash="00" * 32)
    assert choose.failed(strict, "app: bad", merged("app")).source == NONE


def test_one_that_is_made_for_another_host_says_that_it_was_forced() -> None:
    found = record("app")
    found.excused = "made for ID=other"
    [choice] = choose.choose([Candidate(manifest("app"), found)], {})
    assert (choice.source, choice.standing.forced) == (NEW, True)
    assert choice.standing.remarks == ["merged by --force, until the next boot: made for ID=other"]
