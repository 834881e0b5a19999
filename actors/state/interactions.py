"""Interactions: how facts change the contacts of a conversation, and what it is about by them.

The first contact says where we speak, as long as nothing else does: before it may leave, that is noted in `spoken`.
Contacts that time ends are looked at when the first of them rests (`Conversation.rest_at_ms`).
"""

from collections.abc import Iterable, Sequence
from copy import copy
from sys import intern

from actors.state.conversation import Conversation, Spoken, interaction_of, name_speakers, resting
from actors.tags.tagging import merged
from protocol.entities import Interaction, Tags
from protocol.events import (
    InteractionEnded,
    InteractionMoved,
    InteractionReceived,
    InteractionStarted,
    InteractionTagged,
    InteractionWentOn,
)

INTERACTIONS_MAX = 32
"""Contacts of a live conversation. Ended ones leave memory; the archive has them."""


def start(state: Conversation, event: InteractionStarted) -> None:
    """A contact began."""
    state.interaction_count = event.interaction
    started = Interaction(
        number=event.interaction,
        # A few words that all conversations share: each is kept once.
        channel=intern(event.channel),
        account=intern(event.account),
        identity=event.identity,
        direction=event.direction,
        started_at_ms=event.at_ms,
        last_at_ms=event.at_ms,
        session=event.session,
        reason=intern(event.reason),
        before=event.before,
        rest_at_ms=event.rest_at_ms,
    )
    state.interactions = (*state.interactions, started)
    _bound(state)
    _set_rest(state)


def end(state: Conversation, event: InteractionEnded) -> None:
    """A contact is over."""
    if interaction := interaction_of(state, event.interaction):
        interaction.ended_at_ms, interaction.end_reason = event.at_ms, intern(event.reason)
        _set_rest(state)


def go_on(state: Conversation, event: InteractionWentOn) -> None:
    """A contact was heard meanwhile, and rests later."""
    if interaction := interaction_of(state, event.interaction):
        interaction.rest_at_ms = event.rest_at_ms
        _set_rest(state)


def tag(state: Conversation, event: InteractionTagged) -> None:
    """What a contact is about became known, and so what the conversation is about."""
    found = Tags(
        topic=event.topic,
        intent=event.intent,
        product_line=event.product_line,
        segment=event.segment,
        keys=tuple(event.keys),
    )
    if interaction := interaction_of(state, event.interaction):
        interaction.tags = merged(interaction.tags, found)
    # A classifier's answer about a contact may come when the next one has said what they want by now.
    state.tags = merged(state.tags, found, later=_is_latest(interaction, state.interactions))


def take_out(state: Conversation, event: InteractionMoved) -> None:
    """A contact belongs to another conversation."""
    # Where we speak is not where the first of the others was.
    state.spoken = state.spoken or Spoken(channel=state.channel)
    _part(state, [i for i in state.interactions if i.number == event.interaction])
    _set_rest(state)
    # What it was about may have left with the interaction.
    state.tags = None
    before: list[Interaction] = []
    for interaction in state.interactions:
        if interaction.tags is not None:
            state.tags = merged(state.tags, interaction.tags, later=_is_latest(interaction, before))
        before.append(interaction)


def put_in(state: Conversation, event: InteractionReceived) -> None:
    """A contact that began in another conversation belongs to this one."""
    if state.interactions:
        state.spoken = state.spoken or Spoken(channel=state.channel)
    received = (*state.interactions, copy(event.interaction))
    state.interactions = tuple(sorted(received, key=lambda interaction: interaction.number))
    state.interaction_count = max(state.interaction_count, event.interaction.number)
    _bound(state)
    _set_rest(state)
    if event.interaction.tags is not None:
        later = _is_latest(event.interaction, state.interactions)
        state.tags = merged(state.tags, event.interaction.tags, later=later)


def _bound(state: Conversation) -> None:
    if len(state.interactions) > INTERACTIONS_MAX:
        # The first contact may leave, and says where we speak as long as nothing else does.
        state.spoken = state.spoken or Spoken(channel=state.channel)
        ended = next((old for old in state.interactions[:-1] if old.ended_at_ms), state.interactions[0])
        _part(state, [ended])


def _part(state: Conversation, leaving: Sequence[Interaction]) -> None:
    """These contacts are not in memory here any more; what was said in them still says who said it."""
    if state.context:
        state.context = name_speakers(state, leaving)
    if state.subject and not state.subject_by:
        state.subject_by = next((each.identity for each in leaving if each.number == 1), "")
    gone = {each.number for each in leaving}
    state.interactions = tuple(each for each in state.interactions if each.number not in gone)


def _set_rest(state: Conversation) -> None:
    state.rest_at_ms = min((each.rest_at_ms for each in resting(state)), default=0)


def _is_latest(interaction: Interaction | None, others: Iterable[Interaction]) -> bool:
    """Whether none of the others was spoken in after it; one that is no longer in memory is not the latest."""
    return interaction is not None and all(each.last_at_ms <= interaction.last_at_ms for each in others)
