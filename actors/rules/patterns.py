"""Patterns: the regular expressions that owners write, and one look that says which of several a text has.

They are RE2's, whose time grows with the text and with the pattern: with Python's `re` a careless one and a customer's
mail would stop a cell. A count writes its part out that often (`.{0,1000}` is a thousand steps), and each letter of a
text may have to be looked at by all of them: so whoever checks a bundle counts its patterns' steps.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any

import re2

SEARCHED_MAX = 4_096
"""Characters of a value that a pattern is looked for in."""
SCREEN_BYTES_MAX = 1 << 20
"""Memory of one screen; patterns that need more are looked for one by one."""
STEPS_MAX = 400
"""Of one pattern. With the worst text that was found for it a look takes 65 ms: `.*x.{200}` and x and y by chance."""
STEPS_TOGETHER_MAX = 2_000
"""Of a template's patterns: a field's common one has 20 to 70."""
PROGRAM_MAX = 50_000
"""Of one pattern as RE2 makes it, 16 bytes each: classes such as `\\pL` have over a thousand, each time they stand
there."""
PROGRAMS_MAX = 250_000
"""Of all templates' patterns: a cell reads them at the first event under a version, in an eighth of a second then, and
keeps them for as long as conversations are pinned to it."""
SCREENED_STEPS_MAX = 100
"""Of one pattern in a screen: RE2 does not give one up that goes badly, as it does a single pattern, and takes five
times as long."""
SCREEN_STEPS_MAX = 1_000
"""Of one screen, for the same reason; what is over is looked for one by one."""

SHORTER = "write + or * in the place of a large count, as .* for .{0,1000}"
"""What to do with what is too long."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_LETTERS = re2.Options()
_LETTERS.log_errors = False
_LETTERS.encoding = re2.Options.Encoding.LATIN1
_SCREENS = re2.Options()
_SCREENS.log_errors = False
_SCREENS.max_mem = SCREEN_BYTES_MAX


def read_pattern(pattern: str) -> Any:
    """The expression. Raises `re2.error`."""
    return re2.compile(pattern, _OPTIONS)


def steps_of(pattern: str) -> int:
    """How many steps a pattern has: what a letter of a text can be looked at by, at the most. A class of letters is one
    step, however many bytes they have. Raises `re2.error`."""
    try:
        steps: int = re2.compile(pattern.encode(), _LETTERS).programsize
    except re2.error:
        # It names a letter by a number that is no byte's: what is counted are bytes then.
        steps = read_pattern(pattern).programsize
    return steps


def is_long(pattern: str) -> bool:
    """Whether a text could cost more time than one pattern may. Raises `re2.error`."""
    return steps_of(pattern) > STEPS_MAX or bool(read_pattern(pattern).programsize > PROGRAM_MAX)


def program_of(pattern: str) -> int:
    """How large a pattern gets where `\\w` and `\\d` are the letters and digits of all scripts, as in an expression:
    what it takes to be read. 0 where RE2 does not know what it says."""
    spelled = _ESCAPED.sub(lambda found: _ALL_SCRIPTS.get(found[0], found[0]), pattern)
    try:
        size: int = read_pattern(spelled).programsize
    except re2.error:
        return 0
    return size


_ESCAPED = re.compile(r"\\.", re.DOTALL)
_ALL_SCRIPTS = {r"\w": r"\pL", r"\W": r"\PL", r"\d": r"\p{Nd}", r"\D": r"\P{Nd}"}


def words_of(exc: Exception) -> str:
    """What RE2 says is wrong."""
    said = exc.args[0] if exc.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


class Screen:
    """Several patterns. Most texts have none of them, which costs less to see in one look than by a single search.
    Long ones are not among them, and any text may have one of these."""

    __slots__ = ("_alone", "_patterns", "_set")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns, self._alone = _parted(patterns)
        self._set = _set_of(self._patterns)

    def patterns_in(self, text: str) -> Collection[str]:
        """Those that the text has; all, where that is not to be seen in one look."""
        if self._set is None:
            return [*self._patterns, *self._alone]
        found = self._set.Match(text.encode())
        return [*(self._patterns[number] for number in found), *self._alone] if found else self._alone


def _parted(patterns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Those that are screened, and those that are looked for alone."""
    screened: list[str] = []
    alone: list[str] = []
    left = SCREEN_STEPS_MAX
    for pattern in dict.fromkeys(patterns):
        steps = steps_of(pattern)
        if steps > min(left, SCREENED_STEPS_MAX):
            alone.append(pattern)
        else:
            screened.append(pattern)
            left -= steps
    return screened, alone


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
