"""Knowing: what a conversation knows, from which sources, and which of several values stands. Pure.

    Given ── take ──▶ ContextSet (or ContextRefused) ── put ──▶ ContextItem: the value that stands, and the others

A source is a channel and, on it, the customer's side or the agents'. A source's newer word takes the place of its older
one; what two sources say is kept side by side. Which of them stands is decided once, by the policy's criteria in their
order, and the event says the outcome, so that whoever reads the events needs no policy.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from actors.rules.context import ContextRules, Criterion, at_least, rank
from protocol.entities import ContextItem, ContextValue
from protocol.events import AnyEvent, ContextRefused, ContextSet, ContextWithdrawn
from protocol.inbound import ContextScalar

CONTEXT_MAX = 256
"""Items of one conversation."""
VALUES_MAX = 8
"""Values of one item, one of each source. Beyond either bound an item is refused, by an event that holds it whole."""

Known = Mapping[str, ContextItem]


class Given(Struct, frozen=True, kw_only=True, gc=False):
    """An item as its source gives it."""

    key: str
    value: ContextScalar
    actor: str
    channel: str
    interaction: int = 0
    sensitivity: str = "normal"
    verified: bool = False
    said_at_ms: int = 0
    """When it was said, where that was before the conversation began."""
    came_from: str = ""
    """The earlier conversation in which it was said."""
    said_by: str = ""
    """The customer's address that said it, where `interaction` does not tell."""


class Taken(Struct, frozen=True, gc=False):
    """The facts that items became, and what is known after them."""

    facts: list[AnyEvent]
    known: Known


def take(known: Known, given: Iterable[Given], rules: ContextRules, version: int, now_ms: int) -> Taken:
    """The facts that follow from items, taken one after the other; none where the source said the same before.

    `version` is the policy's.
    """
    events: list[AnyEvent] = []
    known = dict(known)
    for one in given:
        item = known.get(one.key)
        if item is not None and _said_before(item, one, rules):
            continue
        if reason := no_room(known, one.key, one.channel, one.actor):
            events.append(_refused(one, reason, version, now_ms))
            continue
        event = decide(item, one, rules, version, now_ms)
        known[one.key] = put(item, event)
        events.append(event)
    return Taken(events, known)


def after(known: Known, events: Iterable[AnyEvent]) -> Known:
    """What is known when the events have happened."""
    sets = [event for event in events if isinstance(event, ContextSet)]
    if not sets:
        return known
    now = dict(known)
    for event in sets:
        now[event.key] = put(now.get(event.key), event)
    return now


def decide(item: ContextItem | None, given: Given, rules: ContextRules, version: int, now_ms: int) -> ContextSet:
    """The fact that the source gives this value, and which of the item's values stands after it."""
    new = ContextValue(
        value=given.value,
        channel=given.channel,
        interaction=given.interaction,
        actor=given.actor,
        at_ms=given.said_at_ms or now_ms,
        sensitivity=at_least(given.sensitivity, given.key, rules.keys),
        version=1 if item is None else 1 + max(value.version for value in values_of(item)),
        verified=given.verified,
        came_from=given.came_from,
        said_by=given.said_by,
    )
    others = [] if item is None else [value for value in values_of(item) if source_of(value) != source_of(new)]
    best, rule = _best(new, others, given.key, rules) if others else (new, "")
    return ContextSet(
        at_ms=now_ms,
        actor=given.actor,
        policy=version,
        key=given.key,
        value=given.value,
        channel=given.channel,
        interaction=given.interaction,
        sensitivity=new.sensitivity,
        version=new.version,
        verified=given.verified,
        said_at_ms=given.said_at_ms,
        rule=rule,
        stands=None if best is new else best,
        came_from=given.came_from,
        said_by=given.said_by,
    )


def put(item: ContextItem | None, event: ContextSet) -> ContextItem:
    """The item with what the event says of it."""
    new = value_of(event)
    others = [] if item is None else [value for value in values_of(item) if source_of(value) != source_of(new)]
    stands = new
    if event.stands is not None:
        stands = event.stands
        others = [*(value for value in others if source_of(value) != source_of(stands)), new]
    return item_of(event.key, [stands, *others], event.rule)


def withdraw(
    item: ContextItem, said: ContextValue, stays_in: str, rules: ContextRules, *, version: int, actor: str, now_ms: int
) -> ContextWithdrawn:
    """The fact that a source's value is not known any more but in `stays_in`, and which of the others stands after
    it."""
    left = _without(item, source_of(said))
    stands, rule = _best(left[0], left[1:], item.key, rules) if left else (None, "")
    return ContextWithdrawn(
        at_ms=now_ms,
        actor=actor,
        policy=version,
        key=item.key,
        channel=said.channel,
        side=side_of(said.actor),
        came_from=stays_in,
        stands=stands,
        rule=rule,
    )


def drop(known: Known, event: ContextWithdrawn) -> dict[str, ContextItem]:
    """What is known without what the event says is not."""
    item, stands = known.get(event.key), event.stands
    if item is None or stands is None:
        return {key: each for key, each in known.items() if key != event.key}
    left = _without(item, (event.channel, event.side))
    others = [value for value in left if source_of(value) != source_of(stands)]
    return {**known, event.key: item_of(event.key, [stands, *others], event.rule)}


def _without(item: ContextItem, source: tuple[str, str]) -> list[ContextValue]:
    return [value for value in values_of(item) if source_of(value) != source]


def item_of(key: str, values: Sequence[ContextValue], rule: str) -> ContextItem:
    """An item of these values, the one that stands first: as `values_of` has them."""
    stands, *others = values
    return ContextItem(
        key=key,
        value=stands.value,
        channel=stands.channel,
        interaction=stands.interaction,
        actor=stands.actor,
        at_ms=stands.at_ms,
        sensitivity=stands.sensitivity,
        version=stands.version,
        verified=stands.verified,
        came_from=stands.came_from,
        said_by=stands.said_by,
        rule=rule,
        others=others,
    )


def value_of(event: ContextSet) -> ContextValue:
    """What the event's source says."""
    return ContextValue(
        value=event.value,
        channel=event.channel,
        interaction=event.interaction,
        actor=event.actor,
        at_ms=event.said_at_ms or event.at_ms,
        sensitivity=event.sensitivity,
        version=event.version,
        verified=event.verified,
        came_from=event.came_from,
        said_by=event.said_by,
    )


def values_of(item: ContextItem) -> list[ContextValue]:
    """All values, the one that stands first."""
    stands = ContextValue(
        value=item.value,
        channel=item.channel,
        interaction=item.interaction,
        actor=item.actor,
        at_ms=item.at_ms,
        sensitivity=item.sensitivity,
        version=item.version,
        verified=item.verified,
        came_from=item.came_from,
        said_by=item.said_by,
    )
    return [stands, *item.others]


def named(value: ContextValue, speaker: str) -> ContextValue:
    """The value with who said it, unless it says so itself; as it was where that is not known."""
    return structs.replace(value, said_by=speaker) if speaker and not value.said_by else value


def source_of(value: ContextValue | Given) -> tuple[str, str]:
    """The channel, and the side that spoke there: `agent`, `system` or `customer`; an account speaks for its
    customer."""
    return value.channel, side_of(value.actor)


def side_of(actor: str) -> str:
    """The side for which an actor speaks: `agent`, `system` or `customer`."""
    side = actor.partition(":")[0]
    return side if side in ("agent", "system") else "customer"


def is_said(known: Known, key: str) -> bool:
    """Whether a key is known: somebody gave it, and not as nothing or blank words. False and 0 are given."""
    item = known.get(key)
    return item is not None and is_given(item.value)


def is_said_after(known: Known, events: Sequence[AnyEvent], key: str) -> bool:
    """Whether a key is known when the events have happened."""
    for event in reversed(events):
        if isinstance(event, ContextSet) and event.key == key:
            return is_given(event.value if event.stands is None else event.stands.value)
    return is_said(known, key)


def is_given(value: ContextScalar) -> bool:
    """Whether a value says anything; blanks do not."""
    return bool(value.strip()) if isinstance(value, str) else value is not None


def sensitivity_of(item: ContextItem) -> str:
    """The item's sensitivity: that of its most sensitive value."""
    return max((value.sensitivity for value in values_of(item)), key=rank) if item.others else item.sensitivity


def no_room(known: Known, key: str, channel: str, actor: str) -> str:
    """Why an item finds no room; empty where it does."""
    item = known.get(key)
    if item is None:
        return f"a conversation has at most {CONTEXT_MAX} context items" if len(known) >= CONTEXT_MAX else ""
    sources = {source_of(value) for value in values_of(item)}
    if len(sources) >= VALUES_MAX and (channel, side_of(actor)) not in sources:
        return f"a context item has values of at most {VALUES_MAX} sources"
    return ""


def _said_before(item: ContextItem, given: Given, rules: ContextRules) -> bool:
    source = source_of(given)
    sensitivity = at_least(given.sensitivity, given.key, rules.keys)
    return any(
        source_of(value) == source
        # True is 1, and not the same answer.
        and (type(value.value), value.value) == (type(given.value), given.value)
        and (value.verified, value.sensitivity) == (given.verified, sensitivity)
        for value in values_of(item)
    )


def _best(new: ContextValue, others: Sequence[ContextValue], key: str, rules: ContextRules) -> tuple[ContextValue, str]:
    """The value that stands, and the criterion that decided; empty where all values are equal."""
    best, criteria = new, rules.criteria(key)
    order = rules.keys[key].channels if key in rules.keys else ()
    for other in others:
        if _compare(best, other, criteria, order)[1]:
            best = other
    rule = next((_compare(best, one, criteria, order)[0] for one in (new, *others) if one.value != best.value), "")
    return best, rule


def _compare(
    one: ContextValue, other: ContextValue, criteria: Sequence[Criterion], order: Sequence[str]
) -> tuple[Criterion, bool]:
    """The criterion that decides between two values, and whether it decides for the other one."""
    for criterion in criteria:
        a, b = _measure(one, criterion, order), _measure(other, criterion, order)
        if a != b:
            return criterion, b > a
    return "newest", other.version > one.version


def _measure(value: ContextValue, criterion: Criterion, order: Sequence[str]) -> int:
    """The larger the better."""
    match criterion:
        case "verified":
            return int(value.verified)
        case "agent":
            return int(value.actor.startswith("agent:"))
        case "channel":
            return -order.index(value.channel) if value.channel in order else -len(order)
        case "newest":
            # By the journal's order: clocks go back.
            return value.version
        case "first":
            return -value.version


def _refused(given: Given, reason: str, version: int, now_ms: int) -> AnyEvent:
    return ContextRefused(
        at_ms=now_ms,
        actor=given.actor,
        policy=version,
        key=given.key,
        value=given.value,
        channel=given.channel,
        interaction=given.interaction,
        reason=reason,
    )
