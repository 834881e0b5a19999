"""Letters: one however they are encoded, in Unicode's normal forms, and in time that grows with the text alone.

Python puts the marks behind a letter into their order by walking back along them, for each: a message of nothing but
marks, 256 Ki of them, would hold its cell for a minute. No language has as many as 30 at one letter; what follows those
is left out before, as Unicode's Stream-Safe Text Format bounds them (https://www.unicode.org/reports/tr15/, §13).
"""

import re
from functools import lru_cache
from typing import Literal
from unicodedata import combining, normalize

MARKS_MAX = 30
"""Marks at one letter that are looked at."""
_MAY_HAVE_MORE = re.compile(rf"[^\x00-\x7f]{{{MARKS_MAX + 1}}}")
"""ASCII has no marks: most texts of most languages need no look at each letter."""


def composed(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a normal form, without the marks at a letter beyond `MARKS_MAX`."""
    return normalize(form, _bounded(text) if _MAY_HAVE_MORE.search(text) else text)


def _bounded(text: str) -> str:
    marks, kept = 0, []
    for letter in text:
        marks = marks + 1 if _is_mark(letter) else 0
        if marks <= MARKS_MAX:
            kept.append(letter)
    return "".join(kept)


@lru_cache(4096)
def _is_mark(letter: str) -> bool:
    """Whether it becomes a mark: a few letters, such as the half-width dakuten, do so in NFKC."""
    return combining(normalize("NFKD", letter)[0]) != 0
