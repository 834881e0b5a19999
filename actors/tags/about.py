"""About: what contacts are about, as facts of a conversation: tags and repeat contacts. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from actors.inbound.relating import Past, repeats
from actors.rules.correlation import CorrelationRules
from actors.rules.taxonomy import Taxonomy
from actors.state.conversation import Conversation, interaction_of
from actors.tags.tagging import news
from protocol.commands import TagInteraction
from protocol.entities import Interaction, Relation, RelationKind, Status, Tag, Tags
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, InteractionTagged, RepeatContactFound
from protocol.events.event import SYSTEM
from protocol.inbound import InboundEvent, InteractionBegan, MessageArrived

DETAIL_MAX = 120
NAME_MAX = 128


class _PerhapsRepeat(Struct, kw_only=True, frozen=True, gc=False):
    """The question whether a contact repeats one that was resolved."""

    conversation: Conversation
    """The conversation that the contact came to, as it was before."""
    interaction: int
    event: InboundEvent
    found: Tags
    topic: Tag
    """The topic in `found`."""
    relation: Relation | None
    """The conversation's relation to an earlier one, as it is with this contact."""
    rules: CorrelationRules
    said_ms: int
    """When it was said: of replayed input that may be long before `now_ms`."""
    now_ms: int

    def repeats(self, past: Past) -> Relation | None:
        """Its relation to an earlier conversation, where it repeats that one's topic."""
        return repeats(past.conversation, past.tags, past.resolved_at_ms, self.found, self.rules, self.said_ms)

    def is_repeat(self, past: Past, relation: Relation | None = None, previous: Relation | None = None) -> AnyEvent:
        """The event that the contact repeats `past`. With `relation`, the conversation gets that in place of
        `previous`."""
        return RepeatContactFound(
            at_ms=self.now_ms,
            actor=SYSTEM,
            interaction=self.interaction,
            earlier=past.conversation,
            topic=self.topic.value,
            resolved_at_ms=past.resolved_at_ms,
            channel=self.event.channel,
            relation=relation,
            previous=previous,
        )


def tagged(interaction: int, known: Tags | None, found: Tags, *, actor: str, now_ms: int) -> list[AnyEvent]:
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


def is_said_already(state: Conversation, number: int, found: Tags) -> bool:
    """Whether it is known of interaction `number` what `found` says, and decided whether it repeats another: as with
    most messages after the first. Then `after_contact` says nothing."""
    if state.tags is None or state.tags.topic is None or state.status is Status.RESOLVED:
        return False
    interaction = interaction_of(state, number)
    return interaction is not None and interaction.tags == found


def after_contact(
    state: Conversation,
    number: int,
    event: InboundEvent,
    *,
    found: Tags,
    relation: Relation | None,
    remembered: Sequence[Past],
    others: Sequence[Conversation],
    rules: CorrelationRules,
    said_ms: int,
    now_ms: int,
) -> list[AnyEvent]:
    """The facts on what the conversation is about that follow from an inbound event of interaction `number`, which was
    said at `said_ms`. `state` is the conversation before the event, `relation` its relation with it; `remembered` are
    the customer's closed conversations, the newest last; `others` those that are not closed, this one perhaps too."""
    interaction = interaction_of(state, number)
    known = interaction.tags if interaction else None
    tags = tagged(number, known, found, actor=SYSTEM, now_ms=now_ms)
    if found.topic is None or not rules.repeat_within_ms:
        return tags
    has_topic = state.tags is not None and state.tags.topic is not None
    if has_topic and state.status is not Status.RESOLVED:
        return tags  # Whether it repeats another was decided when its topic became known.
    perhaps = _PerhapsRepeat(
        conversation=state,
        interaction=number,
        event=event,
        found=found,
        topic=found.topic,
        relation=relation,
        rules=rules,
        said_ms=said_ms,
        now_ms=now_ms,
    )
    repeat = _of_itself(perhaps) if has_topic else _of_another(perhaps, remembered, others)
    return [*tags, repeat] if repeat is not None else tags


def _of_itself(perhaps: _PerhapsRepeat) -> AnyEvent | None:
    """The event where the conversation was resolved, and the customer's word opens it again."""
    state = perhaps.conversation
    if state.tags is None or not isinstance(perhaps.event.data, MessageArrived | InteractionBegan):
        return None
    past = Past(state.id, state.tags, state.resolved_at_ms)
    return perhaps.is_repeat(past) if perhaps.repeats(past) is not None else None


def _of_another(perhaps: _PerhapsRepeat, remembered: Sequence[Past], others: Sequence[Conversation]) -> AnyEvent | None:
    """The event where the contact repeats another conversation: the newest that is closed or resolved."""
    relation = perhaps.relation
    for past in reversed([*remembered, *_done(others)]):
        if (back := perhaps.repeats(past)) is not None:
            changes = relation is None or relation.kind is RelationKind.FOLLOWS_UP
            return perhaps.is_repeat(past, back, relation) if changes else perhaps.is_repeat(past)
    return None


def _done(conversations: Sequence[Conversation]) -> list[Past]:
    """Those that are resolved and not closed yet, which no journey remembers as over."""
    return [
        Past(each.id, each.tags, each.resolved_at_ms)
        for each in conversations
        if each.status is Status.RESOLVED and each.tags is not None
    ]


def tag(state: Conversation, asked: TagInteraction, taxonomy: Taxonomy, actor: str, now_ms: int) -> list[AnyEvent]:
    """The facts of an agent's word on what an interaction is about. Where the policy has a taxonomy, a name must be of
    it. Raises `Refusal`."""
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
    events = tagged(interaction.number, interaction.tags, found, actor=actor, now_ms=now_ms)
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
