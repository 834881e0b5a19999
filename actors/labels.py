"""Labels: a taxonomy, read once, so that each event's are found fast. Pure.

Of a large taxonomy few taggers are looked at for an event: those of whose phrases one is there, and those without any.
"""

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

from msgspec import Struct

from actors.expressions import Expression
from actors.phrases import Phrases, forms_of
from actors.rules.taxonomy import DIMENSIONS, NAMES, Tagger, Taxonomy
from protocol.entities import Tag, Tags
from protocol.inbound import ActivityArrived, InboundEvent, InteractionBegan, MessageArrived

TEXT_READ_MAX = 4_000
"""Characters of a text that are looked at: what a mail is about stands at its beginning."""
KEYS_MAX = 16
"""Keys of one interaction, and of one conversation: a list of claims is about none of them."""
MATCHED_MAX = 120
NUMBER_MAX = 64
"""Characters of a property that may be a number of a matter."""
STRENGTH = {"agent": 6, "channel": 5, "rule": 4, "subject": 3, "classifier": 2, "words": 1, "before": 0}

_SEPARATORS = re.compile(r"[\s\-./]+")
_DIGITS = re.compile(r"\d+")
NO_TAGS = Tags()


class Said(Struct, frozen=True, gc=False):
    """What of an event is looked at. `name` is an activity's; `properties` are its own, and what the channel says along
    with any contact: a menu's choice, a number that was typed in."""

    kind: str
    channel: str
    account: str
    subject: str = ""
    text: str = ""
    name: str = ""
    properties: dict[str, Any] = {}


def said_by(event: InboundEvent) -> Said | None:
    """What of an event says what it is about; None for a machine's words, and for what has none."""
    channel, account = event.channel, event.account
    match event.data:
        case MessageArrived(automatic="", subject=subject, text=text):
            return Said("message", channel, account, subject, text[:TEXT_READ_MAX], "", _along(event.raw, event.data))
        case InteractionBegan(subject=subject):
            return Said("start", channel, account, subject, "", "", _along(event.raw, event.data))
        case ActivityArrived(name=name, properties=properties):
            return Said("activity", channel, account, "", "", name, _along(properties, event.data))
        case _:
            return None


def _along(said: dict[str, Any], data: MessageArrived | InteractionBegan | ActivityArrived) -> dict[str, Any]:
    """What the channel says beside the words; the context that it gives counts before its extras."""
    return {**said, **data.context} if data.context else said


# Taxonomies, compiled


class _Tagger:
    """One tagger, read. `found` says by what, what matched, and how many different words."""

    def __init__(self, given: Tagger) -> None:
        self._given = given
        self._words, self._subject = forms_of(given.words), forms_of(given.subject)
        self._values = [value.casefold() for value in given.values]
        self._rule = Expression(given.rule, NAMES) if given.rule else None
        self._elsewhere = bool(given.channels or given.accounts or given.activity or given.property or given.rule)
        self.needs_words = bool(given.words or given.subject)
        self.needs_subject = bool(given.subject)
        self.needs_more = bool(given.property or given.activity)

    @property
    def forms(self) -> Iterable[str]:
        """Of its phrases: without any of them in the text it does not hold."""
        return (*self._words, *self._subject)

    def found(self, said: Said, subject: Set[str], text: Set[str]) -> tuple[str, str, int] | None:
        """`subject` and `text` are the forms of the phrases that are there."""
        given = self._given
        by, matched, count = "", "", 1
        if self._elsewhere:
            if (beside := self._beside(said)) is None:
                return None
            by, matched = beside
        if given.subject:
            if not (phrases := _spelled(self._subject, subject)):
                return None
            by, matched, count = "subject", ", ".join(phrases), len(phrases)
        if given.words:
            if not (phrases := _spelled(self._words, text)):
                return None
            by, matched, count = "words", ", ".join(phrases), len(phrases)
        return (by, matched[:MATCHED_MAX], count) if by else None

    def _beside(self, said: Said) -> tuple[str, str] | None:
        """What holds of all that is asked beside the words: the strongest of it, and what matched."""
        given = self._given
        if (given.channels and said.channel not in given.channels) or (
            given.accounts and said.account not in given.accounts
        ):
            return None
        if given.activity and said.name != given.activity:
            return None
        by, matched = "", ""
        if given.accounts:
            by, matched = "channel", said.account
        elif given.channels:
            by, matched = "channel", said.channel
        if given.activity:
            by, matched = "channel", said.name
        if given.property:
            if (value := self._value(said.properties.get(given.property))) is None:
                return None
            by, matched = "channel", f"{given.property}: {value}"
        if self._rule is not None:
            if not self._rule.holds(_names(said)):
                return None
            by, matched = "rule", given.rule
        return by, matched

    def _value(self, value: object) -> str | None:
        if not isinstance(value, str | int) or isinstance(value, bool):
            return None
        text = str(value).casefold()
        for wanted in self._values:
            if text == wanted or (wanted.endswith("*") and text.startswith(wanted[:-1])):
                return str(value)
        return None


def _spelled(forms: Mapping[str, str], found: Set[str]) -> list[str]:
    """Those that are found, as the taxonomy spells them, in its order."""
    return [phrase for form, phrase in forms.items() if form in found]


def _names(said: Said) -> Mapping[str, Any]:
    return {name: getattr(said, name) for name in NAMES}


class _Place(Struct, frozen=True, gc=False):
    """Where a tagger stands in the taxonomy: of which label, and in the dimension's order before which others."""

    dimension: str
    label: str
    tagger: _Tagger


class Labels:
    """A taxonomy whose words, patterns and expressions are read."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._places = [
            _Place(dimension, name, _Tagger(tagger))
            for dimension in DIMENSIONS
            for name, label in taxonomy.labels(dimension).items()
            for tagger in label.taggers
        ]
        self._keys = [_Key(name, pattern) for name, patterns in taxonomy.keys.items() for pattern in patterns]
        self._by_form: dict[str, set[int]] = {}
        self._of_subject = {at for at, place in enumerate(self._places) if place.tagger.needs_subject}
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

    def read(self, said: Said) -> Tags:
        """The tags of what was said; `NO_TAGS` where there are none."""
        if not self._places and not self._keys:
            return NO_TAGS
        folded = f"{said.subject}\n{said.text}".casefold()
        text = self._phrases.found(folded)
        found: dict[str, Tag] = {}
        if likely := self._likely(said, text):
            asked = said.subject and not likely.isdisjoint(self._of_subject)
            subject = self._phrases.found(said.subject.casefold()) if asked else self._in_nothing
            found = self._strongest(sorted(likely), said, subject, text)
        keys = self._keys_in(folded, said.properties)
        return Tags(**found, keys=keys) if found or keys else NO_TAGS

    def _likely(self, said: Said, text: Set[str]) -> set[int]:
        """The taggers that may hold, by their places."""
        likely = self._of_all.copy()
        for form in text:
            likely |= self._by_form[form]
        if said.name or said.properties:
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
