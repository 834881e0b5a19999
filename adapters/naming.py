"""Whether raw input names somebody, or says something: an identity or words, in whatever spelling and coding.

An address counts where it stands by itself: `joann@example.org` and `ann@example.org.uk` are others' than
`ann@example.org`, and a phone number whose digits begin another is not that one.
"""

import re
from collections.abc import Iterable

import phonenumbers
from phonenumbers import Leniency, PhoneNumberFormat, PhoneNumberMatcher

from adapters import wordings
from protocol.identities import TELEPHONE_KINDS, is_caseless, kind_of, spellings_of, value_of
from protocol.letters import composed

ADDRESS_MIN = 5
"""Characters of an address that is looked for within other texts: a shorter one is in too many by chance."""
LOOKS_MAX = 1000
"""Times that the digits of a number are looked at in one text. Whatever has them more often, each time as part of
another number, was made to have them, and counts as naming it."""
AROUND_CHARS = 24
"""Around the digits, that belong to a number: its country's code and what is written before that."""

_LETTER = "[0-9A-Za-z\u00c0-\u024f]"
"""What an address would go on with. Other scripts' letters are not among it: Japanese has no blanks between words."""
_BEGINS = rf"(?<!{_LETTER})(?<!{_LETTER}[-+._])"
_ENDS = rf"(?!{_LETTER})(?![-+._@]{_LETTER})"


class Naming:
    """Looks for these identities; `region` (ISO 3166) is whose national phone numbers the server reads."""

    def __init__(self, names: Iterable[str], *, region: str) -> None:
        looked_for = [(each, is_caseless(name)) for name in names for each in spellings_of(name)]
        wanted = [(each, caseless) for each, caseless in looked_for if len(each) >= ADDRESS_MIN]
        self._exact = {each: _by_itself(each) for each, caseless in wanted if not caseless}
        self._caseless = {low: _by_itself(low) for low in {_lowered(each) for each, caseless in wanted if caseless}}
        self._plain = [each.encode() for each in self._caseless] if all(map(str.isascii, self._caseless)) else []
        numbers = {value_of(name) for name in names if kind_of(name) in TELEPHONE_KINDS}
        self._phones = [_Phone(number, region) for number in sorted(numbers)]

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._exact or self._caseless or self._phones)

    def is_in(self, raw: bytes) -> bool:
        """Whether the bytes name one of them, in any text that they may hold (`wordings.texts`)."""
        return any(self.is_in_text(text) for text in wordings.texts(raw))

    def is_in_text(self, text: str) -> bool:
        """Whether the text, as it stands, names one of them."""
        if any(each in text and by_itself.search(text) for each, by_itself in self._exact.items()):
            return True
        if self._caseless and self._has_caseless(text):
            return True
        return any(phone.is_in(text) for phone in self._phones)

    def _has_caseless(self, text: str) -> bool:
        # Lowering all letters that there are takes twenty times as long, and most names have none beyond ASCII.
        if self._plain:
            plain = text.encode("utf-8", "replace").lower()
            if not any(each in plain for each in self._plain):
                return False
        lowered = _lowered(text)
        return any(each in lowered and by_itself.search(lowered) for each, by_itself in self._caseless.items())


class Wording:
    """Looks for words, as they stand in a row, whatever their letters' case."""

    def __init__(self, words: str) -> None:
        self._words = " ".join(_lowered(words).split())

    def is_in(self, raw: bytes) -> bool:
        """Whether the words are in any text that the bytes may hold (`wordings.texts`), also over the end of a line."""
        return any(self.is_in_text(text) for text in wordings.texts(raw))

    def is_in_text(self, text: str) -> bool:
        """Whether the words are in the text, as it stands."""
        return self._words in " ".join(_lowered(text).split())


class _Phone:
    """A number, however it is written: with its country's code or without, in groups, in brackets."""

    def __init__(self, e164: str, region: str) -> None:
        number = phonenumbers.parse(e164)
        assert number.country_code is not None, "it is normalised"
        self._e164 = e164
        self._regions = (region, phonenumbers.region_code_for_country_code(number.country_code))
        # Each spelling has the digits after the country's code and the prefix for long distances, in their order.
        self._digits = re.compile(r"\D{0,3}".join(phonenumbers.national_significant_number(number)))

    def is_in(self, text: str) -> bool:
        for looks, found in enumerate(self._digits.finditer(text)):
            if looks == LOOKS_MAX or self._is_at(text, found.start(), found.end()):
                return True
        return False

    def _is_at(self, text: str, start: int, end: int) -> bool:
        first = max(0, start - AROUND_CHARS)
        around = text[first : end + AROUND_CHARS]
        # As the server reads it, or as people of its country do: that another's number has the same digits where the
        # server is, and was sent in, is less likely than that it is this one.
        return any(self._read(around, start - first, region) == self._e164 for region in self._regions)

    def _read(self, around: str, at: int, region: str) -> str:
        for match in PhoneNumberMatcher(around, region, leniency=Leniency.POSSIBLE):
            if match.start <= at < match.end:
                return phonenumbers.format_number(match.number, PhoneNumberFormat.E164)
        return ""


def _by_itself(each: str) -> re.Pattern[str]:
    return re.compile(f"{_BEGINS}{re.escape(each)}{_ENDS}")


def _lowered(text: str) -> str:
    return composed(text.lower(), "NFC")
