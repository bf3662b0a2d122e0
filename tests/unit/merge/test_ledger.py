#  SPDX-License-Identifier: MIT
"""What the state says after a verb: generations, the merge to go back to, masks, and the history."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from extension_runtime.merge import ledger
from extension_runtime.merge.choose import NEW, NONE, Choice
from extension_runtime.merge.state import Event, Merged, Stale, Standing, State
from extension_runtime.merge.wanted import Wanted

TARGETS = {"usr": "/usr", "opt": "/opt", "etc": "/private/etc"}


def choice(name: str, generation: int = 1) -> Choice:
    layer = f"/layers/{generation}/{name}"
    return Choice(name, NEW, Standing(name, "merged", "", "/m", hierarchies=["usr"], layer=layer))


def usr(*names: str, mode: str = "auto", upper: str = "/up", merged: bool = True) -> Wanted:
    return Wanted("usr", mode, [(name, f"/layers/1/{name}/usr") for name in names], upper, False, merged)


def after(
    before: State,
    verb: str = "refresh",
    choices: tuple[Choice, ...] = (),
    wanted: tuple[Wanted, ...] = (),
    changed: Collection[str] = (),
    number: int = 9,
    pinned: Collection[str] = (),
    masked: dict[str, str] | None = None,
) -> State:
    return ledger.after(before, verb, 1000, choices, masked or {}, wanted, TARGETS, changed, number, pinned)


def merged_once() -> State:
    """The state after a first merge of `a` as generation 1."""
    return after(State(), "merge", (choice("a"),), (usr("a"),), ("usr",), 1)


def test_a_first_merge() -> None:
    found = merged_once()
    assert (found.now.generation, found.now.when) == (1, 1000)
    item = found.now.hierarchies["usr"]
    assert (item.target, item.generation, item.merged, item.layers) == ("/usr", 1, True, [("a", "/layers/1/a/usr")])
    assert item.spec == usr("a").spec()
    assert found.now.extensions["a"].layer == "/layers/1/a"
    assert found.previous is None
    assert found.last == Event("merge", "done", "", 1000)
    assert found.history == [Event("merge", "done", "", 1000, 1)]


def test_a_change_keeps_the_merge_before_to_go_back_to() -> None:
    before = merged_once()
    found = after(before, choices=(choice("b", 9),), wanted=(usr("b"),), changed=("usr",), pinned=("/layers/1/a",))
    assert found.previous == before.now
    assert (found.now.generation, found.now.hierarchies["usr"].generation) == (9, 9)
    assert [event.generation for event in found.history] == [1, 9]


@pytest.mark.parametrize(("verb", "pinned"), [("refresh", ()), ("rollback", ("/layers/1/a",))])
def test_there_is_nothing_to_go_back_to_without_its_layers_or_after_going_back(
    verb: str, pinned: tuple[str, ...]
) -> None:
    found = after(merged_once(), verb, (), (usr(merged=False),), ("usr",), pinned=pinned)
    assert found.previous is None


def test_a_state_that_was_lost_is_none_to_go_back_to() -> None:
    lost = State(Merged(4, 0, {}, {}))
    assert after(lost, choices=(choice("a"),), wanted=(usr("a"),), changed=("usr",)).previous is None


def test_what_did_not_change_keeps_its_generation_and_its_time() -> None:
    before = merged_once()
    etc = Wanted("etc", "auto", [], "", False, False)
    found = after(before, wanted=(usr("a"), etc), pinned=("/layers/1/a",))
    assert (found.now.generation, found.now.hierarchies["usr"].generation) == (1, 1)
    assert found.now.hierarchies["etc"].generation == 0
    assert found.now.hierarchies["etc"].target == "/private/etc"
    assert found.previous is None
    assert found.last == Event("refresh", "unchanged", "", 1000)
    assert found.history == before.history


def test_of_two_hierarchies_only_the_changed_one_is_of_the_new_generation() -> None:
    before = merged_once()
    opt = Wanted("opt", "auto", [("b", "/layers/9/b/opt")], "", False, True)
    found = after(before, wanted=(usr("a"), opt), changed={"opt"}, pinned=("/layers/1/a",))
    assert {name: item.generation for name, item in found.now.hierarchies.items()} == {"usr": 1, "opt": 9}


def test_one_without_an_overlay_is_of_no_generation() -> None:
    found = after(merged_once(), "unmerge", wanted=(usr(merged=False),), changed=("usr",))
    assert (found.now.generation, found.now.hierarchies["usr"].generation) == (9, 0)
    assert not found.now.hierarchies["usr"].merged


@pytest.mark.parametrize(
    ("mode", "writable", "upper"),
    [("auto", False, ""), ("read-only", False, ""), ("ephemeral", True, ""), ("persistent", True, "/up")],
)
def test_only_a_persistent_upper_is_told(mode: str, writable: bool, upper: str) -> None:
    found = after(State(), wanted=(usr("a", mode=mode),), changed=("usr",)).now.hierarchies["usr"]
    assert (found.mode, found.writable, found.upper) == (mode, writable, upper)


def test_masks_stand_among_the_extensions_even_of_what_was_chosen() -> None:
    out = Choice("b", NONE, Standing("b", "ready", "x", "/m"))
    found = after(State(), choices=(choice("a"), out), masked={"m": "/etc/m", "b": "/etc/b"})
    assert {name: item.state for name, item in found.now.extensions.items()} == {
        "a": "merged",
        "b": "masked",
        "m": "masked",
    }
    assert found.now.extensions["m"] == Standing("m", "masked", "masked by /etc/m", "/etc/m")


def test_a_failure_is_noted_beside_what_is_still_merged() -> None:
    before = merged_once()
    before.stale.append(Stale("a.service", "x"))
    found = ledger.noted(before, "refresh", "rolled-back", "a.service: failed", 2000)
    assert (found.now, found.previous, found.stale) == (before.now, before.previous, before.stale)
    assert found.last == Event("refresh", "rolled-back", "a.service: failed", 2000)
    assert found.history[-1] == Event("refresh", "rolled-back", "a.service: failed", 2000, 1)
    assert len(before.history) == 1


def test_only_the_latest_entries_of_the_history_are_kept() -> None:
    found = State()
    for when in range(ledger.HISTORY + 3):
        found = ledger.noted(found, "refresh", "failed", "x", when)
    assert [event.when for event in found.history] == list(range(3, ledger.HISTORY + 3))
