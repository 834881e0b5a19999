"""Labels: a taxonomy, read once, so that each event's are found fast. Pure.

Of a large taxonomy few taggers are looked at for an event: those of whose phrases one is there, and those without any.
"""

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

import msgspec
from msgspec import Struct

from actors.rules.taxonomy import DIMENSIONS, Taxonomy
from actors.tags.phrases import Phrases
from actors.tags.taggers import ReadTagger, Said
from protocol.entities import Tag, Tags

KEYS_MAX = 16
"""Keys of one interaction, and of one conversation: a list of claims is about none of them."""
NUMBER_MAX = 64
"""Characters of a property that may be a number of a matter."""
KNOWN_MAX = 1_024
"""Sets of phrases of which it is kept what they mean, a megabyte at most; all are forgotten when there are more."""
KNOWN_PHRASES_MAX = 8
"""Of one such set: most messages have one or two phrases of a taxonomy, and the same ones again and again."""
STRENGTH = {"agent": 6, "channel": 5, "rule": 4, "subject": 3, "classifier": 2, "words": 1, "before": 0}

_SEPARATORS = re.compile(r"[\s\-./]+")
_DIGITS = re.compile(r"\d+")
NO_TAGS = Tags()


class _Place(Struct, frozen=True, gc=False):
    """Where a tagger stands in the taxonomy: of which label, and in the dimension's order before which others."""

    dimension: str
    label: str
    tagger: ReadTagger


class Labels:
    """A taxonomy whose words, patterns and expressions are read."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._places = [
            _Place(dimension, name, ReadTagger(tagger))
            for dimension in DIMENSIONS
            for name, label in taxonomy.labels(dimension).items()
            for tagger in label.taggers
        ]
        self._keys = [_Key(name, pattern) for name, patterns in taxonomy.keys.items() for pattern in patterns]
        self._by_form: dict[str, set[int]] = {}
        self._subjects = {form for place in self._places for form in place.tagger.subject_forms}
        self._properties = {place.tagger.property for place in self._places}
        self._of_rules = {at for at, place in enumerate(self._places) if place.tagger.has_rule}
        self._of_more: set[int] = set()
        self._of_all: set[int] = set()
        for at, place in enumerate(self._places):
            if place.tagger.needs_words:
                for form in place.tagger.forms:
                    self._by_form.setdefault(form, set()).add(at)
            elif place.tagger.needs_more:
                self._of_more.add(at)
            else:
                self._of_all.add(at)
        self._phrases = Phrases(self._by_form)
        self._in_nothing = self._phrases.found("")
        self._known: dict[tuple[str, str, frozenset[str], frozenset[str]], Tags] = {}
        """By channel, account, and the phrases in subject and text: of taggers without a rule, which may ask anything.
        """

    def read(self, said: Said) -> Tags:
        """The tags of what was said; `NO_TAGS` where there are none."""
        if not self._places and not self._keys:
            return NO_TAGS
        folded = f"{said.subject}\n{said.text}".casefold()
        tags = self._labelled(said, self._phrases.found(folded))
        keys = self._keys_in(folded, said.properties)
        return msgspec.structs.replace(tags, keys=keys) if keys else tags

    def _labelled(self, said: Said, text: frozenset[str]) -> Tags:
        """The labels, without keys; `text` are the phrases that are there. What the same ones mean is worked out once,
        where nothing that is said beside them is asked for."""
        beside = said.name != "" or not self._properties.isdisjoint(said.properties)
        asked = said.subject and not text.isdisjoint(self._subjects)
        subject = self._phrases.found(said.subject.casefold()) if asked else self._in_nothing
        by_words = (said.channel, said.account, subject, text)
        if not beside and (known := self._known.get(by_words)) is not None:
            return known
        likely = self._likely(text, beside=beside)
        found = self._strongest(sorted(likely), said, subject, text) if likely else {}
        tags = Tags(**found, keys=()) if found else NO_TAGS
        if not beside and len(text) <= KNOWN_PHRASES_MAX and likely.isdisjoint(self._of_rules):
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[by_words] = tags
        return tags

    def _likely(self, text: Set[str], *, beside: bool) -> set[int]:
        """The taggers that may hold, by their places."""
        likely = self._of_all.copy()
        for form in text:
            likely |= self._by_form[form]
        if beside:
            likely |= self._of_more
        return likely

    def _strongest(self, likely: Iterable[int], said: Said, subject: Set[str], text: Set[str]) -> dict[str, Tag]:
        """By dimension the tag of the strongest evidence; of equals the first in the taxonomy's order."""
        best: dict[str, tuple[int, int]] = {}
        tags: dict[str, Tag] = {}
        for at in likely:
            place = self._places[at]
            if (found := place.tagger.found(said, subject, text)) is None:
                continue
            by, matched, count = found
            if (STRENGTH[by], count) > best.get(place.dimension, (0, 0)):
                best[place.dimension] = (STRENGTH[by], count)
                tags[place.dimension] = Tag(value=place.label, tagger=by, matched=matched)
        return tags

    def _keys_in(self, folded: str, properties: Mapping[str, Any]) -> tuple[str, ...]:
        """The numbers in the words, and those that a property wholly is, in the taxonomy's order."""
        found: dict[str, None] = {}
        run = -1
        values = [str(value).casefold() for value in properties.values() if _may_be_number(value)] if properties else ()
        for key in self._keys:
            for value in values:
                if key.pattern.fullmatch(value):
                    found[key.spelled(value)] = None
            if key.literal not in folded:
                continue
            run = max(map(len, _DIGITS.findall(folded)), default=0) if run < 0 else run
            if run < key.digits:
                continue
            for match in key.pattern.finditer(folded):
                if (start := match.start()) and folded[start - 1].isalnum():
                    continue  # The end of a longer word.
                found[key.spelled(match.group())] = None
                if len(found) > KEYS_MAX:
                    return ()
        return tuple(found)[:KEYS_MAX]


def _may_be_number(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= NUMBER_MAX


class _Key:
    """A number's pattern, read. A text without its literal, or without so many digits in a row, has none."""

    __slots__ = ("digits", "literal", "name", "pattern")

    def __init__(self, name: str, pattern: str) -> None:
        self.name = name
        self.literal, self.pattern = _literal(pattern), _pattern(pattern)
        self.digits = max(map(len, re.findall("#+", pattern)), default=0)

    def spelled(self, number: str) -> str:
        """The key that a number is, whatever stood between its places."""
        return f"{self.name}:{_SEPARATORS.sub('', number).upper()}"


def _pattern(pattern: str) -> re.Pattern[str]:
    """The expression of a number's pattern, for folded text. Linear: each place is one character, and separators are
    one or none. It begins with its first letters, which are looked for as fast as memory is read."""
    places = {"#": r"\d", "@": r"[^\W\d_]", " ": r"[\s\-./]?", "-": r"[\s\-./]?", "/": r"[\s\-./]?", ".": r"[\s\-./]?"}
    body = "".join(places.get(character) or re.escape(character) for character in pattern.casefold())
    return re.compile(rf"{body}(?!\w)")


def _literal(pattern: str) -> str:
    """The longest run of letters and digits that the numbers of a pattern have."""
    return max(re.findall(r"[^\W_]+", pattern.casefold()), key=len, default="")
