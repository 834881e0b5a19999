"""Patterns: the regular expressions that owners write, and one look that says which of several a text has.

They are RE2's, whose time grows with the text alone, whatever the pattern: with Python's `re` a careless one and a
customer's mail would stop a cell.
"""

from collections.abc import Collection, Iterable
from typing import Any

import re2

SEARCHED_MAX = 4_096
"""Characters of a value that a pattern is looked for in."""
SCREEN_BYTES_MAX = 1 << 20
"""Memory of one screen; patterns that need more are looked for one by one."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_SCREENS = re2.Options()
_SCREENS.log_errors = False
_SCREENS.max_mem = SCREEN_BYTES_MAX


def read_pattern(pattern: str) -> Any:
    """The expression. Raises `re2.error`."""
    return re2.compile(pattern, _OPTIONS)


def words_of(exc: Exception) -> str:
    """What RE2 says is wrong."""
    said = exc.args[0] if exc.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


class Screen:
    """Several patterns. Most texts have none of them, which costs less to see in one look than by a single search."""

    __slots__ = ("_patterns", "_set")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = list(dict.fromkeys(patterns))
        self._set = _set_of(self._patterns)

    def patterns_in(self, text: str) -> Collection[str]:
        """Those that the text has; all, where that is not to be seen in one look."""
        if self._set is None:
            return self._patterns
        found = self._set.Match(text.encode())
        return [self._patterns[number] for number in found] if found else ()


def _set_of(patterns: Iterable[str]) -> Any:
    found = re2.Set.SearchSet(_SCREENS)
    try:
        for pattern in patterns:
            found.Add(pattern)
        found.Compile()
    except re2.error:
        return None
    return found


class Look:
    """A look at one event: each of its texts is screened once, whoever asks."""

    __slots__ = ("_had", "_screen")

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._had: dict[str, Collection[str]] = {}

    def at(self, text: str) -> Collection[str]:
        """The screen's patterns that the text may have."""
        had = self._had.get(text)
        if had is None:
            had = self._had[text] = self._screen.patterns_in(text)
        return had
