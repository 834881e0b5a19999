"""Taggers, read: what of an event is looked at, and whether one tagger of the taxonomy holds of it. Pure."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

from msgspec import Struct

from actors.rules.expressions import Expression
from actors.rules.taxonomy import NAMES, Tagger
from actors.tags.phrases import forms_of
from protocol.inbound import ActivityArrived, InboundEvent, InteractionBegan, MessageArrived

TEXT_READ_MAX = 4_000
"""Characters of a text that are looked at: what a mail is about stands at its beginning."""
MATCHED_MAX = 120


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
        case MessageArrived() as message if not message.automatic:
            subject, text = message.subject, message.text[:TEXT_READ_MAX]
            return Said("message", channel, account, subject, text, "", _along(event.raw, message))
        case InteractionBegan(subject=subject):
            return Said("start", channel, account, subject, "", "", _along(event.raw, event.data))
        case ActivityArrived(name=name, properties=properties):
            return Said("activity", channel, account, "", "", name, _along(properties, event.data))
        case _:
            return None


def _along(said: dict[str, Any], data: MessageArrived | InteractionBegan | ActivityArrived) -> dict[str, Any]:
    """What the channel says beside the words; the context that it gives counts before its extras."""
    return {**said, **data.context} if data.context else said


class ReadTagger:
    """One tagger, read. `found` says by what, what matched, and how many different words."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self._words, self._subject = forms_of(tagger.words), forms_of(tagger.subject)
        self._values = [value.casefold() for value in tagger.values]
        self._rule = Expression(tagger.rule, NAMES) if tagger.rule else None
        self._elsewhere = bool(tagger.channels or tagger.accounts or tagger.activity or tagger.property or tagger.rule)
        self.needs_words = bool(tagger.words or tagger.subject)
        self.property = tagger.property
        self.has_rule = self._rule is not None
        self.needs_more = bool(tagger.property or tagger.activity)

    @property
    def subject_forms(self) -> Iterable[str]:
        """Of its phrases that must stand in the subject."""
        return self._subject

    @property
    def forms(self) -> Iterable[str]:
        """Of its phrases: without any of them in the text it does not hold."""
        return (*self._words, *self._subject)

    def found(self, said: Said, subject: Set[str], text: Set[str]) -> tuple[str, str, int] | None:
        """`subject` and `text` are the forms of the phrases that are there."""
        tagger = self._tagger
        by, matched, count = "", "", 1
        if self._elsewhere:
            if (beside := self._beside(said)) is None:
                return None
            by, matched = beside
        if tagger.subject:
            if not (phrases := _spelled(self._subject, subject)):
                return None
            by, matched, count = "subject", ", ".join(phrases), len(phrases)
        if tagger.words:
            if not (phrases := _spelled(self._words, text)):
                return None
            by, matched, count = "words", ", ".join(phrases), len(phrases)
        return (by, matched[:MATCHED_MAX], count) if by else None

    def _beside(self, said: Said) -> tuple[str, str] | None:
        """What holds of all that is asked beside the words: the strongest of it, and what matched."""
        tagger = self._tagger
        if (tagger.channels and said.channel not in tagger.channels) or (
            tagger.accounts and said.account not in tagger.accounts
        ):
            return None
        if tagger.activity and said.name != tagger.activity:
            return None
        by, matched = "", ""
        if tagger.accounts:
            by, matched = "channel", said.account
        elif tagger.channels:
            by, matched = "channel", said.channel
        if tagger.activity:
            by, matched = "channel", said.name
        if tagger.property:
            if (value := self._value(said.properties.get(tagger.property))) is None:
                return None
            by, matched = "channel", f"{tagger.property}: {value}"
        if self._rule is not None:
            if not self._rule.holds(_names(said)):
                return None
            by, matched = "rule", tagger.rule
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
