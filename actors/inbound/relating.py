"""Relating: what a new conversation is to an earlier one of the customer's, as one pure function with a reason.

In this order: it escalates one (the policy says by which intents); it continues one whose key (a claim's number) it
names; it repeats one with its topic that was resolved not long ago; it follows the newest.
"""

from collections.abc import Sequence

from msgspec import Struct

from actors.inbound.matters import is_broad, one_matter, other_key, same, shared_key, spoken
from actors.rules.correlation import CorrelationRules
from actors.state.conversation import Conversation
from protocol.entities import Relation, RelationKind, Status, Tags
from protocol.inbound import InboundEvent


class Past(Struct, frozen=True, gc=False):
    """What is remembered of a closed conversation that was about something."""

    conversation: str
    tags: Tags
    resolved_at_ms: int


class Asked(Struct, frozen=True, gc=False):
    """The question: an event, what it is about, and what is known of its customer."""

    event: InboundEvent
    tags: Tags
    rules: CorrelationRules
    now_ms: int
    """When it happened: of replayed input that may be before the newest contact."""
    open: list[Conversation]
    """Those a contact may join without naming one of their messages or sessions, the newest change first."""
    resolved: list[Conversation]
    """Live ones that the rules keep it from joining so."""
    past: Sequence[str]
    remembered: Sequence[Past]


def relation_of(asked: Asked) -> Relation | None:
    """The relation of a contact that begins a conversation; None where it is the customer's first."""
    return _escalates(asked) or _continues(asked) or _repeats(asked) or _follows(asked)


def _earlier(asked: Asked) -> list[tuple[str, Tags, int]]:
    """Id, tags and time of resolution (0: it is open) of all earlier ones that were about something, newest first."""
    live = sorted([*asked.open, *asked.resolved], key=lambda c: (c.updated_at_ms, c.id), reverse=True)
    found = [(c.id, c.tags, c.resolved_at_ms if c.status is Status.RESOLVED else 0) for c in live if c.tags is not None]
    return found + [(past.conversation, past.tags, past.resolved_at_ms) for past in reversed(asked.remembered)]


def _escalates(asked: Asked) -> Relation | None:
    intent = asked.tags.intent
    if intent is None or intent.value not in asked.rules.escalating_intents:
        return None
    about = f"{intent.value} about it"
    for earlier, tags, _ in _earlier(asked):
        same_topic = same(asked.tags.topic, tags.topic) and not other_key(asked.tags, tags)
        if one_matter(asked.tags, tags, asked.rules.broad_keys) or same_topic:
            return Relation(kind=RelationKind.ESCALATES, conversation=earlier, reason=about)
    if asked.tags.topic is not None or asked.tags.keys:
        return None  # It says what it is about, and nothing earlier was about that.
    newest = _newest(asked)
    return Relation(kind=RelationKind.ESCALATES, conversation=newest, reason=about) if newest else None


def _continues(asked: Asked) -> Relation | None:
    for earlier, tags, _ in _earlier(asked):
        if (key := shared_key(asked.tags, tags)) and not is_broad(key, asked.rules.broad_keys):
            return Relation(kind=RelationKind.CONTINUES, conversation=earlier, reason=f"both name {spoken(key)}")
    return None


def _repeats(asked: Asked) -> Relation | None:
    for earlier, tags, resolved_at_ms in _earlier(asked):
        if relation := repeats(earlier, tags, resolved_at_ms, asked.tags, asked.rules, asked.now_ms):
            return relation
    return None


def repeats(
    earlier: str, known: Tags, resolved_at_ms: int, found: Tags, rules: CorrelationRules, now_ms: int
) -> Relation | None:
    """The relation of a contact about `found` to an earlier conversation, where it repeats that one's topic."""
    topic, passed_ms = same(found.topic, known.topic), now_ms - resolved_at_ms
    in_time = 0 <= passed_ms <= rules.repeat_within_ms
    if not topic or not resolved_at_ms or not in_time or other_key(found, known):
        return None
    reason = f"the same topic, {topic}, {spell(passed_ms)} after it was resolved"
    return Relation(kind=RelationKind.REPEATS, conversation=earlier, reason=reason)


def _follows(asked: Asked) -> Relation | None:
    newest = _newest(asked)
    if not newest:
        return None
    return Relation(kind=RelationKind.FOLLOWS_UP, conversation=newest, reason="the customer's next contact")


def _newest(asked: Asked) -> str:
    for live in (asked.open, asked.resolved):
        if live:
            return live[0].id
    return asked.past[-1] if asked.past else ""


def spell(ms: int) -> str:
    """A span as people say it, rounded down: `35 min`, `2 h`, `3 days`."""
    minutes = max(0, ms) // 60_000
    if minutes < 1:
        return f"{max(0, ms) // 1000} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
