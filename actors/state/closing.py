"""Closing: what of a conversation stays in its customer's journey when it is over. Pure.

    the newest that closed          whole, as `kept` has them
    those before                    what another may take along (`actors.context.carrying`), as a few bytes; of several
                                    people who are one customer also what taking apart asks for
                                    (`actors.identity.mixed`)
    all of them, up to a bound      the id, and what it was about: a later contact may follow or repeat it

The order is that of closing. One that was imported closed when its file says, before what is here already.
"""

from typing import TYPE_CHECKING

from actors.context import carrying
from actors.identity import merging, mixed
from actors.inbound import importing
from actors.inbound.relating import Past
from actors.state.conversation import Conversation
from actors.state.evolving import evolve as evolve_conversation
from protocol.events import (
    AnyEvent,
    ContextSet,
    ContextWithdrawn,
    ConversationClosed,
    CorrelationCorrected,
    InteractionMoved,
)

if TYPE_CHECKING:
    from actors.state.journey import Journey

CLOSED_MAX = 4
"""Closed conversations kept whole, for watchers who come back to read the end."""
PAST_MAX = 64
"""Ids of closed conversations kept for relations."""
REMEMBERED_MAX = 16
"""Closed conversations whose topic is remembered: a contact repeats one of the last, or none."""

CORRECTING = (InteractionMoved, ContextSet, ContextWithdrawn, CorrelationCorrected)
"""What happens in a conversation that has left memory: an unmerge takes it apart."""


def retire(state: "Journey", closed: Conversation, event: ConversationClosed) -> None:
    """Puts a conversation that closes among those that are over; the excess leaves memory."""
    place = len(state.past)
    while event.reason == importing.IMPORTED and place and _closed_after(state, state.past[place - 1], event.at_ms):
        place -= 1
    state.past = (*state.past[:place], closed.id, *state.past[place:])[-PAST_MAX:]
    if closed.tags is not None:
        remember(state, closed)
    # In the order of closing: the one that closes now is the last to go.
    over = [past for past in state.past if state.conversation(past) is not None]
    if excess := over[: max(0, len(over) - CLOSED_MAX)]:
        _forget(state, [conversation for conversation in state.kept if conversation.id in excess])


def remember(state: "Journey", closed: Conversation) -> None:
    """Notes what it was about, in the order of closing; or corrects that, where it is known better now."""
    about = {past.conversation: past for past in state.remembered}
    about.pop(closed.id, None)
    if closed.tags is not None:
        about[closed.id] = Past(closed.id, closed.tags, closed.resolved_at_ms)
    state.set_aside().remembered = tuple(about[id] for id in state.past if id in about)[-REMEMBERED_MAX:]


def _closed_after(state: "Journey", past: str, at_ms: int) -> bool:
    conversation = state.conversation(past)
    return conversation is not None and conversation.updated_at_ms > at_ms


def _forget(state: "Journey", leaving: list[Conversation]) -> None:
    """Takes these out of memory, but for what another conversation may take along from them."""
    for conversation in leaving:
        if packed := carrying.pack(conversation):
            aside = state.set_aside()
            aside.left = (*aside.left, (conversation.id, packed))[-carrying.KEPT_MAX :]
    if (family := merging.family_of(state)) is not None:
        for conversation in leaving:
            mixed.leave(state, family, conversation)
    gone = {conversation.id for conversation in leaving}
    state.kept = tuple(conversation for conversation in state.kept if conversation.id not in gone)


def correct(state: "Journey", stream: str, event: AnyEvent, encoded: bytes) -> None:
    """An unmerge corrects a conversation that has left memory: what is kept of it, and what may come along from it."""
    assert isinstance(event, CORRECTING), f"{type(event).__name__} for {stream}, which is not in memory"
    family = merging.family_of(state)
    conversation = mixed.find(family, stream)
    if family is not None and conversation is not None:
        evolve_conversation(conversation, event, encoded)
        mixed.evolve(family, conversation)
    if state.aside is None:
        return
    if isinstance(event, carrying.Correction):
        state.aside.left = tuple(
            (id, carrying.corrected(packed, event) if id == stream else packed) for id, packed in state.aside.left
        )
    if isinstance(event, InteractionMoved) and conversation is not None:
        remember(state, conversation)
    elif isinstance(event, InteractionMoved):
        # What its other contacts were about is not known here.
        state.aside.remembered = tuple(past for past in state.aside.remembered if past.conversation != stream)
