"""Phrases: the words and phrases that somebody looks for, all of them found by one look at a text. Pure.

A phrase is found as whole words, whatever stands between them; one that ends in `*` may go on in its last word. Each
has a form, by which it is found: its words in small letters, with the `*`. A letter is one however it is encoded
(Unicode's NFKC): some programs write `ü` as a `u` and a mark, which would part the word.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import re2

from protocol.letters import composed

LOOK_BYTES_MAX = 8 << 20
"""Memory of one look at most, which is enough for some thousands of phrases: more of them take several. It is taken as
texts ask for it, and beside what `limits.live_bytes_max` bounds; a cell keeps the looks of eight taxonomies at most."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = LOOK_BYTES_MAX
_WORD = re.compile(r"\w+")
_BLANKED = bytes(code if code < 128 and _WORD.match(chr(code)) else 32 for code in range(256))
"""ASCII, with a blank for everything that is of no word."""


def line_of(folded: str) -> bytes:
    """The words of a text in small letters, with blanks before, between and behind them."""
    if folded.isascii():
        # The same, in a fifth of the time: every message is read so.
        return b" %b " % folded.encode().translate(_BLANKED)
    return f" {' '.join(_words(folded))} ".encode()


def forms_of(phrases: Sequence[str]) -> dict[str, str]:
    """Each phrase's form and how it is spelled: those without a `*` first, each in the order given. Of two with the
    same words the later counts, and one with a `*` before one without."""
    whole: dict[str, str] = {}
    begun: dict[str, str] = {}
    for phrase in phrases:
        words = " ".join(_words(phrase.casefold()))
        (begun if phrase.endswith("*") else whole)[words] = phrase
    return {f"{words}*" if words in begun else words: phrase for words, phrase in (whole | begun).items()}


def _words(folded: str) -> list[str]:
    in_one_form = composed(folded, "NFKC")
    # Most texts are as they should be, and are not folded twice.
    return _WORD.findall(folded if in_one_form == folded else in_one_form.casefold())


class Phrases:
    """Many phrases, by their forms."""

    def __init__(self, forms: Iterable[str]) -> None:
        self._looks = list(_looks([form for form in dict.fromkeys(forms) if form]))

    def found(self, folded: str) -> frozenset[str]:
        """The forms of those that occur in a text in small letters."""
        line = line_of(folded)
        return frozenset([forms[number] for look, forms in self._looks for number in look(line) or ()])


def _looks(forms: Sequence[str]) -> Iterator[tuple[Callable[[bytes], list[int] | None], Sequence[str]]]:
    """Looks that say which of the forms a line has, by their numbers: one, as long as that takes no more memory than
    it may. A phrase that does so by itself is longer than any text that is read."""
    looked = re2.Set.SearchSet(_OPTIONS)
    for form in forms:
        looked.Add(_pattern(form))
    try:
        looked.Compile()
    except re2.error:
        half = len(forms) // 2
        if half:
            yield from _looks(forms[:half])
            yield from _looks(forms[half:])
    else:
        yield looked.Match, forms


def _pattern(form: str) -> str:
    words = " +".join(map(re.escape, form.removesuffix("*").split()))
    return f" {words}" if form.endswith("*") else f" {words} "
