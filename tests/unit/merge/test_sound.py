#  SPDX-License-Identifier: MIT
"""A state of the right types may still be none: what cannot be is found, and what is let through hurts no reader."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from extension_manifests import keys, load
from extension_runtime import jsontext
from extension_runtime.cli import status, table
from extension_runtime.cli.facts import Facts
from extension_runtime.image import host
from extension_runtime.merge import sound, statefile
from extension_runtime.merge.state import FormatError, State
from extension_runtime.paths import Paths

LAYERS = "/run/extensionctl/layers"
WRITTEN = json.loads((Path(__file__).resolve().parent / "state-format-2.json").read_text(encoding="utf-8"))
ABSURD: dict[type, tuple[Any, ...]] = {
    int: (-1, 1 << 40, 1 << 70, 10**400),
    str: (
        "",
        ".",
        "..",
        "/",
        "/etc",
        "../../etc",
        "a/b",
        "x" * 300,
        "a\nb",
        "\x1b[31m",
        "\ud800",
        LAYERS,
        f"{LAYERS}/../x",
    ),
    bool: (),
    list: ([], [["x", "/etc"]], [[LAYERS] * 2], ["var"]),
    dict: ({}, {"..": {}}),
    type(None): (),
}


def places(value: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside of JSON data."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*here, key)
            yield from places(inner, (*here, key))


def each(data: Any, place: tuple[Any, ...]) -> Iterator[Any]:
    """Copies of `data` with another value at `place`, and one with another key for it."""
    for number in range(100):
        found = copy.deepcopy(data)
        inner = found
        for key in place[:-1]:
            inner = inner[key]
        values = ABSURD[type(inner[place[-1]])]
        if number == len(values):
            if isinstance(inner, dict):
                inner[f"../{place[-1]}"] = inner.pop(place[-1])
                yield found
            return
        inner[place[-1]] = values[number]
        yield found


def readers(state: State, root: str) -> None:
    """What list, status and history make of a state."""
    facts = Facts(root, host.Host(""), load.load(root, ""), True, state, {}, {})
    status._lines(status.summary(facts), table.screen(), True)
    for event in state.history:
        table.moment(event.when)
    table.json_text([extension.data() for extension in facts.extensions()], "short")


def test_what_this_program_writes_is_sound(tmp_path: Path) -> None:
    for state in (State(), State.of(WRITTEN)):
        assert sound.problem(state, LAYERS) == ""
        readers(state, str(tmp_path))


@pytest.mark.parametrize("place", list(places(WRITTEN)), ids=lambda place: ".".join(map(str, place)))
def test_what_cannot_be_is_found_or_hurts_no_reader(place: tuple[Any, ...], tmp_path: Path) -> None:
    for data in each(WRITTEN, place):
        try:
            state = State.of(data)
        except FormatError:
            continue
        if not sound.problem(state, LAYERS):
            readers(state, str(tmp_path))
            layers = state.used_layers
            layers |= {path for item in state.now.hierarchies.values() for _name, path in item.layers}
            assert all(path.startswith(f"{LAYERS}/") and ".." not in path for path in layers)


SITE = ("extensions", "site")
USR = ("hierarchies", "etc")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("generation",), -1, "has no generation that can be"),
        (("when",), 1 << 50, "has a merge of no time that can be"),
        (("last", "when"), -1, "has an event of no time that can be"),
        (("history", 0, "generation"), -1, "has an event of no time that can be"),
        (("previous", "generation"), -1, "has no generation that can be"),
        ((*SITE, "name"), "other", "has for extension site no name that can be"),
        ((*SITE, "state"), "great", "has for extension site no state that can be"),
        ((*SITE, "hierarchies"), ["var"], "has for extension site no hierarchies that can be"),
        ((*SITE, "classes"), ["ext"], "has for extension site no classes that can be"),
        ((*SITE, "layer"), "/etc", f"has for extension site a layer that is not in {LAYERS}"),
        ((*SITE, "layer"), f"{LAYERS}/1/../site", f"has for extension site a layer that is not in {LAYERS}"),
        ((*SITE, "layer"), f"{LAYERS}/x/site", f"has for extension site a layer that is not in {LAYERS}"),
        ((*USR, "generation"), 1 << 30, "has for /etc no generation that can be"),
        ((*USR, "mode"), "great", "has for /etc no mode that can be"),
        ((*USR, "spec", "mode"), "great", "has for /etc no mode that can be"),
        ((*USR, "target"), "etc", "has for /etc a path that is not absolute"),
        ((*USR, "upper"), "up", "has for /etc a path that is not absolute"),
        ((*USR, "layers"), [["site", "/etc"]], "has for /etc a layer of no extension"),
    ],
)
def test_what_cannot_be_is_said(place: tuple[Any, ...], value: object, said: str, tmp_path: Path) -> None:
    data = copy.deepcopy(WRITTEN)
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert sound.problem(State.of(data), LAYERS) == said
    paths = Paths(str(tmp_path))
    Path(paths.run).mkdir(parents=True)
    Path(paths.state).write_text(jsontext.dumps(data).replace(LAYERS, paths.layers))
    state, problem = statefile.read_or_put_aside(paths)
    assert state == State()
    assert problem.startswith(f"{paths.state}: {said.replace(LAYERS, paths.layers)}; kept as ")


def test_modes_are_those_of_the_settings() -> None:
    kinds = {key.kind for key in keys.SETTINGS if key.name == "Mode"}
    assert kinds == {f"choice:{' '.join(sound.MODES)}"}
