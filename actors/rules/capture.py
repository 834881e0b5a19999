"""Capture rules: what must be known of a contact on a channel, where it stands, and what to do where it is missing.

Every template has a floor, whether it says so or not: who (an identity), by which channel, when, about what. The first
three come with every event: one without them is refused before any template is asked. The topic is a field like any
other; a template that says nothing of it takes a mail's or a call's subject, and shows the agent where there is none.

Nothing is looked for on a channel that has no template.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import re2
from msgspec import Struct

from actors.expressions import Expression, ExpressionError
from actors.rules.identity import MISTAKEN
from actors.rules.patterns import SEARCHED_MAX, Look, Screen, read_pattern, words_of
from protocol.identities import KINDS
from protocol.inbound import ActivityArrived, InboundEvent, InteractionBegan, MessageArrived

if TYPE_CHECKING:
    from actors.policy import Policy

Missing = Literal["ignore", "ask_customer", "ask_agent", "default", "quarantine"]
Kind = Literal["message", "start", "activity"]
Value = str | int | float | bool

FIELDS_MAX = 32
"""Fields of one template: more is a form, which nobody fills in by chat."""
TEMPLATES_MAX = 256
NAME_MAX = 128
"""Of a context item's key, which a field's name becomes."""
QUESTION_MAX = 1_000
VALUE_MAX = 4_096
"""Of a context item's value; a longer one is cut, and stands whole in the message."""
WHOLE_MAX = 2**53 - 1

FLOOR = ("identity", "channel", "time")
"""Not for a template to look for: they come with every event."""
MUTE = frozenset({"phone", "web", "app"})
"""Channels on which no text can be sent back."""
NAMES = ("id", "source", "type", "time_ms", "account", "channel", "identities", "text", "subject", "data", "raw")
"""What a path begins with, and what an expression may name."""
TEXTS = ("data.text", "data.subject")
"""Where a pattern is looked for that says nothing of where."""


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
        if not self.name or len(self.name) > NAME_MAX or not self.name.isprintable():
            raise ValueError(f"name: a field's name is printable and has 1 to {NAME_MAX} characters")
        if self.name in FLOOR:
            raise ValueError(f"name: {self.name!r} comes with every event and needs no field; leave it out")
        _check_places(self.found_at, self.pattern, self.found_by)
        if self.when_missing == "ask_customer" and not 0 < len(self.question.strip()) <= QUESTION_MAX:
            raise ValueError(f"question: write what the customer is asked, at most {QUESTION_MAX} characters")
        if self.when_missing == "default" and self.default is None:
            raise ValueError("default: write the value that is taken where there is none")


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

    channel: str
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
        if not self.channel:
            raise ValueError("channel: name the channel this template is for")
        if len(self.fields) > FIELDS_MAX:
            raise ValueError(f"fields: a template has at most {FIELDS_MAX} fields")
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
            raise ValueError(f"templates: there are two for {twice}; put their fields into one")

    def faults(self, policy: "Policy") -> Iterator[tuple[tuple[str, ...], str]]:
        """Kinds of identities that are none: where, as a path of keys, and what to write instead."""
        lines = {account.channel.lower() for account in policy.accounts.values()}
        for number, template in enumerate(self.templates, start=1):
            known = (KINDS | lines | {template.channel.lower()}) - MISTAKEN.keys()
            for nth, who in enumerate(template.identities, start=1):
                if who.kind not in known:
                    meant = MISTAKEN.get(who.kind)
                    words = f"write {meant}" if meant else f"write one of {', '.join(sorted(known))}"
                    yield (
                        ("templates", str(number), "identities", str(nth), "kind"),
                        f"{who.kind!r} is no kind of identity: {words}",
                    )


class Finder:
    """Where something stands, with its pattern and expression read."""

    __slots__ = ("_expression", "_paths", "_pattern", "_search")

    def __init__(self, place: Field | Who) -> None:
        self._pattern = place.pattern
        self._search = read_pattern(place.pattern).search
        paths = place.found_at or (TEXTS if place.pattern else ())
        self._paths = [path.split(".") for path in paths]
        self._expression = Expression(place.found_by, NAMES) if place.found_by else None

    def find(self, event: InboundEvent, look: Look) -> Value | None:
        """The value in an event, by the template's look at it; None where it has none."""
        for path in self._paths:
            found = _at(event, path)
            if found is not None and self._pattern:
                found = self._part(found, look)
            if (value := _value(found)) is not None:
                return value
        return _value(self._expression.value(given_of(event))) if self._expression else None

    def _part(self, found: Any, look: Look) -> str | None:
        """The part of a value that the pattern says; None where it has none."""
        if not isinstance(found, str | int | float):
            return None
        text = str(found)[:SEARCHED_MAX]
        match = self._search(text) if look.has(text, self._pattern) else None
        return next((group for group in match.groups() if group), match.group()) if match else None


class Compiled:
    """A template, read."""

    __slots__ = ("_screen", "events", "finders", "name", "who")

    def __init__(self, template: Template) -> None:
        self.name = template.name
        self.events = frozenset(template.events)
        fields = template.fields
        if all(field.name != TOPIC.name for field in fields):
            fields = (*fields, TOPIC)
        self.finders = [(field, Finder(field)) for field in fields]
        self.who = [(who.kind, Finder(who)) for who in template.identities]
        patterns = [*(field.pattern for field in fields), *(who.pattern for who in template.identities)]
        self._screen = Screen(filter(None, patterns))

    def look(self) -> Look:
        """To find with, in one event."""
        return Look(self._screen)


TOPIC = Field(name="topic", found_at=("data.subject",), keep="first", when_missing="ask_agent")
"""The floor's topic, of a template that says nothing of it."""


def template_for(rules: CaptureRules, event: InboundEvent) -> Compiled | None:
    """The template that an event falls under; None where none does, and for a machine's words."""
    found = _of_channel(rules, event)
    return found if found is not None and _kind(event) in found.events else None


def identities_in(rules: CaptureRules, event: InboundEvent) -> list[str]:
    """What the template of an event without identities finds: `kind:value`, as it stands there."""
    template = _of_channel(rules, event)
    if template is None or not template.who:
        return []
    look = template.look()
    found = ((kind, finder.find(event, look)) for kind, finder in template.who)
    return [f"{kind}:{value}" for kind, value in found if value is not None]


def given_of(event: InboundEvent) -> dict[str, Any]:
    """An event as expressions see it."""
    given: dict[str, Any] = msgspec.to_builtins(event)
    data = given["data"]
    given.setdefault("raw", {})
    return given | {"type": data["type"], "text": data.get("text", ""), "subject": data.get("subject", "")}


def _of_channel(rules: CaptureRules, event: InboundEvent) -> Compiled | None:
    compiled = _compiled(rules).get(event.channel)
    return None if compiled is None else compiled.get(event.account) or compiled.get("")


@lru_cache(maxsize=8)
def _compiled(rules: CaptureRules) -> dict[str, dict[str, Compiled]]:
    """By channel and account. Read once for each version: the newest, and those that live conversations are still
    pinned to."""
    compiled: dict[str, dict[str, Compiled]] = {}
    for template in rules.templates:
        compiled.setdefault(template.channel, {})[template.account] = Compiled(template)
    return compiled


def _kind(event: InboundEvent) -> Kind | None:
    match event.data:
        case MessageArrived(automatic=automatic):
            return None if automatic else "message"
        case InteractionBegan():
            return "start"
        case ActivityArrived():
            return "activity"
        case _:
            return None


def _at(event: InboundEvent, path: list[str]) -> Any:
    """What stands at a path; None for nothing. Attribute by attribute: a whole event costs more to turn into a dict
    than all paths of a template to follow."""
    first, *steps = path
    match first:
        case "text" | "subject":
            found = getattr(event.data, first, None)
        case "type":
            found = event.data.__struct_config__.tag
        case _:
            found = getattr(event, first, None)
    for step in steps:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, Struct):
            found = getattr(found, step, None) if step in found.__struct_fields__ else None
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _value(found: Any) -> Value | None:
    """What a context item can hold; None for what is empty, and for lists and objects."""
    if found is None:
        return None
    if isinstance(found, str):
        return found.strip()[:VALUE_MAX] or None
    if isinstance(found, bool):
        return found
    if isinstance(found, int):
        return found if abs(found) <= WHOLE_MAX else str(found)[:VALUE_MAX]
    if isinstance(found, float):
        return found if abs(found) < float("inf") else None
    return None
