#  SPDX-License-Identifier: MIT
"""Converters: text of one value to what it means. Each raises ValueError: what is wrong; what to write instead."""

from __future__ import annotations

from extension_manifests import classes
from extension_manifests.names import IMAGE_PLAIN, SUFFIX, UNIT_SUFFIXES, is_unit, name_problem, referred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Value = str | bool | float

HEX = frozenset("0123456789abcdefABCDEF")
POLICY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+=:*~._")
BASE64 = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=")
SPANS = {
    "": 1.0, "us": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0, "w": 604800.0, "week": 604800.0, "weeks": 604800.0,
}  # fmt: skip


def boolean(text: str) -> bool:
    """As parse_boolean() of systemd."""
    lower = text.lower()
    if lower in ("1", "yes", "y", "true", "t", "on"):
        return True
    if lower in ("0", "no", "n", "false", "f", "off"):
        return False
    raise ValueError(f'"{text}" is no boolean; write yes or no')


def says(text: str, default: bool) -> bool:
    """What `text` says as a boolean, `default` where it says neither yes nor no."""
    try:
        return boolean(text)
    except ValueError:
        return default


def span(text: str) -> float:
    """Seconds of a time span as in systemd.time(7) ("90", "1min 30s", "infinity")."""
    if text == "infinity":
        return float("inf")
    total, at = 0.0, 0
    while at < len(text):
        end = past(text, at, "0123456789.")
        letters = past(text, end, " \t")
        stop = past(text, letters, "abcdefghijklmnopqrstuvwxyz")
        number, unit, at = text[at:end], text[letters:stop], past(text, stop, " \t")
        if not number.strip(".") or number.count(".") > 1 or len(number) > 15 or unit not in SPANS:
            raise ValueError(f'"{text}" is no time span; write seconds or as 1min 30s')
        total += float(number) * SPANS[unit]
    return total


def past(text: str, at: int, kept: str) -> int:
    """Where in `text`, from `at` on, the first character is that is not in `kept`."""
    while at < len(text) and text[at] in kept:
        at += 1
    return at


def absolute(text: str) -> str:
    """A normalized absolute path."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not text.startswith("/") or ".." in parts or not parts:
        raise ValueError(f'"{text}" is no absolute path; start it with "/" and leave out ".."')
    path = "/" + "/".join(parts)
    data = path.encode(errors="replace")
    if len(data) > 4095 or any(len(part) > 255 for part in data.split(b"/")):
        raise ValueError("the path is too long; a part may have 255 bytes, all of it 4095")
    return path


def image(text: str) -> str:
    """A name that is looked up in the image directories, or an absolute path."""
    if "/" in text:
        return absolute(text)
    if text[:1] in ("", ".") or len(text) > 255 or not IMAGE_PLAIN.issuperset(text):
        raise ValueError(
            f'"{text}" is no name of an image; use A-Z a-z 0-9 . _ - + ~ ^ @ only, or write an absolute path'
        )
    return text


def image_class(text: str) -> str:
    if text not in classes.NAMES:
        raise ValueError(f'"{text}" is no class; write {", ".join(classes.NAMES)} or both')
    return text


def extension(text: str) -> str:
    """The NAME of NAME.extension."""
    name = referred(text)
    if name is None:
        valid = not text.endswith(SUFFIX) and not name_problem(text)
        raise ValueError(f'"{text}" is no extension; write {text if valid else "NAME"}{SUFFIX}')
    return name


def unit(text: str) -> str:
    if not is_unit(text):
        raise ValueError(f'"{text}" is no unit{_with_suffix(text, ".service")}')
    return text


def target(text: str) -> str:
    """A unit or a NAME.extension reference, kept as written."""
    if referred(text) is None and not is_unit(text):
        raise ValueError(f'"{text}" is no unit{_with_suffix(text, ".target")}')
    return text


def dependency(text: str) -> str:
    """A unit or a NAME.extension reference, kept as written; what PID 1 expands (%) is left to it."""
    if referred(text) is None and not is_unit(text) and "%" not in text:
        raise ValueError(f'"{text}" names no unit{_with_suffix(text, SUFFIX)}')
    return text


def _with_suffix(text: str, suffix: str) -> str:
    if not text.endswith((SUFFIX, *UNIT_SUFFIXES)) and is_unit(text + ".service"):
        return f"; write {text}{suffix}"
    return "; write NAME" + suffix


def policy(text: str) -> str:
    if not POLICY.issuperset(text):
        raise ValueError(f'"{text}" is no image policy; see systemd.image-policy(7)')
    return text


def root_hash(text: str) -> str:
    if text.startswith("/"):
        return absolute(text)
    if len(text) < 32 or len(text) % 2 or not HEX.issuperset(text):
        raise ValueError("is no root hash; write at least 32 hexadecimal digits or an absolute path")
    return text.lower()


def signature(text: str) -> str:
    if text.startswith("base64:"):
        if len(text) == 7 or not BASE64.issuperset(text[7:]):
            raise ValueError("is no base64; write base64: and the encoded signature, or an absolute path")
        return text
    return absolute(text)


def glob(text: str) -> str:
    """A glob of absolute paths."""
    if not text.startswith("/"):
        raise ValueError(f'"{text}" is no absolute path; start it with "/"')
    from extension_manifests.globs import Glob

    Glob(text)
    return text


def plain(text: str) -> str:
    return text


CONVERTERS: dict[str, Callable[[str], Value]] = {
    "bool": boolean,
    "span": span,
    "path": absolute,
    "image": image,
    "class": image_class,
    "extension": extension,
    "unit": unit,
    "target": target,
    "dependency": dependency,
    "policy": policy,
    "roothash": root_hash,
    "signature": signature,
    "glob": glob,
    "text": plain,
}


def convert(kind: str, text: str) -> Value:
    """`text` as one value of `kind` (keys.Key.kind without "*"). Raises ValueError."""
    if kind.startswith("choice:"):
        choices = kind[7:].split()
        if text not in choices:
            raise ValueError(f'"{text}" is not known; write {" or ".join(choices)}')
        return text
    return CONVERTERS[kind](text)
