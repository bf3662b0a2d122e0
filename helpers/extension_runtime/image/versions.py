#  SPDX-License-Identifier: MIT
"""Decides which entry of a `.v/` directory counts, by the rules of systemd.v(7).  Touches no file."""

from __future__ import annotations

from extension_manifests.version import compare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,_-+~^")
_UNLIMITED = 1 << 32

# Every word that is an architecture and not part of a version (systemd, src/basic/architecture.c).
ARCHITECTURES = frozenset(
    (
        "alpha",
        "arc",
        "arc-be",
        "arm",
        "arm-be",
        "arm64",
        "arm64-be",
        "cris",
        "ia64",
        "loongarch64",
        "m68k",
        "mips",
        "mips-le",
        "mips64",
        "mips64-le",
        "nios2",
        "parisc",
        "parisc64",
        "ppc",
        "ppc-le",
        "ppc64",
        "ppc64-le",
        "riscv32",
        "riscv64",
        "s390",
        "s390x",
        "sh",
        "sh64",
        "sparc",
        "sparc64",
        "tilegx",
        "x86",
        "x86-64",
    )
)
# What the processor runs beside its own.
_SECONDARY = {
    "x86-64": "x86",
    "arm64": "arm",
    "arm64-be": "arm-be",
    "ppc64": "ppc",
    "ppc64-le": "ppc-le",
    "s390x": "s390",
    "sparc64": "sparc",
    "mips64": "mips",
    "mips64-le": "mips-le",
    "parisc64": "parisc",
}


class Versioned:
    """One entry of a `.v/` directory.  `tries_left` is None where the name counts no tries."""

    __slots__ = ("architecture", "filename", "tries_done", "tries_left", "version")

    def __init__(
        self, filename: str, version: str, architecture: str, tries_left: int | None, tries_done: int | None
    ) -> None:
        self.filename = filename
        self.version = version
        self.architecture = architecture
        self.tries_left = tries_left
        self.tries_done = tries_done


def split(filename: str, base: str, suffix: str) -> Versioned | None:
    """Read `BASE_VERSION[_ARCH][+LEFT[-DONE]]SUFFIX`; None when `filename` is not of that form."""
    stem = filename.removeprefix(base + "_")
    if stem == filename or not stem.endswith(suffix):
        return None
    stem = stem[: len(stem) - len(suffix)] if suffix else stem
    left: int | None = None
    done: int | None = None
    head, plus, tries = stem.rpartition("+")
    if plus and (counted := _tries(tries)):
        stem, (left, done) = head, counted
    version, underscore, architecture = stem.rpartition("_")
    if not underscore or architecture not in ARCHITECTURES:
        version, architecture = stem, ""
    if not version or not _VERSION.issuperset(version):
        return None
    return Versioned(filename, version, architecture, left, done)


def _tries(text: str) -> tuple[int, int] | None:
    left, dash, done = text.partition("-")
    if not _number(left) or (dash and not _number(done)):
        return None
    return int(left), int(done) if dash else 0


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def better(a: Versioned, b: Versioned, native: str) -> bool:
    """Whether `a` wins over `b`: tries left, version, architecture, more tries left, fewer done, name."""
    if (a.tries_left == 0) != (b.tries_left == 0):
        return b.tries_left == 0
    order = compare(a.version, b.version)
    if order:
        return order > 0
    return _rank(a, native) > _rank(b, native)


def _rank(choice: Versioned, native: str) -> tuple[int, int, int, str]:
    preference = 2 if choice.architecture == native else 1 if choice.architecture else 0
    left = _UNLIMITED if choice.tries_left is None else choice.tries_left
    done = _UNLIMITED if choice.tries_done is None else choice.tries_done
    return preference, left, -done, choice.filename


def pick(filenames: Iterable[str], base: str, suffix: str, native: str) -> Versioned | None:
    """The entry of `filenames` that counts on the architecture `native`, or None when none is of the right form."""
    best: Versioned | None = None
    for filename in filenames:
        choice = split(filename, base, suffix)
        if choice is None or choice.architecture not in ("", native, _SECONDARY.get(native)):
            continue
        if best is None or better(choice, best, native):
            best = choice
    return best
