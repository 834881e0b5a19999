"""Correlation: which conversation an inbound event belongs to, as one pure function with a reason.

In this order: the delivery it reports on; a thread reference it answers; the contact (session) it is part of, also one
that is over, of a closed conversation, where it was said before the end; a key (a claim's number) that an open
conversation is about; an open conversation with the same topic or intent; one in the window that the policy gives for
the pair of channels; else a new one, related to an earlier one (`relating.py`).
Without rules every pair of channels has a window without end: the customer's newest open conversation.
"""

from collections.abc import Sequence

from msgspec import Struct

from actors.inbound.contact import CLOSING, said_in
from actors.inbound.matters import differ, one_matter, other_key, same, spoken
from actors.inbound.relating import Asked, Past, relation_of, spell
from actors.rules.correlation import ANY, NO_RULES, CorrelationRules, Window
from actors.state.conversation import Conversation
from actors.tags.labels import NO_TAGS
from protocol.entities import Interaction, Relation, RelationKind, Status, Tags
from protocol.ids import conversation_of
from protocol.inbound import (
    ActivityArrived,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    InteractionStopped,
    MessageArrived,
)

SILENT_MAX_MS = 4 * 3_600_000
"""A call or chat that nobody ended, and in which nothing happened for so long, does not go on."""
PROMPT_MS = 5 * 60_000
"""What comes so soon after it was said was on its way since, and not written down afterwards."""


class Glimpse(Struct, frozen=True, gc=False):
    """What the customer looked at last while nothing was open."""

    tags: Tags
    channel: str
    at_ms: int


class Correlated(Struct, frozen=True, gc=False):
    """Where the event goes: an existing conversation's id, or empty for a new one with `relation` to an earlier."""

    conversation: str
    reason: str
    relation: Relation | None = None


_FIRST = Correlated("", "first contact")


def correlate(
    conversations: Sequence[Conversation],
    past: Sequence[str],
    event: InboundEvent,
    *,
    tags: Tags = NO_TAGS,
    rules: CorrelationRules = NO_RULES,
    remembered: Sequence[Past] = (),
    now_ms: int = 0,
) -> Correlated:
    """Finds the conversation of `event` among a customer's; `past` are ids of those that are over, oldest first, and
    `remembered` those of them that were about something."""
    if isinstance(event.data, DeliveryReport):
        return Correlated(conversation_of(event.data.delivery), "delivery")
    named = _by_reference(conversations, past, _references(event)) or _by_session(conversations, event, now_ms)
    if named is not None:
        return named
    live = [c for c in conversations if c.live]
    if len(live) < len(conversations):
        # Whose contacts are all elsewhere by now, perhaps another customer's, is nobody's past.
        emptied = {c.id for c in conversations if not c.live and c.interaction_count and not c.interactions}
        past = [id for id in past if id not in emptied]
    if not conversations and not past:
        return _FIRST
    if rules is NO_RULES and tags is NO_TAGS:
        return _by_openness(live) or _after_the_last(past)
    if len(live) > 1:
        live.sort(key=lambda c: (c.updated_at_ms, c.id), reverse=True)
    kept = [c for c in live if c.status is Status.RESOLVED] if rules.after_resolved == "new" else []
    open = [c for c in live if c not in kept] if kept else live
    asked = Asked(event, tags, rules, now_ms, open, kept, past, remembered)
    return _by_key(asked) or _by_topic(asked) or _by_window(asked) or _new(asked)


# What names a conversation by itself


def _references(event: InboundEvent) -> Sequence[str]:
    return event.data.in_reply_to if isinstance(event.data, MessageArrived) else ()


def _by_reference(
    conversations: Sequence[Conversation], past: Sequence[str], references: Sequence[str]
) -> Correlated | None:
    for reference in references:
        for conversation in conversations:
            if conversation.live and reference in conversation.references:
                return Correlated(conversation.id, "thread reference")
        # Our own Message-IDs begin with the delivery's id, so they are known for as long as mails are kept.
        ours = conversation_of(reference.partition("@")[0])
        if any(conversation.id == ours and conversation.live for conversation in conversations):
            return Correlated(ours, "thread reference")
        if ours in past:
            if (joined := _holding(conversations, ours)) is not None:
                return Correlated(joined, "thread reference")
            relation = Relation(kind=RelationKind.CONTINUES, conversation=ours, reason="answers a message of it")
            return Correlated("", "thread reference to a closed conversation", relation)
    return None


def _holding(conversations: Sequence[Conversation], origin: str) -> str | None:
    """The live conversation that a closed one was joined into."""
    for conversation in conversations:
        if conversation.live and any(o == origin for i in conversation.interactions for o, _ in i.origins):
            return conversation.id
    return None


def _by_session(conversations: Sequence[Conversation], event: InboundEvent, now_ms: int) -> Correlated | None:
    match event.data:
        case MessageArrived() | InteractionBegan() | InteractionStopped() as said:
            session = said.session
        case ActivityArrived():
            return _by_ongoing(conversations, event, now_ms)
        case DeliveryReport():
            return None
    if not session:
        return None
    for conversation in conversations:
        for interaction in conversation.interactions:
            if interaction.session == session and interaction.account == event.account and conversation.live:
                return Correlated(conversation.id, "session")
    for conversation in conversations:
        over = said_in(conversation, event) if not conversation.live else None
        if over is not None and not _is_news(conversation, over, event, now_ms):
            return Correlated(conversation.id, "said in a contact of it that is over")
    return None


def _is_news(conversation: Conversation, over: Interaction, event: InboundEvent, now_ms: int) -> bool:
    """Whether somebody has to look at what was said in a contact that is over, of a closed conversation: it was said
    when that was done already, or was on its way as the closing ended the contact. A machine's answer is no news."""
    if isinstance(event.data, MessageArrived) and event.data.automatic:
        return False
    ended_by_it = over.end_reason == CLOSING or not over.ended_at_ms
    on_its_way = ended_by_it and now_ms - event.time_ms <= PROMPT_MS
    return on_its_way or 0 < conversation.resolved_at_ms < event.time_ms


def _by_ongoing(conversations: Sequence[Conversation], event: InboundEvent, now_ms: int) -> Correlated | None:
    """Where the newest call or chat goes on of which an activity, such as a choice in a menu, is part: it names no
    session."""
    own = event.identities[0] if event.identities else ""
    going_on = [
        (contact.last_at_ms, conversation.id)
        for conversation in conversations
        if conversation.live
        for contact in conversation.interactions
        if contact.session and not contact.ended_at_ms and now_ms - contact.last_at_ms <= SILENT_MAX_MS
        if (contact.account, contact.channel, contact.identity) == (event.account, event.channel, own)
    ]
    return Correlated(max(going_on)[1], "session") if going_on else None


def _by_openness(live: Sequence[Conversation]) -> Correlated | None:
    match live:
        case []:
            return None
        case [only]:
            return Correlated(only.id, "the open conversation")
        case _:
            newest = max(live, key=lambda c: (c.updated_at_ms, c.id))
            return Correlated(newest.id, "the newest open conversation")


def _after_the_last(past: Sequence[str]) -> Correlated:
    if not past:
        return _FIRST
    relation = Relation(kind=RelationKind.FOLLOWS_UP, conversation=past[-1], reason="the customer's next contact")
    return Correlated("", "no conversation is open", relation)


# What it is about


def _by_key(asked: Asked) -> Correlated | None:
    if not asked.tags.keys:
        return None
    for conversation in asked.open:
        if conversation.tags is not None and (key := one_matter(asked.tags, conversation.tags, asked.rules.broad_keys)):
            return Correlated(conversation.id, f"both name {spoken(key)}")
    return None


def _by_topic(asked: Asked) -> Correlated | None:
    for conversation in asked.open:
        known = conversation.tags
        if known is None or not (topic := same(asked.tags.topic, known.topic)):
            continue
        if not other_key(asked.tags, known):
            return Correlated(conversation.id, f"the same topic: {topic}")
    for conversation in asked.open:
        known = conversation.tags
        if known is None or not (intent := same(asked.tags.intent, known.intent)):
            continue
        if not differ(asked.tags, known):
            return Correlated(conversation.id, f"the same intent: {intent}")
    return None


# Time


def _by_window(asked: Asked) -> Correlated | None:
    rules = asked.rules
    joinable = asked.open
    if rules.other_topic == "new":
        joinable = [c for c in joinable if not differ(asked.tags, c.tags)]
    if not rules.windows and rules.unlisted == "join":
        return _by_openness(joinable)
    for conversation in joinable:
        if (reason := _window_reason(conversation, asked)) is not None:
            return Correlated(conversation.id, reason)
    return None


def _window_reason(conversation: Conversation, asked: Asked) -> str | None:
    """Why the event is in a window of the conversation; None where it is in none."""
    later = asked.event.channel
    for interaction in reversed(conversation.interactions):
        window = _window(asked.rules.windows, interaction.channel, later)
        passed_ms = asked.now_ms - interaction.last_at_ms
        if window is None:
            if asked.rules.unlisted == "join":
                return f"the open conversation; no window is given for {interaction.channel} → {later}"
        elif abs(passed_ms) <= window.within_ms:
            within = f"{interaction.channel} → {later} within {spell(window.within_ms)}"
            order = "after the contact before" if passed_ms >= 0 else "before the contact after"
            return f"{within}: {spell(abs(passed_ms))} {order}"
    return None


def glimpsed(glimpse: Glimpse | None, channel: str, rules: CorrelationRules, now_ms: int) -> Tags | None:
    """What a contact on `channel` that begins now is likely to be about; None without a window for that."""
    if glimpse is None:
        return None
    window = _window(rules.windows, glimpse.channel, channel)
    return glimpse.tags if window is not None and 0 <= now_ms - glimpse.at_ms <= window.within_ms else None


def _window(windows: Sequence[Window], earlier: str, later: str) -> Window | None:
    for window in windows:
        if window.earlier in (ANY, earlier) and window.later in (ANY, later):
            return window
    return None


# A new one


def _new(asked: Asked) -> Correlated:
    relation = relation_of(asked)
    if relation is None:
        return _FIRST
    if asked.open:
        return Correlated("", "no open conversation has its topic, or a window for it", relation)
    if asked.resolved:
        return Correlated("", "the conversation before is resolved", relation)
    return Correlated("", "no conversation is open", relation)
