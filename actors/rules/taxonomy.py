"""The taxonomy: what conversations can be about, and how that is noticed.

    topics, intents, product lines, segments     name → label, with the taggers that find it
    keys                                         name → patterns of the numbers that name one matter

A number's pattern is written as the number looks: `#` stands for a digit, `@` for a letter, and what separates them may
be missing: `CLM-######` finds CLM-123456, clm 123456 and CLM123456.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from actors.rules.expressions import Expression, ExpressionError, long_to_read, shorter
from actors.rules.names import Word, wrong_name

if TYPE_CHECKING:
    from actors.rules.policy import Policy

NAMES = ("channel", "account", "kind", "name", "properties", "subject", "text")
"""What a rule may name. `kind` is `message`, `activity` or `start`; `name` is an activity's, `properties` are its own
and what a channel says along with a contact."""
DIMENSIONS = ("topic", "intent", "product_line", "segment")


class Tagger(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One way to notice a label. Everything that is given here must hold at once."""

    words: tuple[str, ...] = ()
    """Words or phrases, any of them, in the subject or the text; `invoice*` finds invoices as well."""
    subject: tuple[str, ...] = ()
    """The same, in the subject alone."""
    channels: tuple[Word, ...] = ()
    accounts: tuple[Word, ...] = ()
    """Channel accounts it must have come by: a mailbox for claims says what its mails are about."""
    activity: str = ""
    """The name of an activity: a page that was viewed, a choice in a telephone menu."""
    property: str = ""
    """A property of the activity, or of what the channel says along with a contact (its context and its extras) …"""
    values: tuple[str, ...] = ()
    """… and what it says, any of them; `/bills/*` is everything that begins so."""
    rule: str = ""
    """An expression in CEL."""


class Label(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Something a conversation can be about."""

    title: str = ""
    """As people call it: so the greeting of `/v1/context` names it, and whoever shows facts, which have the name alone,
    looks it up (`GET /v1/taxonomy`)."""
    taggers: tuple[Tagger, ...] = ()
    """Any one of them is enough."""


class Taxonomy(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All of it. Where several labels are found the stronger evidence wins (`actors.tags.tagging`), then the order
    here."""

    topics: dict[str, Label] = field(default_factory=dict)
    intents: dict[str, Label] = field(default_factory=dict)
    product_lines: dict[str, Label] = field(default_factory=dict)
    segments: dict[str, Label] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    classify_within_ms: int = 30_000
    """How long after the last word of a contact a classifier's answer about it still counts."""

    def labels(self, dimension: str) -> dict[str, Label]:
        """The labels of one of `DIMENSIONS`."""
        every = (self.topics, self.intents, self.product_lines, self.segments)
        return every[DIMENSIONS.index(dimension)]

    def title_of(self, dimension: str, name: str) -> str:
        """As people call the label; its name where nobody said, or it is none of the taxonomy's."""
        label = self.labels(dimension).get(name)
        return label.title if label is not None and label.title else name

    def faults(self, policy: "Policy") -> Iterator[tuple[tuple[str, ...], str]]:
        """What is wrong with it: where, as a path of keys, and what to write instead."""
        for dimension in DIMENSIONS:
            for name, label in self.labels(dimension).items():
                if words := wrong_name(name):
                    yield (f"{dimension}s", name), words
                for n, tagger in enumerate(label.taggers, start=1):
                    for key, words in _wrong(tagger):
                        yield (f"{dimension}s", name, "taggers", str(n), *key), words
        for name, patterns in self.keys.items():
            if words := _wrong_kind(name):
                yield ("keys", name), words
            for n, pattern in enumerate(patterns, start=1):
                if pattern.count("#") + pattern.count("@") < PLACES_MIN:
                    words = f"{pattern!r} occurs by chance: write at least {PLACES_MIN} places, each # or @"
                    yield ("keys", name, str(n)), words


PLACES_MIN = 4
"""Of a number's pattern: a shorter number is a house's or a price."""
NO_TAXONOMY = Taxonomy()


def _wrong_kind(name: str) -> str:
    """What is wrong with the name of a kind of numbers, which a conversation knows the last one by."""
    if name in DIMENSIONS:
        return f"{name} is what a contact is about, and no number: write another name"
    return f"{name!r} has a colon in it, which parts a kind from its numbers" if ":" in name else wrong_name(name)


def _wrong(tagger: Tagger) -> Iterator[tuple[tuple[str, ...], str]]:
    if tagger == Tagger():
        yield (), "a tagger says when it holds: write words, subject, channels, accounts, activity, property or rule"
    if tagger.property and not tagger.values:
        yield ("property",), f"what must {tagger.property} say? write values: [...] beside it"
    if tagger.values and not tagger.property:
        yield ("values",), "values of which property? write property: ... beside it"
    if tagger.rule:
        try:
            answer = Expression(tagger.rule, NAMES).value(_NOTHING)
        except ExpressionError as exc:
            yield ("rule",), str(exc)
        else:
            if long_to_read(tagger.rule):
                yield ("rule",), f"its patterns could hold up all others for too long: {shorter(tagger.rule)}"
            if answer is not None and not isinstance(answer, bool):
                yield ("rule",), f"a rule asks something that is so or not, such as {_ASKED}"


_NOTHING = {name: {} if name == "properties" else "" for name in NAMES}
"""A contact that says nothing: what a rule comes to then shows whether it is a question."""
_ASKED = 'subject.contains("urgent")'
