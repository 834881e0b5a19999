"""Templates, read: which one an event falls under, and what it finds there. Pure.

Reading is done once for each version of the rules (see `actors.rules.capture`, which says what a template is).
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from actors.rules.capture import NAMES, CaptureRules, Field, Kind, Template, Value, Who
from actors.rules.expressions import Expression
from actors.rules.patterns import SEARCHED_MAX, Look, Screen, read_pattern
from protocol.inbound import IDENTITIES_MAX, ActivityArrived, InboundEvent, InteractionBegan, MessageArrived
from protocol.journal import POLICIES_KEPT

VALUE_MAX = 4_096
"""Of a context item's value; a longer one is cut, and stands whole in the message."""
WHOLE_MAX = 2**53 - 1
PLACE_DIGITS_MAX = 9
"""Of a place in a list, in a path: none is longer, and thousands of digits are no number for Python."""
TEXTS = ("data.text", "data.subject")
"""Where a pattern is looked for that says nothing of where."""
_SPELLED = (str, int, float)
"""What a pattern may be looked for in."""


class Finder:
    """Where something stands, with its pattern and expression read. `finds_in_bare`: perhaps also in a bare message
    (see `Compiled.likely`)."""

    __slots__ = ("_expression", "_pattern", "_places", "_search", "finds_in_bare")

    def __init__(self, place: Field | Who) -> None:
        self._pattern = place.pattern
        self._search = read_pattern(place.pattern).search
        paths = place.found_at or (TEXTS if place.pattern else ())
        self._places = [_place(path) for path in paths]
        self._expression = Expression(place.found_by, NAMES) if place.found_by else None
        self.finds_in_bare = self._expression is not None or any(_is_in_bare(path, place.pattern) for path in paths)

    def find(self, event: InboundEvent, look: Look) -> Value | None:
        """The value in an event, by the template's look at it; None where it has none."""
        for place in self._places:
            if (found := place(event)) is None:
                continue
            if self._pattern and (found := self._part(found, look)) is None:
                continue
            if (value := _value(found)) is not None:
                return value
        return _value(self._expression.value(variables_of(event))) if self._expression else None

    def _part(self, found: Any, look: Look) -> str | None:
        """The part of a value that the pattern says; None where it has none."""
        if not isinstance(found, _SPELLED):
            return None
        text = str(found)[:SEARCHED_MAX]
        if self._pattern not in look.at(text):
            return None
        match = self._search(text)
        return next((group for group in match.groups() if group), match.group()) if match else None


class Compiled:
    """A template, read."""

    __slots__ = ("_of_bare", "_screen", "events", "finders", "name", "wanted", "who")

    def __init__(self, template: Template) -> None:
        self.name = template.name
        self.events = frozenset(template.events)
        fields = template.fields
        if all(field.name != TOPIC.name for field in fields):
            fields = (*fields, TOPIC)
        self.finders = [(field, Finder(field)) for field in fields]
        self._of_bare = [(field, finder) for field, finder in self.finders if finder.finds_in_bare]
        self.wanted = [field for field in fields if field.when_missing != "ignore"]
        self.who = [(who.kind, Finder(who)) for who in template.identities]
        patterns = [*(field.pattern for field in fields), *(who.pattern for who in template.identities)]
        self._screen = Screen(filter(None, patterns))

    def look(self) -> Look:
        """To find with, in one event."""
        return Look(self._screen)

    def likely(self, event: InboundEvent, look: Look) -> Sequence[tuple[Field, Finder]]:
        """The finders that may find something. Most messages are bare: they have neither a subject nor extras, and none
        of the template's patterns in their text. There most finders find nothing, and are not asked."""
        data = event.data
        if not isinstance(data, MessageArrived) or data.subject or event.raw or look.at(data.text[:SEARCHED_MAX]):
            return self.finders
        return self._of_bare


TOPIC = Field(name="topic", found_at=("data.subject",), keep="first", when_missing="ask_agent")
"""The floor's topic, of a template that says nothing of it."""


def template_for(rules: CaptureRules, event: InboundEvent) -> Compiled | None:
    """The template that an event falls under; None where none does, and for a machine's words."""
    found = _of_channel(rules, event)
    return found if found is not None and _kind(event) in found.events else None


def identities_in(rules: CaptureRules, event: InboundEvent) -> list[str]:
    """What the template of an event without identities finds, as many as an event may bring: `kind:value`, as it stands
    there."""
    template = _of_channel(rules, event)
    if template is None or not template.who:
        return []
    look = template.look()
    found = ((kind, finder.find(event, look)) for kind, finder in template.who)
    return list(islice((f"{kind}:{value}" for kind, value in found if value is not None), IDENTITIES_MAX))


def variables_of(event: InboundEvent) -> dict[str, Any]:
    """An event as expressions see it."""
    variables: dict[str, Any] = msgspec.to_builtins(event)
    data = variables["data"]
    variables.setdefault("raw", {})
    return variables | {"type": data["type"], "text": data.get("text", ""), "subject": data.get("subject", "")}


def _of_channel(rules: CaptureRules, event: InboundEvent) -> Compiled | None:
    compiled = _compiled(rules).get(event.channel)
    return None if compiled is None else compiled.get(event.account) or compiled.get("")


COMPILED_MAX = POLICIES_KEPT + 1
"""Versions' templates that are kept read: all that live conversations may be pinned to, and the settings' own. To read
those of one takes as long as twenty events do."""
_kept: dict[int, tuple[CaptureRules, dict[str, dict[str, Compiled]]]] = {}


def _compiled(rules: CaptureRules) -> dict[str, dict[str, Compiled]]:
    """By channel and account."""
    # By identity: to Python a default of 1, of 1.0 and of yes are equal, and one version would decide by another's. It
    # is kept with what was made of it, so that its number is not another one's meanwhile.
    known = _kept.get(id(rules))
    if known is None:
        if len(_kept) >= COMPILED_MAX:
            del _kept[next(iter(_kept))]
        known = _kept[id(rules)] = (rules, _read(rules))
    return known[1]


def _read(rules: CaptureRules) -> dict[str, dict[str, Compiled]]:
    compiled: dict[str, dict[str, Compiled]] = {}
    for template in rules.templates:
        compiled.setdefault(template.channel, {})[template.account] = Compiled(template)
    return compiled


def _kind(event: InboundEvent) -> Kind | None:
    data = event.data
    if isinstance(data, MessageArrived):
        return None if data.automatic else "message"
    return _KINDS.get(type(data))


_KINDS: dict[type, Kind] = {InteractionBegan: "start", ActivityArrived: "activity"}


def _is_in_bare(path: str, pattern: str) -> bool:
    """Whether anything may stand at a path of a bare message, whose text has no pattern."""
    match path.split("."):
        case ["raw", *_] | ["subject"] | ["data", "subject"]:
            return False
        case ["text"] | ["data", "text"]:
            return not pattern
        case _:
            return True


def _place(path: str) -> Callable[[InboundEvent], Any]:
    """How a path is followed: those of nearly all templates without a look at what they may be otherwise."""
    match path.split("."):
        case ["data", name]:
            return lambda event: getattr(event.data, name) if name in event.data.__struct_fields__ else None
        case ["raw", name]:
            return lambda event: event.raw.get(name)
        case [first, *steps]:
            return lambda event: _at(event, first, steps)
        case _:
            raise AssertionError("a split string has a part")


def _at(event: InboundEvent, first: str, steps: Sequence[str]) -> Any:
    """What stands at a path; None for nothing. Attribute by attribute: a whole event costs more to turn into a dict
    than all paths of a template to follow."""
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
        elif isinstance(found, list) and step.isdecimal() and len(step) <= PLACE_DIGITS_MAX and int(step) < len(found):
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
