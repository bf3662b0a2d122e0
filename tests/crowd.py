"""A base and layers as large as those of real machines, and how long it takes to compare them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from extension_runtime.layers import harm
from extension_runtime.layers.harm import Ground, Impact, Part
from extension_runtime.layers.outline import Outline
from extension_runtime.layers.vital import VITAL
from extension_runtime.merge.harm import matcher

BASE = {
    "bin": 1500, "lib/x86_64-linux-gnu": 3000, "lib/systemd/system": 400, "share/doc": 800, "share/man/man1": 900,
    "share/locale": 50, "lib/python3/dist-packages": 300,
}  # fmt: skip
"""Folders of a /usr, to how many files are in each."""
LAYER = (
    "bin", "lib/x86_64-linux-gnu", "lib/systemd/system", "share/doc/{}", "share/man/man1", "lib/{}", "lib/{}/plugins",
    "share/{}", "share/{}/data", "lib/python3/dist-packages/{}",
)  # fmt: skip
"""Folders of a layer, over which its files are spread; {} is its name."""


def made(place: Path, layers: int = 50, files: int = 200) -> list[str]:
    """Make a base and so many layers of so many files below `place`; the layers' names."""
    for folder, count in BASE.items():
        _fill(place / "base" / folder, "base", count)
    names = [f"layer{number:03}" for number in range(layers)]
    for name in names:
        for folder in LAYER:
            _fill(place / name / folder.format(name), name, files // len(LAYER))
        # Some of the base's are replaced.
        _fill(place / name / "bin", "base", 3)
    return names


def _fill(folder: Path, prefix: str, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        os.close(os.open(folder / f"{prefix}-{number:04}", os.O_WRONLY | os.O_CREAT, 0o644))


def compared(place: Path, names: Sequence[str], fresh: Sequence[str]) -> tuple[dict[str, Impact], float]:
    """What each does, and the milliseconds it took to find out; those that are not `fresh` were compared before."""
    begun = time.perf_counter()
    ground = Ground("usr", Outline(f"{place}/base"), {}, matcher(VITAL), lambda _path: False)
    parts = [Part(name, Outline(f"{place}/{name}"), matcher(()), name in fresh) for name in names]
    found = harm.compare(ground, parts)
    return found, (time.perf_counter() - begun) * 1000
