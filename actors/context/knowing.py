"""Knowing: what becomes of a value that a source gives, and which of several values stands. Pure.

    Given ── take ──▶ ContextSet (or ContextRefused) ── context_items.put ──▶ ContextItem

Which value stands is decided once, by the policy's criteria in their order; the event says the outcome.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from actors.rules.context import ContextRules, Criterion, at_least
from actors.state.context_items import Given, Known, put, side_of, source_of, values_of, without
from protocol.entities import ContextItem, ContextValue
from protocol.events import AnyEvent, ContextRefused, ContextSet, ContextWithdrawn

CONTEXT_MAX = 256
"""Items of one conversation."""
VALUES_MAX = 8
"""Values of one item, one of each source. Beyond either bound an item is refused, by an event that holds it whole."""


class Learned(Struct, frozen=True, gc=False):
    """The facts that items became, and what is known after them."""

    facts: list[AnyEvent]
    known: Known


def take(known: Known, given: Iterable[Given], rules: ContextRules, version: int, now_ms: int) -> Learned:
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
    return Learned(events, known)


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
    others = [] if item is None else without(item, source_of(new))
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


def withdraw(
    item: ContextItem, said: ContextValue, stays_in: str, rules: ContextRules, *, version: int, actor: str, now_ms: int
) -> ContextWithdrawn:
    """The fact that a source's value is not known any more but in `stays_in`, and which of the others stands after
    it."""
    left = without(item, source_of(said))
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
