#  SPDX-License-Identifier: MIT
"""The globs of Path= in actions and of Hides= in manifests, matched in a time that grows with glob and path alone.

A regular expression of the same meaning tries all ways to divide a path among its stars.  Here all of them are followed
at once: bit N of a number is set where the first N tokens of the glob match what was read of the path so far.
"""

from __future__ import annotations

LENGTH_MAX = 4096  # characters, as the longest path
STAR, ANY = "*", "**"  # all but a slash; all
SET_END = "]"


class _One:
    """A token that stands for one character: `?`, a set, or the character itself."""

    __slots__ = ("negated", "ranges")

    def __init__(self, ranges: tuple[tuple[str, str], ...], negated: bool) -> None:
        self.ranges = ranges
        self.negated = negated

    def takes(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) != self.negated


_QUESTION = _One((("/", "/"),), True)


class Glob:
    """One glob.  "*" and "?" stop at a slash, "**" does not; a slash at the end stands for all that is below."""

    __slots__ = ("_end", "_middle", "_prefix", "_stars", "_steps", "_suffix", "_width")

    def __init__(self, text: str) -> None:
        """Raises ValueError: what is wrong; what to write instead."""
        if len(text) > LENGTH_MAX:
            raise ValueError(f"has a glob of {len(text)} characters; no path has more than {LENGTH_MAX}")
        tokens = _tokens(text)
        cut = next((number for number, token in enumerate(tokens) if not _plain(token)), len(tokens))
        end = next((number for number, token in enumerate(reversed(tokens)) if not _plain(token)), len(tokens))
        # Nearly all paths differ here already.
        self._prefix = "".join(str(token) for token in tokens[:cut])
        self._suffix = "".join(str(token) for token in tokens[len(tokens) - end :]) if cut < len(tokens) else ""
        self._middle = tokens[cut : len(tokens) - end] if cut < len(tokens) else []
        self._width = len(self._prefix) + len(self._suffix)
        self._stars = sum(1 << n for n, token in enumerate(self._middle) if token in (STAR, ANY))
        self._end = 1 << len(self._middle)
        # Character to the tokens that it leads past, and those that it stays at.
        self._steps: dict[str, tuple[int, int]] = {}

    def matches(self, path: str) -> bool:
        """Whether the whole of `path` is what this glob means."""
        if not path.startswith(self._prefix):
            return False
        if not self._middle:
            return len(path) == len(self._prefix)
        if len(path) < self._width or not path.endswith(self._suffix):
            return False
        middle = path[len(self._prefix) : len(path) - len(self._suffix)]
        if self._middle == [ANY]:
            return True
        if self._middle == [STAR]:
            return "/" not in middle
        return self._follow(middle)

    def _follow(self, text: str) -> bool:
        at = self._closed(1)
        for char in text:
            step = self._steps.get(char)
            if step is None:
                step = self._steps[char] = self._step(char)
            at = self._closed((at & step[0]) << 1 | at & step[1])
            if not at:
                return False
        return bool(at & self._end)

    def _closed(self, at: int) -> int:
        """A star may stand for nothing.  No two are side by side, see _tokens()."""
        return at | (at & self._stars) << 1

    def _step(self, char: str) -> tuple[int, int]:
        past = stay = 0
        for number, token in enumerate(self._middle):
            if token == ANY or (token == STAR and char != "/"):
                stay |= 1 << number
            elif (isinstance(token, _One) and token.takes(char)) or (_plain(token) and token == char):
                past |= 1 << number
        return past, stay


def _plain(token: str | _One) -> bool:
    """Whether a token is the character that it is."""
    return isinstance(token, str) and token not in (STAR, ANY)


def _tokens(text: str) -> list[str | _One]:
    """The tokens of a glob.  Raises ValueError.  A star beside another is one, since they stand for nothing more."""
    found: list[str | _One] = []
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            star = STAR
            if text.startswith("*", position):
                star, position = ANY, position + 1
            if found and found[-1] in (STAR, ANY):
                found[-1] = ANY
            else:
                found.append(star)
        elif char == "[":
            token, position = _set(text, position)
            found.append(token)
        else:
            found.append(_QUESTION if char == "?" else char)
    if text.endswith("/"):
        found.append(ANY)
    return found


def _set(text: str, begin: int) -> tuple[_One, int]:
    """The set whose first character is at `begin`, and the position behind it.  Raises ValueError."""
    first = begin + (text[begin : begin + 1] in ("!", "^"))
    end = text.find(SET_END, first + 1)
    if end < 0:
        raise ValueError(f'has "{text[:80]}"; end the set with "]", or write [[] for a bracket')
    inner, ranges, position = text[first:end], [], 0
    while position < len(inner):
        low = high = inner[position]
        position += 1
        if inner.startswith("-", position) and position + 1 < len(inner):
            high = inner[position + 1]
            position += 2
            if low > high:
                raise ValueError(f'has "{text[:80]}"; {low}-{high} in it is no range, write {high}-{low}')
        ranges.append((low, high))
    return _One(tuple(ranges), first > begin), end + 1


def fixed_part(glob: str) -> str:
    """The folder or file that everything the glob matches is at or below."""
    cut = min((glob.index(char) for char in "*?[" if char in glob), default=len(glob))
    return glob[:cut].rpartition("/")[0] if cut < len(glob) else glob.rstrip("/")
