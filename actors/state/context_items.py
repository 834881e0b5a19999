"""Context items: what is known under one key, as values of its sources, the one that stands first. Pure.

A source is a channel and, on it, the customer's side or the agents'. A source's newer word takes the place of its older
one; what two sources say is kept side by side. Which of them stands the event says (see `actors.context.knowing`), so
that whoever reads the events needs no policy.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from actors.rules.context import rank
from protocol.entities import ContextItem, ContextValue
from protocol.events import AnyEvent, ContextSet, ContextWithdrawn
from protocol.events.event import CUSTOMER, SYSTEM
from protocol.inbound import ContextScalar

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


# Changed by events


def put(item: ContextItem | None, event: ContextSet) -> ContextItem:
    """The item with what the event says of it."""
    new = value_of(event)
    others = [] if item is None else without(item, source_of(new))
    stands = new
    if event.stands is not None:
        stands = event.stands
        others = [*(value for value in others if source_of(value) != source_of(stands)), new]
    return item_of(event.key, [stands, *others], event.rule)


def after(known: Known, events: Iterable[AnyEvent]) -> Known:
    """What is known when the events have happened."""
    sets = [event for event in events if isinstance(event, ContextSet)]
    if not sets:
        return known
    now = dict(known)
    for event in sets:
        now[event.key] = put(now.get(event.key), event)
    return now


def drop(known: Known, event: ContextWithdrawn) -> dict[str, ContextItem]:
    """What is known without what the event says is not."""
    item, stands = known.get(event.key), event.stands
    if item is None or stands is None:
        return {key: each for key, each in known.items() if key != event.key}
    left = without(item, (event.channel, event.side))
    others = [value for value in left if source_of(value) != source_of(stands)]
    return {**known, event.key: item_of(event.key, [stands, *others], event.rule)}


def without(item: ContextItem, source: tuple[str, str]) -> list[ContextValue]:
    """All values but that of one source."""
    return [value for value in values_of(item) if source_of(value) != source]


# As values


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
    return side if side in ("agent", SYSTEM) else CUSTOMER


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
