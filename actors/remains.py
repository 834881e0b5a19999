"""Remains: what retention left of a conversation, as a load meets it. Pure.

    journaled   1 opened   2 … 5 said and done   6 closed   7 tagged
    left        1 opened   3 FactDropped         6 closed   7 tagged      → over, and known by its id alone

A snapshot may be older than what retention took: of a member that was released it is as old as the merge. What it says
of the conversation is void with the facts that followed it. The offer it shows was answered since, the message it
holds has left, and its words are what was to be dropped.
"""

from actors.conversation import Conversation
from actors.journey import Journey
from protocol.entities import Status
from protocol.events import AnyEvent, FactDropped


def skip_to(state: Journey, stream: str, seq: int, event: AnyEvent) -> None:
    """The next fact of `stream` that is left is `event`, at `seq`. Where facts before it, or what it said itself, were
    taken, nothing is known of the conversation any more but the numbers that it had, and that it is over."""
    conversation = state.conversation(stream)
    if conversation is None or (seq == conversation.head + 1 and type(event) is not FactDropped):
        return
    bare = Conversation(
        id=stream,
        customer=conversation.customer,
        head=seq - 1,
        # Its closing may be among the facts that follow.
        status=Status.OPEN if conversation.live else Status.CLOSED,
        updated_at_ms=conversation.updated_at_ms,
        policy=conversation.policy,
    )
    # It keeps its place: what is forgotten, and when, does not depend on what retention took.
    state.kept = tuple(bare if each is conversation else each for each in state.kept)
