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
    from typing import Any, TypeVar

    Data = dict[str, Any]
    T = TypeVar("T")

FORMAT = 1
UPGRADES: dict[int, Callable[[Data], Data]] = {}
"""Format before FORMAT to what makes JSON data of FORMAT of it."""


class FormatError(ValueError):
    """Data that is no state of a format that this version reads."""


class _Record:
    """Compared by what it holds."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


class Standing(_Record):
    """How one extension stands: `state` as `extensionctl list` has it, `reason` why, `layer` its pinned layer or ""."""

    __slots__ = (
        "classes", "hierarchies", "identity", "image", "layer", "manifest", "name", "reason", "state", "version",
    )  # fmt: skip

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

    def but(self, **changes: str) -> Standing:
        """A copy with some texts changed."""
        data = self.data()
        data.update(changes)
        return Standing.of(data)

    def data(self) -> Data:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @staticmethod
    def of(data: object) -> Standing:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        texts = [_text(found, key) for key in ("name", "state", "reason", "manifest")]
        more = {key: _text(found, key) for key in ("image", "version", "identity", "layer")}
        return Standing(*texts, classes=_texts(found, "classes"), hierarchies=_texts(found, "hierarchies"), **more)


class Spec(_Record):
    """What was asked for over one hierarchy: compared with what is wanted, to see whether there is anything to do.

    `layers` are (extension, folder), lowest first; `upper` is "" where none is used.
    """

    __slots__ = ("imported", "layers", "merged", "mode", "upper")

    def __init__(self, mode: str, layers: list[tuple[str, str]], upper: str, imported: bool, merged: bool) -> None:
        self.mode = mode
        self.layers = layers
        self.upper = upper
        self.imported = imported
        self.merged = merged

    def data(self) -> Data:
        """For JSON."""
        layers = [list(layer) for layer in self.layers]
        fields = {"mode": self.mode, "layers": layers, "upper": self.upper}
        return {**fields, "import": self.imported, "merged": self.merged}

    @staticmethod
    def of(data: object) -> Spec:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        flags = _flag(found, "import"), _flag(found, "merged")
        return Spec(_text(found, "mode"), _layers(found), _text(found, "upper"), *flags)


class Stacked(_Record):
    """What lies over one hierarchy, whose real path is `target`; `generation` is 0 without an overlay."""

    __slots__ = ("generation", "layers", "merged", "mode", "spec", "target", "upper", "writable")

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

    def data(self) -> Data:
        """For JSON."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {**found, "layers": [list(layer) for layer in self.layers], "spec": self.spec.data()}

    @staticmethod
    def of(data: object) -> Stacked:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        return Stacked(
            _text(found, "target"),
            _text(found, "mode"),
            _flag(found, "merged"),
            _flag(found, "writable"),
            _text(found, "upper"),
            _layers(found),
            _number(found, "generation"),
            Spec.of(found.get("spec")),
        )


class Event(_Record):
    """That a verb ended with a result (done, unchanged, failed, rolled-back) at `when`, in seconds since 1970.

    `generation` is that of the merge it left, in the history; None in the last one, which may have left none.
    """

    __slots__ = ("generation", "reason", "result", "verb", "when")

    def __init__(self, verb: str, result: str, reason: str, when: int, generation: int | None = None) -> None:
        self.verb = verb
        self.result = result
        self.reason = reason
        self.when = when
        self.generation = generation

    def data(self) -> Data:
        """For JSON."""
        found = {"verb": self.verb, "result": self.result, "reason": self.reason, "when": self.when}
        return found if self.generation is None else {**found, "generation": self.generation}

    @staticmethod
    def of(data: object) -> Event:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        generation = _number(found, "generation") if "generation" in found else None
        texts = [_text(found, key) for key in ("verb", "result", "reason")]
        return Event(texts[0], texts[1], texts[2], _number(found, "when"), generation)


class Merged(_Record):
    """One merge: its generation, when it was made, and how hierarchies and extensions stood, by name."""

    __slots__ = ("extensions", "generation", "hierarchies", "when")

    def __init__(
        self, generation: int, when: int, hierarchies: dict[str, Stacked], extensions: dict[str, Standing]
    ) -> None:
        self.generation = generation
        self.when = when
        self.hierarchies = hierarchies
        self.extensions = extensions

    def data(self) -> Data:
        """For JSON."""
        return {
            "generation": self.generation,
            "when": self.when,
            "hierarchies": {name: item.data() for name, item in self.hierarchies.items()},
            "extensions": {name: item.data() for name, item in self.extensions.items()},
        }

    @staticmethod
    def of(data: object) -> Merged:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        return Merged(
            _number(found, "generation"),
            _number(found, "when"),
            {name: Stacked.of(_object(found.get("hierarchies"))[name]) for name in _hierarchies(found)},
            {name: Standing.of(item) for name, item in _object(found.get("extensions")).items()},
        )

    def layered(self) -> dict[str, Standing]:
        """The extensions that are merged, by name."""
        return {name: item for name, item in self.extensions.items() if item.layer}

    def layers(self) -> set[str]:
        """The pinned layers that it has."""
        return {item.layer for item in self.extensions.values() if item.layer}


class Stale(_Record):
    """A unit that still uses old content, and a reason for it."""

    __slots__ = ("reason", "unit")

    def __init__(self, unit: str, reason: str) -> None:
        self.unit = unit
        self.reason = reason

    def data(self) -> Data:
        """For JSON."""
        return {"unit": self.unit, "reason": self.reason}

    @staticmethod
    def of(data: object) -> Stale:
        """The record of JSON data.  Raises FormatError."""
        found = _object(data)
        return Stale(_text(found, "unit"), _text(found, "reason"))


class State(_Record):
    """The whole of state.json.

    `now` is what is merged, of generation 0 where nothing ever was; `previous` the merge that a rollback goes back to.
    """

    __slots__ = ("history", "last", "now", "previous", "stale")

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
        """For JSON."""
        return {
            "format": FORMAT,
            **self.now.data(),
            "previous": self.previous.data() if self.previous else None,
            "last": self.last.data() if self.last else None,
            "history": [event.data() for event in self.history],
            "stale": [item.data() for item in self.stale],
        }

    @staticmethod
    def of(data: object) -> State:
        """The record of JSON data of this format, or one that UPGRADES leads here from.  Raises FormatError."""
        found = _object(data)
        number = _number(found, "format")
        while number != FORMAT:
            if number not in UPGRADES:
                raise FormatError(f"has format {number}, and this version reads {FORMAT}")
            found, number = UPGRADES[number](found), number + 1
        previous, last = found.get("previous"), found.get("last")
        return State(
            Merged.of(found),
            None if previous is None else Merged.of(previous),
            None if last is None else Event.of(last),
            [Event.of(item) for item in _list(found, "history")],
            [Stale.of(item) for item in _list(found, "stale")],
        )


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


def _hierarchies(found: Data) -> list[str]:
    names = list(_object(found.get("hierarchies")))
    if not set(names) <= set(HIERARCHIES):
        raise FormatError("has no right hierarchies")
    return names


def _layers(found: Data) -> list[tuple[str, str]]:
    pairs = [_texts({"layers": item}, "layers") for item in _list(found, "layers")]
    if any(len(pair) != 2 for pair in pairs):
        raise FormatError("has no right layers")
    return [(extension, folder) for extension, folder in pairs]
