"""Letters: one however they are encoded, in Unicode's normal forms, and in time that grows with the text alone.

Python puts the marks behind a letter into their order by walking back along them, for each: a message of nothing but
marks, 256 Ki of them, would hold its cell for a minute. No language has as many as 30 at one letter; what follows those
is left out before, as Unicode's Stream-Safe Text Format bounds them (https://www.unicode.org/reports/tr15/, §13).

And a few letters stand for a word, a unit in one square, or a whole blessing (U+FDFA, of 18 letters): what a message of
nothing else is in NFKC would hold its cell for half a second, and whoever reads it on for more. They stay as they are
where there are too many of them.
"""

import re
from functools import lru_cache
from itertools import islice
from typing import Literal
from unicodedata import combining, normalize

MARKS_MAX = 30
"""Marks at one letter that are looked at."""
_MAY_HAVE_MORE = re.compile(rf"[^\x00-\x7f]{{{MARKS_MAX + 1}}}")
"""ASCII has no marks: most texts of most languages need no look at each letter."""

LONG_MAX = 4096
"""Letters that stand for four and more, of one text, which are spelled out."""
_LONG = re.compile(
    "[\u2057\u2152\u2167\u2177\u247d-\u2487\u2a0c\u321d\u321e\u3300-\u3302\u3304\u3307\u3308\u330c\u330d\u3312\u3313"
    "\u3315-\u3317\u3319-\u331b\u331f-\u3321\u332b\u332d\u332e\u3332-\u3334\u3336\u333d\u3343\u3347\u3348\u334a"
    "\u334c\u334d\u3351\u3354\u3356\u337f\u3389\u33a8\u33ae\u33af\u33c2\u33c6\u33d8\ufdf2-\ufdf8\ufdfa-\ufdfc]"
)


def composed(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a normal form, without the marks at a letter beyond `MARKS_MAX`; in NFKC `LONG_MAX` of the letters
    that stand for many are spelled out."""
    bounded = _bounded(text) if _MAY_HAVE_MORE.search(text) else text
    if form == "NFKC" and len(bounded) > LONG_MAX and not bounded.isascii():
        beyond = next(islice(_LONG.finditer(bounded), LONG_MAX, None), None)
        if beyond is not None:
            return normalize(form, bounded[: beyond.start()]) + _short(bounded[beyond.start() :])
    return normalize(form, bounded)


def _short(text: str) -> str:
    """In NFKC but for the letters that stand for many. No mark behind one is put before it: it begins anew."""
    pieces, at = [], 0
    for long in _LONG.finditer(text):
        pieces += [normalize("NFKC", text[at : long.start()]), long[0]]
        at = long.end()
    return "".join([*pieces, normalize("NFKC", text[at:])])


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
