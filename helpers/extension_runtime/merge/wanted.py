#  SPDX-License-Identifier: MIT
"""Decides, touching nothing: what is to lie over each hierarchy."""

from __future__ import annotations

from extension_manifests.classes import HIERARCHIES

from extension_runtime.merge.choose import NONE, Choice
from extension_runtime.merge.state import Spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from extension_manifests.settings import Settings


class Wanted:
    """What is to lie over one hierarchy: `layers` as (extension, folder), lowest first; `mode` as in the settings.

    `mends`: folders of the base, relative to it, whose mode and owner stay what they are, whatever the layers have.
    """

    __slots__ = ("imported", "layers", "mends", "merged", "mode", "name", "upper")

    def __init__(
        self,
        name: str,
        mode: str,
        layers: list[tuple[str, str]],
        upper: str,
        imported: bool,
        merged: bool,
        mends: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.mode = mode
        self.layers = layers
        self.upper = upper
        self.imported = imported
        self.merged = merged
        self.mends = sorted(set(mends))

    @property
    def writable(self) -> bool:
        """Whether writes go to an upper folder."""
        return self.merged and self.mode in ("ephemeral", "persistent")

    def spec(self) -> Spec:
        """What is compared with the state to see whether there is anything to do."""
        upper = self.upper if self.writable or self.imported else ""
        return Spec(self.mode, self.layers, upper, self.imported, self.merged)


def hierarchies(choices: Iterable[Choice], settings: Settings, existing: Iterable[str]) -> list[Wanted]:
    """What is to lie over each of the hierarchies that exist, from choices (lowest layer first) with their layers."""
    chosen = list(choices)
    result = []
    for name in HIERARCHIES:
        if name not in existing:
            continue
        layers = [
            (choice.name, f"{choice.standing.layer}/{name}")
            for choice in chosen
            if choice.source != NONE and name in choice.standing.hierarchies
        ]
        configured = settings.hierarchy(name)
        imported = bool(configured.import_) and configured.mode != "persistent"
        merged = settings.enabled and (bool(layers) or configured.mode != "auto" or imported)
        prefix = f"/{name}/"
        mends = [
            path.removeprefix(prefix)
            for choice in chosen
            if choice.source != NONE
            for path in choice.standing.mends
            if path.startswith(prefix)
        ]
        result.append(Wanted(name, configured.mode, layers, configured.upper, imported, merged, mends))
    return result


def unmerged(settings: Settings, existing: Iterable[str]) -> list[Wanted]:
    """Every hierarchy as its base alone."""
    return [
        Wanted(name, settings.hierarchy(name).mode, [], "", False, False) for name in HIERARCHIES if name in existing
    ]
