#  SPDX-License-Identifier: MIT
"""JSON without the package json, which imports re and takes longer than a merge; its C parts are all that is used.

Where an interpreter has those no more, it is the package after all.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    make_scanner: Any
    make_encoder: Any
    encode_basestring_ascii: Any
else:
    try:
        from _json import encode_basestring_ascii, make_encoder, make_scanner
    except ImportError:
        make_scanner = None


class _Rules:
    """What the scanner asks of json.JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012  the scanner's own, emptied after each text


def loads(text: str) -> Any:
    """The value that `text` is the JSON of.  Raises ValueError."""
    try:
        if make_scanner is None:
            import json

            return json.loads(text)
        stripped = text.strip(" \t\n\r")
        value, end = make_scanner(_Rules())(stripped, 0)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except (StopIteration, SystemError):
        # Before Python 3.13 the scanner has no error to raise while the package json is not imported.
        raise ValueError("holds no JSON") from None
    if end != len(stripped):
        raise ValueError("holds more than one value of JSON")
    return value


def dumps(value: object) -> str:
    """`value` on one line, keys sorted, in ASCII.  Raises TypeError for what JSON has no word for."""
    if make_scanner is None:
        import json

        return json.dumps(value, sort_keys=True)
    encode = make_encoder(None, _wordless, encode_basestring_ascii, None, ": ", ", ", True, False, True)
    return "".join(encode(value, 0))


def _wordless(value: object) -> object:
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
