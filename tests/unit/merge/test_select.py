#  SPDX-License-Identifier: MIT
"""Which layers a transaction stacks, where manifests are broken, where something was merged, and in a dry run."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests import options
from extension_manifests.errors import Diagnostic
from extension_manifests.load import Plan
from extension_manifests.manifest import Manifest
from extension_manifests.settings import Settings
from extension_runtime.image import request
from extension_runtime.image.record import Record
from extension_runtime.merge import select
from extension_runtime.merge.choose import KEEP, LAST_GOOD, NEW, NONE, Candidate, Choice
from extension_runtime.merge.state import Merged, Spec, Stacked, Standing
from extension_runtime.paths import Paths


def manifest(name: str, *unit: tuple[str, str]) -> Manifest:
    return Manifest(name, f"/etc/extensions.d/{name}.extension", unit)


def attached(name: str, identity: str = "i") -> Record:
    return Record(name, "attached", "", f"/images/{name}", "2", identity, "directory", ["sysext"], ["usr"])


def standing(name: str, identity: str = "i", state: str = "merged", layer: str = "yes") -> Standing:
    place = f"/layers/1/{name}" if layer else ""
    return Standing(name, state, "", "/m", identity=identity, classes=["sysext"], hierarchies=["usr"], layer=place)


def plan(*manifests: Manifest, broken: tuple[str, ...] = (), enabled: bool = True) -> Plan:
    settings = Settings()
    settings.enabled = enabled
    problems = {name: [Diagnostic(f"/etc/extensions.d/{name}.extension", 2, "is wrong")] for name in broken}
    return Plan(manifests, {}, problems, settings, [])


def found(choices: list[Choice]) -> list[tuple[str, str, bool]]:
    return [(choice.name, choice.source, choice.left_out) for choice in choices]


def test_what_is_as_it_was_is_kept_and_what_is_new_is_new() -> None:
    manifests = (manifest("a"), manifest("b"))
    candidates = [Candidate(manifests[0], attached("a")), Candidate(manifests[1], attached("b", "j"))]
    choices = select.choices(plan(*manifests), candidates, {"a": standing("a"), "b": standing("b")})
    assert found(choices) == [("a", KEEP, False), ("b", NEW, False)]


def test_a_broken_manifest_leaves_its_extension_as_it_was_and_where_its_name_puts_it() -> None:
    manifests = (manifest("a"), manifest("c"))
    candidates = [Candidate(one, attached(one.name)) for one in manifests]
    choices = select.choices(plan(*manifests, broken=("b", "d", "new")), candidates, {
        "b": standing("b"), "d": standing("d", state="skipped"),
    })  # fmt: skip
    assert found(choices) == [
        ("a", NEW, False),
        ("b", LAST_GOOD, True),
        ("c", NEW, False),
        ("d", LAST_GOOD, True),
        ("new", NONE, True),
    ]
    said = "kept as it was, because its manifest is broken: /etc/extensions.d/d.extension:2: is wrong"
    assert (choices[3].standing.state, choices[3].standing.reason) == ("merged", said)
    assert choices[3].standing.layer == "/layers/1/d"
    assert choices[4].standing == Standing(
        "new", "failed", "/etc/extensions.d/new.extension:2: is wrong", "/etc/extensions.d/new.extension"
    )


def test_what_requires_a_broken_one_that_never_was_merged_is_left_out_too() -> None:
    needy = manifest("a", ("Requires", "broken.extension"))
    choices = select.choices(plan(needy, broken=("broken",)), [Candidate(needy, attached("a"))], {})
    assert found(choices) == [("a", NONE, True), ("broken", NONE, True)]


def test_always_pins_anew_what_would_be_kept_and_nothing_else() -> None:
    choices = [Choice(name, name, standing(name)) for name in (KEEP, NEW, LAST_GOOD, NONE)]
    select.renew(choices)
    assert [choice.source for choice in choices] == [NEW, NEW, LAST_GOOD, NONE]


def test_nothing_is_merged_by_an_unmerge_or_where_the_command_line_says_so() -> None:
    [choice] = select.none(plan(manifest("a")))
    assert (choice.source, choice.standing.state) == (NONE, "ready")
    assert choice.standing.reason == "not merged; 'extensionctl merge' merges it"
    [choice] = select.none(plan(manifest("a"), enabled=False))
    assert choice.standing.reason == "extensions=0 on the kernel command line"
    assert not choice.left_out


def test_an_earlier_merge_has_its_layers_in_its_order() -> None:
    layers = [("z", "/layers/1/z/usr"), ("a", "/layers/1/a/usr")]
    usr = Stacked("/usr", "auto", True, False, "", layers, 1, Spec("auto", layers, "", False, True))
    stood = {"a": standing("a"), "out": standing("out", state="skipped", layer=""), "z": standing("z")}
    before = Merged(1, 0, {"usr": usr}, stood)
    choices = select.earlier(before, plan())
    assert found(choices) == [("out", NONE, False), ("z", KEEP, False), ("a", KEEP, False)]
    choices[1].standing.reason = "changed"
    assert stood["z"].reason == ""


def test_an_earlier_merge_without_a_promise_is_not_gone_back_to() -> None:
    demanding = Manifest("a", "/m", root_hash="00" * 32)
    choices = select.earlier(Merged(1, 0, {}, {"a": standing("a"), "b": standing("b")}), plan(demanding, manifest("b")))
    assert found(choices) == [("a", NONE, True), ("b", KEEP, False)]
    assert (choices[0].standing.state, choices[0].standing.layer) == ("failed", "")
    assert choices[0].standing.reason == f"not gone back to: that was attached without RootHash={'00' * 32}"
    kept = standing("a")
    kept.options = request.of_manifest("", demanding).options
    assert found(select.earlier(Merged(1, 0, {}, {"a": kept}), plan(demanding))) == [("a", KEEP, False)]


@pytest.mark.parametrize("key", options.PROMISING)
def test_a_promise_that_cannot_be_read_keeps_nothing(key: str) -> None:
    made = plan()
    made.broken = {"a": [Diagnostic("/m", 2, f"{key} is wrong")]}
    (choice,) = select.choices(made, [], {"a": standing("a")})
    assert (choice.source, choice.standing.state, choice.left_out) == (NONE, "failed", True)
    assert choice.standing.reason == f"/m:2: {key} is wrong"


# A dry run


def image(root: Path, name: str) -> None:
    folder = root / f"var/lib/extensions/{name}/usr/lib/extension-release.d"
    folder.mkdir(parents=True)
    (folder / f"extension-release.{name}").write_text("ID=_any\n")


def test_a_dry_run_takes_an_image_that_is_not_attached_for_good(tmp_path: Path) -> None:
    image(tmp_path, "there")
    candidates = [Candidate(manifest("there"), None, "its unit is not loaded"), Candidate(manifest("missing"), None)]
    select.foresee(Paths(str(tmp_path)), candidates, always=False)
    record = candidates[0].record
    assert record is not None
    assert (record.state, record.image, record.classes) == ("attached", "there", ["sysext"])
    assert record.hierarchies == ["usr"]
    assert record.identity
    assert candidates[0].held_back == ""
    assert candidates[1].record is None


def test_a_dry_run_leaves_what_is_attached_already_unless_all_is_done_again(tmp_path: Path) -> None:
    image(tmp_path, "there")
    candidates = [Candidate(manifest("there"), None)]
    select.foresee(Paths(str(tmp_path)), candidates, always=False)
    current = candidates[0].record
    select.foresee(Paths(str(tmp_path)), candidates, always=False)
    assert candidates[0].record is current
    select.foresee(Paths(str(tmp_path)), candidates, always=True)
    assert candidates[0].record is not current


def test_a_dry_run_says_what_would_be_refused(tmp_path: Path) -> None:
    image(tmp_path, "there")
    candidate = Candidate(Manifest("there", "/m", root_hash="00" * 32), None)
    select.foresee(Paths(str(tmp_path)), [candidate], always=False)
    assert candidate.record is not None
    assert (candidate.record.state, candidate.record.reason[:9]) == ("failed", "RootHash=")
