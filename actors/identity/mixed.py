"""Mixed: closed conversations of several customers who are one, when they leave memory. Pure.

    leaves memory ── keep ──▶ bytes, bounded ── again ──▶ what an unmerge takes apart, and corrects

What can be taken apart of a conversation is kept: its contacts, what is known in it and whose word that is. Nobody is
shown it, and nothing goes on in it. Of those that find no room the ids are kept alone: an unmerge names them.
"""

import zlib
from typing import TYPE_CHECKING

import msgspec

from actors.commands.moving import began_in
from actors.identity.members import MIXED_MAX, Family, home_of
from actors.state import context_items, recent
from actors.state.conversation import Conversation, Work, interaction_of
from protocol.entities import ContextValue, Interaction
from protocol.events import AnyEvent, AutomaticReplyReceived, ContextSet, MessageReceived

if TYPE_CHECKING:
    from actors.state.journey import Journey

PACKED_MAX = 32
"""Conversations of a customer and its members; of older ones the ids are kept."""
PACKED_BYTES_MAX = 4096
"""Of each, as it is kept. One of thirty contacts with as many words takes half of it."""

_encode = msgspec.msgpack.Encoder().encode
_conversation = msgspec.msgpack.Decoder(Conversation).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


def leave(state: "Journey", family: Family, leaving: Conversation) -> None:
    """Keeps what an unmerge will ask for of a conversation that leaves memory; nothing where it is all one person's."""
    if not _is_of_several(state, family, leaving):
        return
    packed = keep(leaving) if family.members else b""
    if not packed:
        family.mixed = (*family.mixed, leaving.id)[-MIXED_MAX:]
        return
    family.packed = (*family.packed, (leaving.id, packed))
    bound(family)


def bound(family: Family) -> None:
    """Of the conversations that are too many the ids stay."""
    gone = [id for id, _ in family.packed[:-PACKED_MAX]]
    family.packed = family.packed[-PACKED_MAX:]
    family.mixed = (*family.mixed, *gone)[-MIXED_MAX:]


def keep(conversation: Conversation) -> bytes:
    """The conversation as bytes, without what an unmerge does not ask for; empty where they are too many."""
    said = [kept for encoded in recent.events(conversation.recent) if (kept := _of_what_was_said(encoded))]
    for words in (said, []):
        packed = pack(_bare(conversation, words))
        if len(packed) <= PACKED_BYTES_MAX:
            return packed
    return b""


def _of_what_was_said(encoded: bytes) -> bytes:
    """An event as it is kept: a word that may have been taken the place of, or who wrote a subject; else nothing."""
    match event := _event(encoded):
        case ContextSet():
            return encoded
        case MessageReceived() | AutomaticReplyReceived() if event.subject:
            return _encode(msgspec.structs.replace(event, text="", attachments=[]))
        case _:
            return b""


def pack(conversation: Conversation) -> bytes:
    """As bytes, however many."""
    return zlib.compress(_encode(conversation))


def again(packed: bytes) -> Conversation:
    """The conversation that was kept."""
    return _conversation(zlib.decompress(packed))


def evolve(family: Family, changed: Conversation) -> None:
    """What is kept of a conversation is this from now on. It keeps its place, and may be longer than it was."""
    packed = pack(changed)
    family.packed = tuple((id, packed if id == changed.id else before) for id, before in family.packed)


def find(family: Family | None, conversation: str) -> Conversation | None:
    """The conversation, if it is kept."""
    packed = next((each for id, each in family.packed if id == conversation), b"") if family is not None else b""
    return again(packed) if packed else None


def _bare(conversation: Conversation, said: list[bytes]) -> Conversation:
    work = conversation.work
    bare = Work(resolved_at_ms=work.resolved_at_ms, carried=work.carried) if work is not None else None
    words, count = b"", 0
    for encoded in said:
        words, count = recent.add(words, count, encoded)
    return msgspec.structs.replace(
        conversation, references=(), deliveries={}, recent=words, recent_count=count, work=bare
    )


def _is_of_several(state: "Journey", family: Family, conversation: Conversation) -> bool:
    """Whether it has contacts or words of another customer than its own, is related to that one's, or has contacts that
    are forgotten."""
    own = home_of(conversation.id, state.customer)
    homes = {identity: id for id, member in family.members.items() for identity in member.identities}
    if conversation.interaction_count > len(conversation.interactions):
        return True
    if any(_is_from(state, homes, conversation, each) != own for each in conversation.interactions):
        return True
    carried = conversation.work.carried if conversation.work else None
    earlier = [each.conversation for each in (conversation.relation, carried) if each is not None]
    if any(home_of(each, state.customer) != own for each in earlier):
        return True
    return any(
        _whose(state, homes, conversation, said) != own
        for item in conversation.context.values()
        for said in context_items.values_of(item)
    )


def _is_from(state: "Journey", homes: dict[str, str], conversation: Conversation, contact: Interaction) -> str:
    """Whose contact it is, as `actors.identity.sides` says."""
    if contact.identity in homes or state.has(contact.identity):
        return homes.get(contact.identity, state.customer)
    return home_of(began_in(contact, conversation.id), state.customer)


def _whose(state: "Journey", homes: dict[str, str], conversation: Conversation, said: ContextValue) -> str:
    """Whose word it is; nobody's where that is not known, of what was carried over by an earlier program."""
    contact = interaction_of(conversation, said.interaction)
    speaker = said.said_by or (contact.identity if contact is not None else "")
    if speaker and state.has(speaker):
        return homes.get(speaker, state.customer)
    if said.came_from and not speaker:
        return ""
    return home_of(said.came_from or conversation.id, state.customer)
