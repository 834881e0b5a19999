"""Moving: contacts go from one conversation to another, with what was known from them. Pure.

    InteractionMoved (there it was) → InteractionReceived (here it is) → what was said in it, with where it was said

The messages of a contact stay where they were said (`Interaction.origins`). One that comes home has its number again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy

import msgspec

from actors.context import knowing
from actors.context.switching import Change, switch, withhold
from actors.rules.policy import Policy
from actors.state import recent
from actors.state.context_items import Given, source_of, value_of, values_of
from actors.state.conversation import Conversation, interaction_of
from protocol.entities import ContextValue, Interaction
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    AutomaticReplyReceived,
    ContextRefused,
    ContextSet,
    DeliverySent,
    InteractionMoved,
    InteractionReceived,
    MessageQueued,
    MessageReceived,
)
from protocol.events.event import SYSTEM

ORIGINS_MAX = 16
"""How often one interaction may be moved: each time its messages are in one more place."""

_event = msgspec.msgpack.Decoder(AnyEvent).decode
Events = list[tuple[str, AnyEvent]]
"""By stream."""


Word = tuple[str, ContextValue]
"""A key, and what a source says of it."""
Whose = Callable[[ContextValue], bool]
"""Tells of a word that was said in a contact whether it is to be taken for that contact's: another may have said it."""


def anyones(_: ContextValue) -> bool:
    """All words of a contact are its own."""
    return True


def take_along(
    state: Conversation,
    fresh: Conversation,
    leaving: Sequence[Interaction],
    actor: str,
    policy: Policy,
    now_ms: int,
    *,
    before: Sequence[Word] = (),
    whose: Whose = anyones,
) -> Events:
    """The moves of these interactions to a conversation that was just opened, with what was said in them by `whose` it
    is; `before` are words that go with them, and were said earlier."""
    moved = moves(state, fresh, leaving, actor, now_ms)
    came = [event.interaction for _, event in moved if isinstance(event, InteractionReceived)]
    numbers = dict(zip([i.number for i in leaving], [i.number for i in came], strict=True))
    # What was said in them is known where they are from now on: nobody asks for it again. An unmerge withdraws it here.
    words_there = [*before, *_words_of(state, numbers, whose)]
    said = context_of(fresh, state, numbers, policy, now_ms, said=words_there, channel=came[-1].channel)
    return [*moved, *((fresh.id, event) for event in said)]


def elsewhere(
    state: Conversation,
    left: Sequence[Interaction],
    actor: str,
    policy: Policy,
    now_ms: int,
    *,
    again: Sequence[Word] = (),
) -> Events:
    """The switch to a channel that is left, where the one we spoke on has gone with its contacts. `again` are words
    that stand again before, where one that has gone had taken their place."""
    numbers = {each.number: each.number for each in left}
    given = [_given(state, key, value, numbers) for key, value in again]
    taken = knowing.take(state.context, given, policy.context, policy.version, now_ms)
    known, facts = taken.known, taken.facts
    # Nobody speaks any more where it is over.
    if state.live and left and state.channel not in {interaction.channel for interaction in left}:
        change = Change(
            origin=state.channel,
            target=left[-1].channel,
            interaction=left[-1].number,
            by="agent",
            actor=actor,
            reason="the contacts there were split off",
        )
        facts += switch(state, known, change, policy, now_ms)
    elif state.live and facts:
        facts += withhold(known, state.channel, state.withheld, policy, actor=SYSTEM, now_ms=now_ms)
    return [(state.id, event) for event in facts]


def overruled(state: Conversation, left: Sequence[Interaction], whose: Whose = anyones) -> list[Word]:
    """The newest words of the contacts that are left, by `whose` they are, where that source's word is by now one that
    goes: of a contact that does, or of somebody else."""
    stays = {each.number for each in left}
    gone = {each.number for each in state.interactions} - stays
    goes = {
        (item.key, source_of(value))
        for item in state.context.values()
        for value in values_of(item)
        if value.interaction in gone or (value.interaction in stays and not whose(value))
    }
    return [(key, value) for key, value in _words_of(state, stays, whose) if (key, source_of(value)) in goes]


def moves(
    state: Conversation,
    to: Conversation,
    leaving: Sequence[Interaction],
    actor: str,
    now_ms: int,
    *,
    all_references: bool = False,
) -> Events:
    """Each interaction leaves one stream and comes in the other."""
    events: Events = []
    left, there = list(state.interactions), list(to.interactions)
    number = to.interaction_count
    for interaction in leaving:
        home = next((n for stream, n in interaction.origins if stream == to.id), 0)
        number += 0 if home else 1
        moved = _at(interaction, state.id, to.id, home or number)
        left = [other for other in left if other is not interaction]
        there = sorted([*there, moved], key=lambda each: each.number)
        if all_references:
            references = list(state.references) if interaction is leaving[0] else []
        else:
            references = _references_of(state, interaction.number)
        away = InteractionMoved(
            at_ms=now_ms,
            actor=actor,
            interaction=interaction.number,
            to=to.id,
            number=moved.number,
            channel=left[-1].channel if left else "",
            references=references,
            keys=list(interaction.tags.keys) if interaction.tags else [],
        )
        come = InteractionReceived(
            at_ms=now_ms,
            actor=actor,
            interaction=moved,
            came_from=state.id,
            channel=there[-1].channel,
            references=references,
            gaps=[
                msgspec.structs.replace(gap, interaction=moved.number)
                for gap in state.missing
                if gap.interaction == interaction.number
            ],
        )
        events += [(state.id, away), (to.id, come)]
    return events


def _at(interaction: Interaction, came_from: str, to: str, number: int) -> Interaction:
    """The interaction as the other conversation has it."""
    origins = [origin for origin in interaction.origins if origin != (to, number)]
    origins.append((came_from, interaction.number))
    if len(origins) > ORIGINS_MAX:
        raise Refusal(Code.OVER_LIMIT, f"interaction {interaction.number} was moved {ORIGINS_MAX} times already")
    moved = copy(interaction)
    moved.number, moved.origins, moved.reason = number, tuple(origins), "an agent put it here"
    moved.began_in = began_in(interaction, came_from)
    return moved


def began_in(interaction: Interaction, conversation: str) -> str:
    """The conversation that an interaction of `conversation` began in. One that was moved before that was written down
    is taken for one that has not come home since."""
    return interaction.began_in or (interaction.origins[0][0] if interaction.origins else conversation)


def _references_of(state: Conversation, number: int) -> list[str]:
    """The thread references of an interaction's messages, as far as memory goes: an answer to an older one finds the
    conversation it was said in."""
    found: list[str] = []
    ours: set[str] = set()
    for encoded in recent.events(state.recent):
        match _event(encoded):
            case MessageQueued(interaction=of, delivery=delivery) if of == number:
                ours.add(delivery)
            case DeliverySent(delivery=delivery, external_id=reference) if delivery in ours and reference:
                found.append(reference)
            case MessageReceived(interaction=of, reference=reference) if of == number and reference:
                found.append(reference)
            case AutomaticReplyReceived(interaction=of, reference=reference) if of == number and reference:
                found.append(reference)
    return found


def context_of(
    state: Conversation,
    other: Conversation,
    numbers: Mapping[int, int],
    policy: Policy,
    now_ms: int,
    *,
    said: Sequence[Word] | None = None,
    channel: str = "",
) -> list[AnyEvent]:
    """Nothing known is lost: each source's word comes along with its provenance, unless the same source has said
    something newer here. `said` are the words, if not all. `channel` is where we speak here, before `state` knows."""
    here = {(item.key, source_of(value)): value.at_ms for item in state.context.values() for value in values_of(item)}
    given = [
        _given(other, key, value, numbers)
        for key, value in (words(other) if said is None else said)
        if here.get((key, source_of(value)), -1) < value.at_ms
    ]
    taken = knowing.take(state.context, given, policy.context, policy.version, now_ms)
    facts = taken.facts
    if refused := [fact.reason for fact in facts if isinstance(fact, ContextRefused)]:
        raise Refusal(Code.OVER_LIMIT, f"they cannot be one: {refused[0]}")
    if facts:
        facts += withhold(taken.known, channel or state.channel, state.withheld, policy, actor=SYSTEM, now_ms=now_ms)
    return facts


def subjects(state: Conversation) -> list[tuple[str, str]]:
    """The subjects of its messages, oldest first, each with the address that wrote it, as far as memory goes."""
    events = map(_event, recent.events(state.recent))
    written = [event for event in events if isinstance(event, MessageReceived | AutomaticReplyReceived)]
    return [(event.subject, event.identity) for event in written if event.subject]


def words(state: Conversation) -> list[Word]:
    """What is known in it: the newest of each source, those of one key in their order."""
    return [
        (item.key, value)
        for item in state.context.values()
        for value in sorted(values_of(item), key=lambda value: value.version)
    ]


def _words_of(state: Conversation, numbers: Collection[int], whose: Whose) -> list[Word]:
    """The same of these contacts alone: also what a newer one, of another contact, has taken the place of, as far as
    memory goes."""
    events = map(_event, recent.events(state.recent))
    said = [(event.key, value_of(event)) for event in events if isinstance(event, ContextSet)]
    newest = {
        (key, source_of(value)): value
        for key, value in (*said, *words(state))
        if value.interaction in numbers and whose(value)
    }
    return sorted(((key, value) for (key, _), value in newest.items()), key=lambda word: word[1].version)


def speaker_of(kept: Sequence[Conversation], key: str, value: ContextValue) -> str:
    """The identity of the contact in which a value was said that was carried over, wherever it is by now; empty where
    it was no contact's, or is no longer in memory."""
    earlier = next((each for each in kept if each.id == value.came_from), None)
    if earlier is None:
        return ""
    source, at_ms = source_of(value), value.at_ms
    events = map(_event, recent.events(earlier.recent))
    said = [(event.key, value_of(event)) for event in events if isinstance(event, ContextSet)]
    places = {
        (earlier.id, each.interaction)
        for of, each in (*said, *words(earlier))
        if of == key and (source_of(each), each.at_ms, each.came_from) == (source, at_ms, "")
    }
    contacts = (
        contact.identity
        for each in kept
        for contact in each.interactions
        if not places.isdisjoint([(each.id, contact.number), *contact.origins])
    )
    return next(contacts, "")


def _given(there: Conversation, key: str, value: ContextValue, numbers: Mapping[int, int]) -> Given:
    """A word of another conversation as this one gets it. Whose contact does not come along is named."""
    contact = None if value.interaction in numbers else interaction_of(there, value.interaction)
    return Given(
        key=key,
        value=value.value,
        actor=value.actor,
        channel=value.channel,
        interaction=numbers.get(value.interaction, 0),
        sensitivity=value.sensitivity,
        verified=value.verified,
        said_at_ms=value.at_ms,
        came_from=value.came_from,
        said_by=value.said_by or (contact.identity if contact else ""),
    )
