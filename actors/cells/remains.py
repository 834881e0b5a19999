"""Remains: what retention left of a conversation, as a load meets it. Pure.

    journaled   1 opened   2 … 5 said and done   6 closed   7 … 9 confirmed   10 tagged
    left        1 opened   3 FactDropped         6 closed   9 FactDropped     10 tagged
                                                                              → over, and known by its id alone

The snapshots with words of it go with the facts. One that is taken afterwards by a cell that had the conversation in
memory all the while has it as a load would: an offer it shows may have been answered since, a message it holds has
left, and its words are what was to be dropped.
"""

from collections.abc import Set

from actors.identity import mixed
from actors.identity.merging import family_of
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from protocol.entities import Status
from protocol.events import AnyEvent, FactDropped


def skip_to(state: Journey, stream: str, seq: int, event: AnyEvent) -> None:
    """The next fact of `stream` that is left is `event`, at `seq`. Where facts before it, or what it said itself, were
    taken, nothing is known of the conversation any more but the numbers that it had, and that it is over."""
    conversation = state.conversation(stream)
    if conversation is None:
        _leave_out(state, stream, seq, event)
        return
    if seq == conversation.head + 1 and type(event) is not FactDropped:
        return
    bare = _bare(conversation, seq - 1)
    # It keeps its place: what is forgotten, and when, does not depend on what retention took.
    state.kept = tuple(bare if each is conversation else each for each in state.kept)


def words(state: Journey) -> tuple[str, ...]:
    """The conversations of which memory has anything that retention takes."""
    whole = [conversation.id for conversation in state.kept if conversation.whole]
    if (family := family_of(state)) is not None:
        whole += [id for id, _ in family.packed]
    if state.aside is None:
        return tuple(whole)
    over = (*(id for id, _ in state.aside.left), *(past.conversation for past in state.aside.remembered))
    return tuple(dict.fromkeys((*whole, *over)))


def forget(state: Journey, dropped: Set[str]) -> None:
    """Retention dropped these conversations: of each the id and its number of facts stay, as after a load."""
    state.kept = tuple(_bare(each, each.head) if each.id in dropped else each for each in state.kept)
    if (family := family_of(state)) is not None:
        family.packed = tuple(each for each in family.packed if each[0] not in dropped)
    if state.aside is not None:
        state.aside.left = tuple(each for each in state.aside.left if each[0] not in dropped)
        remembered = tuple(past for past in state.aside.remembered if past.conversation not in dropped)
        state.aside.remembered = remembered


def _leave_out(state: Journey, stream: str, seq: int, event: AnyEvent) -> None:
    """Of a conversation that has left memory nothing is kept any more where facts of it were taken."""
    family = family_of(state)
    if family is None or (packed := mixed.find(family, stream)) is None:
        return
    if packed.head + 1 != seq or type(event) is FactDropped:
        family.packed = tuple(each for each in family.packed if each[0] != stream)


def _bare(conversation: Conversation, head: int) -> Conversation:
    return Conversation(
        id=conversation.id,
        customer=conversation.customer,
        head=head,
        # Its closing may be among the facts that follow.
        status=Status.OPEN if conversation.live else Status.CLOSED,
        updated_at_ms=conversation.updated_at_ms,
        policy=conversation.policy,
    )
