#  SPDX-License-Identifier: MIT
"""What state.json holds, as records: what is merged, as what, since when, and what was done before.  Touches no file.

The same JSON for as long as FORMAT is the same.  Who changes what it says raises FORMAT, and adds to UPGRADES how a
state of the format before is read: a machine is updated while its extensions are merged.
"""

from __future__ import annotations

from extension_manifests.classes import HIERARCHIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self, TypeVar

    Data = dict[str, Any]
    T = TypeVar("T")


class FormatError(ValueError):
    """Data that is no state of a format that this version reads."""


def _object(data: object) -> Data:
    if not isinstance(data, dict):
        raise FormatError("has something else where it must have an object")
    return data


def _typed(found: Data, key: str, kind: type[T]) -> T:
    value = found.get(key)
    if type(value) is not kind:  # a bool is an int
        raise FormatError(f"has no right {key}")
    return value


def _text(found: Data, key: str) -> str:
    return _typed(found, key, str)


def _number(found: Data, key: str) -> int:
    return _typed(found, key, int)


def _flag(found: Data, key: str) -> bool:
    return _typed(found, key, bool)


def _list(found: Data, key: str) -> list[Any]:
    return _typed(found, key, list)


def _texts(found: Data, key: str) -> list[str]:
    return [_text({key: item}, key) for item in _list(found, key)]


def _counts(found: Data, key: str) -> dict[str, int]:
    given = _object(found.get(key))
    return {name: _number(given, name) for name in given}


def _layers(found: Data, key: str) -> list[tuple[str, str]]:
    pairs = [_texts({key: item}, key) for item in _list(found, key)]
    if any(len(pair) != 2 for pair in pairs):
        raise FormatError(f"has no right {key}")
    return [(extension, folder) for extension, folder in pairs]


def _plain(value: object) -> object:
    """`value` as JSON has it."""
    if isinstance(value, _Record):
        return value.data()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


FORMAT = 2


def _compare_all(found: Data) -> Data:
    """Format 1 did not know of comparisons with the base: all extensions still have to be compared."""
    fresh = {"compared": "", "forced": False, "overrides": {}, "mends": [], "remarks": [], "options": ""}
    merges = [item for item in (found, found.get("previous")) if isinstance(item, dict)]
    for extensions in [_object(item.get("extensions")) for item in merges]:
        for item in extensions.values():
            _object(item).update(fresh)
    return {**found, "format": 2}


UPGRADES: dict[int, Callable[[Data], Data]] = {1: _compare_all}
"""Format before FORMAT to what makes JSON data of the next one of it."""


class _Record:
    """What all records have: they are compared by what they hold, and made of JSON and made JSON by their fields."""

    __slots__ = ()

    FIELDS: dict[str, Callable[[Data, str], object]] = {}  # noqa: RUF012  never changed
    """Attribute, which is the key in JSON, too, to what reads it of an object.  That raises FormatError."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.FIELDS)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in sorted(self.FIELDS))})"

    def data(self) -> Data:
        """For JSON."""
        return {name: _plain(getattr(self, name)) for name in self.FIELDS}

    @classmethod
    def of(cls, data: object) -> Self:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        return cls(**{name: read(found, name) for name, read in cls.FIELDS.items()})


class Standing(_Record):
    """How one extension stands: `state` as `extensionctl list` has it, `reason` why, `layer` its pinned layer or "".

    `compared`: with which Hides= its layer was compared with the base, "" if it was not.  What came of it: `overrides`,
    how many files of which extension ("" for the base) it replaces, and `mends`, folders that keep what the base has of
    mode and owner.  `remarks`: what a person should know, and `forced`: that somebody insisted on it.  `options`: those
    that its image was attached with (see image/record.py), "" where that is not known.
    """

    __slots__ = (
        "classes", "compared", "forced", "hierarchies", "identity", "image", "layer", "manifest", "mends", "name",
        "options", "overrides", "reason", "remarks", "state", "version",
    )  # fmt: skip

    FIELDS = {  # noqa: RUF012
        **dict.fromkeys(__slots__, _text),
        **dict.fromkeys(("classes", "hierarchies", "mends", "remarks"), _texts),
        "forced": _flag,
        "overrides": _counts,
    }

    def __init__(
        self,
        name: str,
        state: str,
        reason: str,
        manifest: str,
        *,
        image: str = "",
        version: str = "",
        identity: str = "",
        classes: list[str] | None = None,
        hierarchies: list[str] | None = None,
        layer: str = "",
        options: str = "",
        compared: str = "",
        forced: bool = False,
        overrides: dict[str, int] | None = None,
        mends: list[str] | None = None,
        remarks: list[str] | None = None,
    ) -> None:
        self.name = name
        self.state = state
        self.reason = reason
        self.manifest = manifest
        self.image = image
        self.version = version
        self.identity = identity
        self.classes = classes or []
        self.hierarchies = hierarchies or []
        self.layer = layer
        self.options = options
        self.compared = compared
        self.forced = forced
        self.overrides = overrides or {}
        self.mends = mends or []
        self.remarks = remarks or []

    def but(self, **changes: str) -> Standing:
        """A copy with some texts changed."""
        return Standing.of({**self.data(), **changes})


class Spec(_Record):
    """What was asked for over one hierarchy: compared with what is wanted, to see whether there is anything to do.

    `layers` are (extension, folder), lowest first; `upper` is "" where none is used.
    """

    __slots__ = ("imported", "layers", "merged", "mode", "upper")

    FIELDS = {"mode": _text, "layers": _layers, "upper": _text, "imported": _flag, "merged": _flag}  # noqa: RUF012

    def __init__(self, mode: str, layers: list[tuple[str, str]], upper: str, imported: bool, merged: bool) -> None:
        self.mode = mode
        self.layers = layers
        self.upper = upper
        self.imported = imported
        self.merged = merged

    def data(self) -> Data:
        """For JSON, where `imported` has the name of the setting."""
        found = super().data()
        found["import"] = found.pop("imported")
        return found

    @classmethod
    def of(cls, data: object) -> Self:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        return super().of({**found, "imported": found.get("import")})


class Stacked(_Record):
    """What lies over one hierarchy, whose real path is `target`; `generation` is 0 without an overlay."""

    __slots__ = ("generation", "layers", "merged", "mode", "spec", "target", "upper", "writable")

    FIELDS = {  # noqa: RUF012
        **dict.fromkeys(("target", "mode", "upper"), _text),
        **dict.fromkeys(("merged", "writable"), _flag),
        "layers": _layers,
        "generation": _number,
        "spec": lambda found, key: Spec.of(found.get(key)),
    }

    def __init__(
        self,
        target: str,
        mode: str,
        merged: bool,
        writable: bool,
        upper: str,
        layers: list[tuple[str, str]],
        generation: int,
        spec: Spec,
    ) -> None:
        self.target = target
        self.mode = mode
        self.merged = merged
        self.writable = writable
        self.upper = upper
        self.layers = layers
        self.generation = generation
        self.spec = spec


class Event(_Record):
    """That a verb ended with a result (done, unchanged, failed, rolled-back) at `when`, in seconds since 1970.

    `generation` is that of the merge it left, in the history; None in the last one, which may have left none.
    """

    __slots__ = ("generation", "reason", "result", "verb", "when")

    FIELDS = {  # noqa: RUF012
        **dict.fromkeys(("verb", "result", "reason"), _text),
        "when": _number,
        "generation": lambda found, key: _number(found, key) if key in found else None,
    }

    def __init__(self, verb: str, result: str, reason: str, when: int, generation: int | None = None) -> None:
        self.verb = verb
        self.result = result
        self.reason = reason
        self.when = when
        self.generation = generation

    def data(self) -> Data:
        """For JSON."""
        return {key: value for key, value in super().data().items() if value is not None}


def _hierarchies(found: Data, key: str) -> dict[str, Stacked]:
    given = _object(found.get(key))
    if not set(given) <= set(HIERARCHIES):
        raise FormatError(f"has no right {key}")
    return {name: Stacked.of(item) for name, item in given.items()}


class Merged(_Record):
    """One merge: its generation, when it was made, and how hierarchies and extensions stood, by name."""

    __slots__ = ("extensions", "generation", "hierarchies", "when")

    FIELDS = {  # noqa: RUF012
        "generation": _number,
        "when": _number,
        "hierarchies": _hierarchies,
        "extensions": lambda found, key: {n: Standing.of(item) for n, item in _object(found.get(key)).items()},
    }

    def __init__(
        self, generation: int, when: int, hierarchies: dict[str, Stacked], extensions: dict[str, Standing]
    ) -> None:
        self.generation = generation
        self.when = when
        self.hierarchies = hierarchies
        self.extensions = extensions

    def layered(self) -> dict[str, Standing]:
        """The extensions that are merged, by name."""
        return {name: item for name, item in self.extensions.items() if item.layer}

    def layers(self) -> set[str]:
        """The pinned layers that it has."""
        return {item.layer for item in self.extensions.values() if item.layer}


class Stale(_Record):
    """A unit that still uses old content, and a reason for it."""

    __slots__ = ("reason", "unit")

    FIELDS = dict.fromkeys(("unit", "reason"), _text)

    def __init__(self, unit: str, reason: str) -> None:
        self.unit = unit
        self.reason = reason


class State(_Record):
    """The whole of state.json.

    `now` is what is merged, of generation 0 where nothing ever was; `previous` the merge that a rollback goes back to.
    """

    __slots__ = ("history", "last", "now", "previous", "stale")

    FIELDS = {  # noqa: RUF012
        "now": lambda found, _key: Merged.of(found),
        "previous": lambda found, key: None if found.get(key) is None else Merged.of(found[key]),
        "last": lambda found, key: None if found.get(key) is None else Event.of(found[key]),
        "history": lambda found, key: [Event.of(item) for item in _list(found, key)],
        "stale": lambda found, key: [Stale.of(item) for item in _list(found, key)],
    }

    def __init__(
        self,
        now: Merged | None = None,
        previous: Merged | None = None,
        last: Event | None = None,
        history: list[Event] | None = None,
        stale: list[Stale] | None = None,
    ) -> None:
        self.now = now or Merged(0, 0, {}, {})
        self.previous = previous
        self.last = last
        self.history = history or []
        self.stale = stale or []

    @property
    def used_layers(self) -> set[str]:
        """The pinned layers that this merge and the one before it have."""
        return self.now.layers() | (self.previous.layers() if self.previous else set())

    def data(self) -> Data:
        """For JSON, where the merge of now has no level of its own."""
        found = super().data()
        return {"format": FORMAT, **found.pop("now"), **found}

    @classmethod
    def of(cls, data: object) -> Self:
        """The record of JSON data of this format, or one that UPGRADES leads here from.  Raises FormatError."""
        found = _object(data)
        number = _number(found, "format")
        while number != FORMAT:
            if number not in UPGRADES:
                raise FormatError(f"has format {number}, and this version reads {FORMAT}")
            found, number = UPGRADES[number](found), number + 1
        return super().of(found)
