"""About: what contacts are about, as facts of a conversation: tags and repeat contacts. Pure."""

from collections.abc import Sequence

from actors.conversation import Conversation, interaction_of
from actors.correlation import Past, repeats
from actors.policy import Policy
from actors.rules.taxonomy import Taxonomy
from actors.tagging import news
from protocol.commands import TagInteraction
from protocol.entities import Interaction, Relation, RelationKind, Status, Tag, Tags
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, InteractionTagged, RepeatContactFound
from protocol.inbound import InboundEvent, InteractionBegan, MessageArrived

DETAIL_MAX = 120
NAME_MAX = 128


def tagged(interaction: int, known: Tags | None, found: Tags, actor: str, now_ms: int) -> list[AnyEvent]:
    """The event that says what is new in `found`; none where nothing is."""
    new = news(known, found)
    if not (new.topic or new.intent or new.product_line or new.segment or new.keys):
        return []
    return [
        InteractionTagged(
            at_ms=now_ms,
            actor=actor,
            interaction=interaction,
            topic=new.topic,
            intent=new.intent,
            product_line=new.product_line,
            segment=new.segment,
            keys=list(new.keys),
        )
    ]


def after_contact(
    state: Conversation,
    number: int,
    event: InboundEvent,
    found: Tags,
    relation: Relation | None,
    remembered: Sequence[Past],
    others: Sequence[Conversation],
    policy: Policy,
    now_ms: int,
    said_ms: int,
) -> list[AnyEvent]:
    """What an inbound event of interaction `number`, said at `said_ms`, says about what the conversation is about.
    `state` is the one before the event, `relation` what it has from now on; `remembered` are the customer's closed
    ones, the newest last, and `others` those that are not closed yet, among which it may be."""
    interaction = interaction_of(state, number)
    tags = tagged(number, interaction.tags if interaction else None, found, "system", now_ms)
    if found.topic is None or not policy.correlation.repeat_within_ms:
        return tags
    return tags + _repeat(state, number, event, found, relation, remembered, others, policy, now_ms, said_ms)


def _repeat(
    state: Conversation,
    number: int,
    event: InboundEvent,
    found: Tags,
    relation: Relation | None,
    remembered: Sequence[Past],
    others: Sequence[Conversation],
    policy: Policy,
    now_ms: int,
    said_ms: int,
) -> list[AnyEvent]:
    assert found.topic is not None
    rules = policy.correlation
    spoke = isinstance(event.data, MessageArrived | InteractionBegan)
    if state.status is Status.RESOLVED and state.tags is not None and spoke:
        # The same conversation, opened again.
        back = repeats(state.id, state.tags, state.resolved_at_ms, found, rules, said_ms)
        resolved_at_ms = state.resolved_at_ms
        if back is not None:
            return [_found(state.id, number, event, found.topic, resolved_at_ms, None, None, now_ms)]
    if state.tags is not None and state.tags.topic is not None:
        return []  # It was looked at when its topic became known.
    for past in reversed([*remembered, *_done(others)]):
        back = repeats(past.conversation, past.tags, past.resolved_at_ms, found, rules, said_ms)
        if back is not None and past.conversation != state.id:
            changes = relation is None or relation.kind is RelationKind.FOLLOWS_UP
            now, before = (back, relation) if changes else (None, None)
            resolved_at_ms = past.resolved_at_ms
            return [_found(past.conversation, number, event, found.topic, resolved_at_ms, now, before, now_ms)]
    return []


def _done(conversations: Sequence[Conversation]) -> list[Past]:
    """Those that are done, and not closed yet: they are in none of the lists of what is over."""
    return [
        Past(each.id, each.tags, each.resolved_at_ms)
        for each in conversations
        if each.status is Status.RESOLVED and each.tags is not None
    ]


def _found(
    earlier: str,
    number: int,
    event: InboundEvent,
    topic: Tag,
    resolved_at_ms: int,
    relation: Relation | None,
    previous: Relation | None,
    now_ms: int,
) -> AnyEvent:
    return RepeatContactFound(
        at_ms=now_ms,
        actor="system",
        interaction=number,
        earlier=earlier,
        topic=topic.value,
        resolved_at_ms=resolved_at_ms,
        channel=event.channel,
        relation=relation,
        previous=previous,
    )


def tag(state: Conversation, asked: TagInteraction, taxonomy: Taxonomy, actor: str, now_ms: int) -> list[AnyEvent]:
    """An agent says what an interaction is about. Where the policy has a taxonomy, a name must be of it."""
    interaction = _asked_for(state, asked.interaction)
    if asked.classified and now_ms - interaction.last_at_ms > taxonomy.classify_within_ms:
        raise Refusal(Code.NOT_ALLOWED_NOW, f"too late: answers count for {taxonomy.classify_within_ms} ms")
    found = Tags(
        topic=_said(asked.topic, "topic", asked, taxonomy, actor),
        intent=_said(asked.intent, "intent", asked, taxonomy, actor),
        product_line=_said(asked.product_line, "product_line", asked, taxonomy, actor),
        segment=_said(asked.segment, "segment", asked, taxonomy, actor),
    )
    if found == Tags():
        raise Refusal(Code.INVALID, "nothing is said: give a topic, intent, product_line or segment", field="topic")
    events = tagged(interaction.number, interaction.tags, found, actor, now_ms)
    if not events:
        raise Refusal(Code.NOT_ALLOWED_NOW, "that is known of the interaction already, or outweighed by what is")
    return events


def _asked_for(state: Conversation, number: int) -> Interaction:
    found = interaction_of(state, number) if number else (state.interactions[-1] if state.interactions else None)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"no interaction {number} in {state.id} that can be tagged", field="interaction")
    return found


def _said(name: str, dimension: str, asked: TagInteraction, taxonomy: Taxonomy, actor: str) -> Tag | None:
    if not name:
        return None
    known = taxonomy.labels(dimension)
    if known and name not in known:
        raise Refusal(Code.INVALID, f"{dimension} is one of {', '.join(known)}", field=dimension)
    if len(name) > NAME_MAX or not name.isprintable():
        raise Refusal(Code.INVALID, f"{dimension} must be printable and at most {NAME_MAX} characters", field=dimension)
    who = actor.partition(":")[2]
    matched = f"{who}: {asked.evidence[:DETAIL_MAX]}" if asked.evidence else who
    return Tag(value=name, tagger="classifier" if asked.classified else "agent", matched=matched)
