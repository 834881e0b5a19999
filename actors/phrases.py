"""Phrases: the words and phrases that somebody looks for, all of them found by one look at a text. Pure.

A phrase is found as whole words, whatever stands between them; one that ends in `*` may go on in its last word. Each
has a form, by which it is found: its words in small letters, with the `*`.
"""

import re
from collections.abc import Iterable, Sequence, Set

_WORD = re.compile(r"\w+")
_BLANKED = bytes(code if code < 128 and _WORD.match(chr(code)) else 32 for code in range(256))
"""ASCII, with a blank for everything that is of no word."""


def _words_of(folded: str) -> list[str]:
    if folded.isascii():
        # The same, in a fifth of the time: every message is read so.
        return folded.encode().translate(_BLANKED).decode().split()
    return _WORD.findall(folded)


class Words:
    """A text as words, made once for all who look at it."""

    __slots__ = ("every", "folded", "line")

    def __init__(self, text: str) -> None:
        self.folded = text.casefold()
        self.every = _words_of(self.folded)
        self.line = f" {' '.join(self.every)} "


NO_WORDS = Words("")


def forms_of(phrases: Sequence[str]) -> dict[str, str]:
    """Each phrase's form and how it is spelled: those without a `*` first, each in the order given. Of two with the
    same words the later counts, and one with a `*` before one without."""
    given: dict[str, str] = {}
    begun: dict[str, str] = {}
    for phrase in phrases:
        words = " ".join(_words_of(phrase.casefold()))
        (begun if phrase.endswith("*") else given)[words] = phrase
    return {f"{words}*" if words in begun else words: phrase for words, phrase in (given | begun).items()}


class Phrases:
    """Many phrases, by their forms."""

    def __init__(self, forms: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, str]]] = {}
        self._begun: list[tuple[str, str]] = []
        for form in dict.fromkeys(forms):
            if form.endswith("*"):
                self._begun.append((f" {form[:-1]}", form))
            elif form:
                self._by_first.setdefault(form.partition(" ")[0], []).append((f" {form} ", form))
        self._firsts = frozenset(self._by_first)

    def found(self, text: Words) -> Set[str]:
        """The forms of those that occur."""
        line = text.line
        found = {form for place, form in self._begun if place in line}
        for first in self._firsts.intersection(text.every):
            for place, form in self._by_first[first]:
                if place in line:
                    found.add(form)
        return found
