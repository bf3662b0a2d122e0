#  SPDX-License-Identifier: MIT
"""state.json as records: read back as it was written, refused when it is none, read when a version before wrote it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from extension_runtime import jsontext
from extension_runtime.merge import state
from extension_runtime.merge.state import (
    FORMAT,
    UPGRADES,
    Event,
    FormatError,
    Merged,
    Spec,
    Stacked,
    Stale,
    Standing,
    State,
)  # fmt: skip

HERE = Path(__file__).resolve().parent
OTHERS: tuple[Any, ...] = (None, True, 7, 1.5, "text", [], [7], ["text"], [[]], {}, {"key": 7})
"""A value of each type of JSON, and lists and objects that hold what they must not."""


def written(format_: int = FORMAT) -> Any:
    return json.loads((HERE / f"state-format-{format_}.json").read_text(encoding="utf-8"))


def places(value: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside of JSON data."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*here, key)
            yield from places(inner, (*here, key))


def without(data: Any, place: tuple[Any, ...]) -> Any:
    """A copy of `data` that lacks the value at `place`."""
    found = copy.deepcopy(data)
    inner = found
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return found


def replaced(data: Any, place: tuple[Any, ...], value: object) -> Any:
    """A copy of `data` with another value at `place`."""
    found = copy.deepcopy(data)
    inner = found
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = copy.deepcopy(value)
    return found


PLACES = list(places(written()))


def same(one: object, other: object) -> bool:
    """Whether two values are the same JSON: true is not 1 there."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def read_or_refused(data: Any) -> State | None:
    """The state of `data`, which must be one as it stands, or None where it was refused with a reason."""
    try:
        found = State.of(data)
    except FormatError as error:
        assert str(error)
        return None
    assert State.of(json.loads(json.dumps(found.data()))) == found
    return found


def test_the_places_are_those_of_the_whole_file() -> None:
    assert ("previous", "extensions", "site", "classes", 0) in PLACES
    assert ("hierarchies", "etc", "spec", "layers", 0, 1) in PLACES
    assert ("history", 2, "reason") in PLACES


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_whatever_is_missing_or_wrong_is_refused_or_read_and_nothing_else(place: tuple[Any, ...]) -> None:
    data = written()
    value = data
    for key in place:
        value = value[key]
    read_or_refused(without(data, place))
    for other in OTHERS:
        found = read_or_refused(replaced(data, place, other))
        # What is read is what is there, not something that was made of it.
        assert found is None or same(found.data(), replaced(data, place, other))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_text_number_or_flag_of_another_type_is_no_state(place: tuple[Any, ...]) -> None:
    value = written()
    for key in place:
        value = value[key]
    if isinstance(value, dict | list):
        return
    for other in OTHERS:
        if type(other) is not type(value):
            with pytest.raises(FormatError):
                State.of(replaced(written(), place, other))


@pytest.mark.parametrize("data", [None, True, 7, 1.5, "text", [], [{}]])
def test_what_is_no_object_is_no_state(data: object) -> None:
    with pytest.raises(FormatError, match=r"^has something else where it must have an object$"):
        State.of(data)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("generation",), True, "has no right generation"),
        (("when",), 1.5, "has no right when"),
        (("history",), {}, "has no right history"),
        (("hierarchies", "usr", "merged"), 1, "has no right merged"),
        (("hierarchies", "usr", "layers"), [["a", "/a", "/b"]], "has no right layers"),
        (("hierarchies", "usr", "layers"), [["a"]], "has no right layers"),
        (("hierarchies", "var"), {}, "has no right hierarchies"),
        (("hierarchies", "usr", "spec"), None, "has something else where it must have an object"),
        (("extensions", "site", "classes"), ["confext", 7], "has no right classes"),
        (("previous",), "none", "has something else where it must have an object"),
        (("last",), False, "has something else where it must have an object"),
        (("history", 0, "generation"), None, "has no right generation"),
        (("stale", 0, "unit"), [], "has no right unit"),
        (("extensions", "site", "overrides"), [], "has something else where it must have an object"),
        (("extensions", "site", "overrides"), {"a": "1"}, "has no right a"),
        (("format",), "1", "has no right format"),
        (("format",), True, "has no right format"),
    ],
)
def test_what_is_wrong_is_said(place: tuple[Any, ...], value: object, said: str) -> None:
    with pytest.raises(FormatError) as raised:
        State.of(replaced(written(), place, value))
    assert str(raised.value) == said


def test_a_right_state_comes_back_whole() -> None:
    for found in (State(), State.of(written())):
        assert State.of(found.data()) == found
        assert json.dumps(found.data(), sort_keys=True) == jsontext.dumps(found.data())


def test_what_the_version_before_wrote_is_read_and_says_the_same() -> None:
    found = State.of(written(1))
    before = written(1)
    assert found.data() | before | {"format": FORMAT} == found.data() | {
        "extensions": before["extensions"],
        "previous": before["previous"],
    }
    for name, item in before["extensions"].items():
        assert {key: found.data()["extensions"][name][key] for key in item} == item
    # All that was merged then has yet to be compared with the base.
    assert {item.compared for item in found.now.extensions.values()} == {""}
    assert found.now.generation == 7
    assert sorted(found.now.layered()) == ["debug-tools", "site"]
    assert found.now.extensions["legacy"].reason == "masked by /etc/extensions.d/legacy.extension"
    assert found.previous is not None
    assert found.previous.hierarchies["usr"].layers == [("debug-tools", "/run/extensionctl/layers/5/debug-tools/usr")]
    assert [event.result for event in found.history] == ["done", "failed", "rolled-back", "done", "done"]
    assert found.stale == [Stale("web.service", "maps /usr/lib/libdebug.so, which changed")]


def test_every_format_before_this_one_has_its_upgrade() -> None:
    assert set(UPGRADES) == set(range(1, FORMAT))


@pytest.mark.parametrize("number", [FORMAT + 1, 0, -1])
def test_a_format_that_is_not_known_is_told_with_ours(number: int) -> None:
    with pytest.raises(FormatError) as raised:
        State.of({**State().data(), "format": number})
    assert str(raised.value) == f"has format {number}, and this version reads {FORMAT}"


def test_formats_before_are_raised_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the next change of the format has to keep: the oldest one goes through all upgrades, in order."""
    monkeypatch.setattr(state, "UPGRADES", {
        FORMAT - 2: lambda data: {**data, "generation": data["number"]},
        FORMAT - 1: lambda data: {**data, "when": data["generation"] * 2},
    })  # fmt: skip
    old = State().data() | {"format": FORMAT - 2, "number": 21}
    del old["generation"], old["when"]
    found = State.of(old)
    assert (found.now.generation, found.now.when) == (21, 42)


def test_the_last_event_may_have_left_no_merge_and_others_say_which() -> None:
    assert "generation" not in Event("merge", "failed", "x", 1).data()
    assert Event.of(Event("merge", "failed", "x", 1).data()).generation is None
    assert Event.of(Event("merge", "done", "", 1, 0).data()).generation == 0


# Records


SPEC = Spec("auto", [("a", "/l/1/a/usr")], "", False, True)


def test_records_are_equal_by_what_they_hold() -> None:
    assert Spec("auto", [("a", "/l/1/a/usr")], "", False, True) == SPEC
    assert Spec("auto", [("a", "/l/2/a/usr")], "", False, True) != SPEC
    assert Stale("a", "b") != Event("a", "b", "", 1)
    assert Stale("a", "b") != ("a", "b")
    assert repr(Stale("a.service", "b")) == "Stale(reason='b', unit='a.service')"
    with pytest.raises(TypeError, match="unhashable"):
        hash(SPEC)


def test_a_copy_with_changes_leaves_the_first_as_it_is() -> None:
    one = Standing("a", "merged", "", "/m", classes=["sysext"], hierarchies=["usr"], layer="/l/1/a")
    other = one.but(state="failed", layer="")
    assert (one.state, one.layer, other.state, other.layer) == ("merged", "/l/1/a", "failed", "")
    assert (other.classes, other.hierarchies, other.manifest) == (["sysext"], ["usr"], "/m")
    assert one.but() == one


def test_a_merge_knows_its_layers_and_a_state_those_of_both() -> None:
    def merged(generation: int, *names: str) -> Merged:
        stand = {n: Standing(n, "merged", "", "/m", layer=f"/l/{generation}/{n}") for n in names}
        stand["out"] = Standing("out", "skipped", "x", "/m")
        usr = Stacked("/usr", "auto", True, False, "", [], generation, SPEC)
        return Merged(generation, 0, {"usr": usr}, stand)

    now, before = merged(2, "a"), merged(1, "a", "b")
    assert list(before.layered()) == ["a", "b"]
    assert before.layers() == {"/l/1/a", "/l/1/b"}
    assert State(now, before).used_layers == {"/l/2/a", "/l/1/a", "/l/1/b"}
    assert State(now).used_layers == {"/l/2/a"}
    assert State().used_layers == set()
