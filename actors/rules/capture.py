"""Capture rules: what must be known of a contact on a channel, where it stands, and what to do where it is missing.

Every template has a floor, whether it says so or not: who (an identity), by which channel, when, about what. The first
three come with every event: one without them is refused before any template is asked. The topic is a field like any
other; a template that says nothing of it takes a mail's or a call's subject, and shows the agent where there is none.

Nothing is looked for on a channel that has no template.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import re2
from msgspec import Struct

from actors.rules.expressions import Expression, ExpressionError, long_to_read, shorter
from actors.rules.names import Word, wrong_name
from actors.rules.patterns import PROGRAMS_MAX, SHORTER, STEPS_TOGETHER_MAX, is_long, read_pattern, steps_of, words_of
from protocol.inbound import CONTEXT_VALUE_MAX as VALUE_MAX

if TYPE_CHECKING:
    from actors.rules.policy import Policy

Missing = Literal["ignore", "ask_customer", "ask_agent", "default", "quarantine"]
Kind = Literal["message", "start", "activity"]
Value = str | int | float | bool

FIELDS_MAX = 32
"""Fields of one template: more is a form, which nobody fills in by chat."""
TEMPLATES_MAX = 256
QUESTION_MAX = 1_000

FLOOR = ("identity", "channel", "time")
"""Not for a template to look for: they come with every event."""
MUTE = frozenset({"phone", "web", "app"})
"""Channels on which no text can be sent back."""
NAMES = ("id", "source", "type", "time_ms", "account", "channel", "identities", "text", "subject", "data", "raw")
"""What a path begins with, and what an expression may name."""


def _check_places(found_at: tuple[str, ...], pattern: str, found_by: str) -> None:
    for path in found_at:
        if path.partition(".")[0] not in NAMES:
            raise ValueError(f"found_at: {path!r} begins with none of {', '.join(NAMES)}")
    try:
        read_pattern(pattern)
    except re2.error as exc:
        raise ValueError(f"pattern: {words_of(exc)}; patterns are those of RE2, without looking ahead or back") from exc
    if found_by:
        try:
            Expression(found_by, NAMES)
        except ExpressionError as exc:
            raise ValueError(f"found_by: {exc}") from exc


class Field(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """One thing to know: it becomes a context item of its name."""

    name: str
    found_at: tuple[str, ...] = ()
    """Dotted paths in the event, the first that has a value counts: `data.properties.contract`, `raw.menu`."""
    pattern: str = ""
    """A regular expression: the part of the value that counts (its first group, where it has one). A value without it
    is none. Without `found_at` it is looked for in the text and the subject."""
    found_by: str = ""
    """An expression in CEL, asked where the paths have nothing."""
    when_missing: Missing = "ignore"
    question: str = ""
    """What the customer is asked."""
    default: Value | None = None
    keep: Literal["newest", "first"] = "newest"
    """`first`: what is known is not looked for. `newest`: it is, and the context's rules say which value stands."""
    sensitivity: Literal["normal", "personal", "secret"] = "normal"

    def __post_init__(self) -> None:
        """Raises `ValueError` that says what to write instead."""
        if words := wrong_name(self.name):
            raise ValueError(f"name: {words}")
        if self.name in FLOOR:
            raise ValueError(f"name: {self.name!r} comes with every event and needs no field; leave it out")
        _check_places(self.found_at, self.pattern, self.found_by)
        if self.when_missing == "ask_customer" and not 0 < len(self.question.strip()) <= QUESTION_MAX:
            raise ValueError(f"question: write what the customer is asked, at most {QUESTION_MAX} characters")
        if self.when_missing == "default" and (self.default is None or str(self.default).strip() == ""):
            raise ValueError("default: write the value that is taken where there is none")
        if isinstance(self.default, str) and len(self.default) > VALUE_MAX:
            raise ValueError(f"default: write at most {VALUE_MAX} characters")


class Who(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """Where the customer's identity stands in an event whose channel names none: a form's telephone number."""

    kind: str
    """`tel`, `mailto`, `crm` …, or a channel's own: what the value is."""
    found_at: tuple[str, ...] = ()
    pattern: str = ""
    found_by: str = ""
    """As of a field."""

    def __post_init__(self) -> None:
        """Raises `ValueError` that says what to write instead."""
        if not (self.found_at or self.pattern or self.found_by):
            raise ValueError("found_at: say where it stands, with found_at, pattern or found_by")
        _check_places(self.found_at, self.pattern, self.found_by)


class Template(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """What a contact on one channel, or by one account of it, must bring."""

    channel: Word
    account: str = ""
    """Only contacts by this account; a template with an account goes before the channel's own."""
    events: tuple[Kind, ...] = ("message", "start")
    """Which events are looked at: the customer's words, a contact's beginning, web and app activity."""
    identities: tuple[Who, ...] = ()
    """Where to look, in this order, for whose an event is that comes without any identity; all that are found count.
    Asked for every kind of event. What is found so is linked to the customer, and not verified."""
    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        """Raises `ValueError` that says what to write instead."""
        if len(self.fields) > FIELDS_MAX:
            raise ValueError(f"fields: a template has at most {FIELDS_MAX} fields")
        if len(self.identities) > FIELDS_MAX:
            raise ValueError(f"identities: a template looks in at most {FIELDS_MAX} places")
        names = [field.name for field in self.fields]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"fields: {twice!r} stands there twice")
        asked = next((field.name for field in self.fields if field.when_missing == "ask_customer"), "")
        if asked and self.channel in MUTE:
            raise ValueError(f"fields: {asked!r} cannot be asked on {self.channel}, which sends no text: ask_agent")

    @property
    def name(self) -> str:
        """How facts, quarantine and reports call it."""
        return f"{self.channel}/{self.account}" if self.account else self.channel


class CaptureRules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """All templates. Without any nothing is looked for."""

    templates: tuple[Template, ...] = ()

    def __post_init__(self) -> None:
        """Raises `ValueError` that says what to write instead."""
        if len(self.templates) > TEMPLATES_MAX:
            raise ValueError(f"templates: at most {TEMPLATES_MAX}")
        names = [template.name for template in self.templates]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"templates: there are two for {twice!r}; put their fields into one")

    def faults(self, policy: "Policy") -> Iterator[tuple[tuple[str, ...], str]]:
        """Patterns that could hold a cell up: where, as a path of keys, and what to write instead. What an earlier
        program accepted is decided by all the same."""
        del policy
        size = 0
        for number, template in enumerate(self.templates, start=1):
            yield from ((("templates", str(number), *path), words) for path, words in _long_patterns(template))
            places: list[Field | Who] = [*template.identities, *template.fields]
            size += sum(read_pattern(place.pattern).programsize for place in places if place.pattern)
            if size > PROGRAMS_MAX:
                yield (
                    ("templates", str(number)),
                    f"with these the templates' patterns are too large together: {SHORTER}",
                )
                return


def _long_patterns(template: Template) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each that is too long by itself; where none is, the one with which they are too long together."""
    places: list[tuple[str, str, Field | Who]] = [
        *(("identities", str(n), who) for n, who in enumerate(template.identities, start=1)),
        *(("fields", str(n), field) for n, field in enumerate(template.fields, start=1)),
    ]
    together = 0
    for kind, number, place in places:
        if long_to_read(place.found_by):
            yield (
                (kind, number, "found_by"),
                f"its patterns could hold up all others for too long: {shorter(place.found_by)}",
            )
        if not place.pattern:
            continue
        before, together = together, together + steps_of(place.pattern)
        if is_long(place.pattern):
            yield (kind, number, "pattern"), f"this one could hold up all others for too long: {SHORTER}"
        elif before <= STEPS_TOGETHER_MAX < together:
            yield (kind, number, "pattern"), f"with this one the template's patterns are too long together: {SHORTER}"
