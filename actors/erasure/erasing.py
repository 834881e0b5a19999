"""Erasing: what becomes of a customer's facts when the person is to be forgotten. Pure.

What happened stays, for statistics: each event keeps its place, type, times, and the words that are ours (channel,
queue, status …, `KEPT`). All else that is text, bytes or a list is emptied, also in events of a type this file never
heard of: a new field is forgotten unless it is named here. The archive afterwards is what a rebuild from the redacted
journal would make.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Raw, Struct

from actors.archive.projection import entries_of, project
from actors.commands import delivery
from actors.decisions import once
from actors.handoffs import withdrawing
from actors.identity import disputes, linking
from actors.state.journey import Journey
from protocol.archive import Changes, StoredEvent
from protocol.entities import IdentityLink, Tag, Tags
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    ConversationClosed,
    CustomerErased,
    CustomerGiven,
    CustomerMerged,
    CustomerReleased,
    CustomerReturned,
    IdentityUnlinked,
    InputErased,
    InputQuarantined,
    InteractionMoved,
    InteractionTagged,
    QuarantineReplayed,
)
from protocol.ids import ACCOUNT, conversation_of
from protocol.journal import Entry, Freed, Record

KEPT = frozenset(
    {
        *("at_ms", "actor", "once", "policy", "customer", "conversation", "other", "quarantine", "delivery"),
        *("channel", "account", "direction", "queue", "owner", "previous", "kind", "evidence", "code", "status"),
        *("from_channel", "to_channel", "by", "rule", "key", "keys", "required", "missing", "sensitivity", "side"),
        *("earlier", "came_from", "origins", "began_in", "correction", "earlier_channel", "tagger"),
        *(
            "members",
            "giver",
            "continuity",
            "name",
            "topic",
            "intent",
            "product_line",
            "segment",
            "team",
            "template",
            "protocol",
        ),
    }
)
"""Fields whose text is ours: ids we made, and words of the policy, of the settings and of people's work."""
OURS = ("agent:", "queue:")
"""How a `to` begins that is one of us: an offer's; a message's is the customer's address."""
NAMING = (Tags, InteractionTagged, InteractionMoved)
"""Whose `keys` are numbers of the customer's claims and contracts, and no words of the policy."""
FORGOTTEN = frozenset({"value", "form"})
"""Fields that are forgotten whatever they hold, as what is made of words; elsewhere a number or a truth is no name."""

OF_OTHERS = ("action", "quarantine", "channel_switch")
"""Tables in which a fact makes a row of its own, also one of the person in another's stream."""

Place = tuple[str, int]
"""An event's stream and seq."""
Told = tuple[str, int, str]
"""Identity, time and actor of a link, or of its end."""

_encode = msgspec.msgpack.Encoder().encode
_from_json = msgspec.json.Decoder(AnyEvent).decode


def decide(
    state: Journey, actor: str, reason: str, now_ms: int, on_their_way: Sequence[str] = ()
) -> list[tuple[str, AnyEvent]]:
    """The facts of the act: what is open is closed, then the person is forgotten. `on_their_way` are messages to them
    that are to leave from others' conversations.

    Raises `Refusal` where a message to them is on its way: it would be lost without a word, or leave after all.
    """
    for each in on_their_way:
        text = (
            f"a message to this customer is on its way from {conversation_of(each)}, which is another's by now "
            "(throughline outbox list): let it leave"
        )
        raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=state.customer)
    if any(delivery.in_line(conversation) for conversation in state.kept):
        text = (
            "a message to this customer is on its way (throughline outbox list): let it leave, or give it up with the "
            "address it is for, on the running server, by throughline customer unlink"
        )
        raise Refusal(Code.NOT_ALLOWED_NOW, text, ref=state.customer)
    facts: list[tuple[str, AnyEvent]] = []
    for conversation in state.kept:
        if conversation.live:
            closed: withdrawing.Decided = [(conversation.id, ConversationClosed(at_ms=now_ms, actor=actor))]
            facts += withdrawing.withdrawn_by(conversation, closed, actor, now_ms)
    facts.append((state.customer, CustomerErased(at_ms=now_ms, actor=actor, reason=reason)))
    return [(stream, redacted(fact)) for stream, fact in facts]


def freed(
    state: Journey, names: Collection[str], mentions: Iterable[StoredEvent], once_keys_ms: int, now_ms: int
) -> Freed | None:
    """What whoever gets one of these addresses next is to know: that what came to this customer came before, and
    neither where nor to whom; so did what accounts refused that names them, in whatever form it is taken by then. None
    where nothing came that may come again."""
    keys = b""
    for packed in (*linking.keys_of(state).values(), _refused_by_accounts(mentions)):
        keys = once.united(keys, once.anyones(packed, (now_ms - once_keys_ms) // 1000))
    if not keys:
        return None
    until_ms = once.newest_s(keys) * 1000 + once_keys_ms
    return Freed(sorted(names), msgspec.msgpack.encode({disputes.FORGOTTEN: keys}), until_ms)


def _refused_by_accounts(mentions: Iterable[StoredEvent]) -> bytes:
    """The once-keys of refused inputs, by which their sources send them again. An account keeps each payload under one
    of its own, the exclusive or of that and of the payload's digest: what fitted nothing has no form yet."""
    keys = b""
    for mention in mentions:
        event = _from_json(mention.body) if mention.stream.startswith(ACCOUNT) else None
        if isinstance(event, InputQuarantined) and event.once is not None and event.id:
            keys = once.united(keys, once.in_any_form(event.once.key ^ event.once.digest, event.at_ms // 1000))
    return keys


def redacted(event: AnyEvent) -> AnyEvent:
    """The event without what could be of the person."""
    if isinstance(event, CustomerErased | InputErased):
        return event
    known: AnyEvent = _redacted(event)
    return known


class Addresses(Struct, kw_only=True, frozen=True):
    """Whose the addresses are that facts of merges name: it decides which of them stay there."""

    names: Collection[str] = frozenset()
    """The person's, or nobody's since they were."""
    ever: Collection[str] = frozenset()
    """All that were ever the person's, also what came back to them with others, and what is another's by now."""
    brought: Collection[Told] = frozenset()
    """The ends, in the person's stream, of links that had come to them with others, who were merged into them."""
    told: Collection[Told] = frozenset()
    """Links by which any of these were others', which those others' own facts go on telling."""


NO_ADDRESSES = Addresses()


def redacted_own(event: AnyEvent, of: Addresses = NO_ADDRESSES) -> AnyEvent:
    """An event of who is forgotten. Of those who were merged with them it still says whose an address is, and that one
    they brought went: their own stream says that it came to them, and nobody else's that it is theirs no more. What was
    the person's own does not come back in it: that it went once more is not said any more."""
    match event:
        case CustomerReturned():
            links = [link for link in event.links if link.identity not in of.ever or _is_told(link, of)]
            return redacted_mention(msgspec.structs.replace(event, links=links), of)
        case CustomerGiven() | CustomerMerged() | CustomerReleased():
            return redacted_mention(event, of)
        case IdentityUnlinked() if (event.identity, event.at_ms, event.actor) in of.brought:
            return msgspec.structs.replace(event, reason="")
        case _:
            return redacted(event)


def redacted_mention(event: AnyEvent, of: Addresses = NO_ADDRESSES) -> AnyEvent:
    """Another's event without what is of the person. What a merge brought or took of others stays: their own affairs
    are folded from it. So does the end of a link that is told to have been another's, of an address that became the
    person's: else whoever had it meanwhile would seem to have it still."""
    match event:
        case CustomerMerged():
            identities = [each for each in event.identities if each not in of.names]
            return msgspec.structs.replace(event, identities=identities, reason="")
        case CustomerReleased() | CustomerReturned():
            links = [link for link in event.links if link.identity not in of.names or _is_told(link, of)]
            kept: AnyEvent = msgspec.structs.replace(event, links=links)
            return msgspec.structs.replace(kept, reason="") if isinstance(kept, CustomerReleased) else kept
        case CustomerGiven():
            return msgspec.structs.replace(event, reason="")  # To whom it was given is whose its affairs were.
        case QuarantineReplayed() | InputErased():
            return event  # Where it came in is nobody's name; nor is who erased it, and why.
        case _:
            return redacted(event)


def _is_told(link: IdentityLink, of: Addresses) -> bool:
    return (link.identity, link.at_ms, link.actor) in of.told


def redacted_record(
    record: Record, streams: Collection[str], places: Collection[Place], of: Addresses = NO_ADDRESSES
) -> Record:
    """The unit with its events of these streams redacted, and at these places what is of the person, whose addresses
    are `of`; the others as they are. Nor does it assign any of the names."""
    identities = [each for each in record.identities if each not in of.names]
    changed = len(identities) < len(record.identities)
    entries = []
    for stream, seq, event in entries_of(record):
        fitting = stream in streams or (stream, seq) in places
        changed = changed or fitting
        if fitting:
            event = redacted_own(event, of) if stream in streams else redacted_mention(event, of)
        entries.append(Entry(stream, seq, Raw(_encode(event))))
    if not changed:
        return record
    return msgspec.structs.replace(record, body=_encode(entries), identities=identities)


def changes(
    customer: str,
    own: Sequence[StoredEvent],
    mentions: Sequence[StoredEvent],
    of: Addresses = NO_ADDRESSES,
) -> Changes:
    """What the archive has of the customer from now on: all events, of which the bodies are new, and all rows, anew.

    `mentions` are events of others that name the customer: of their rows what changes."""
    stays = _stored(own, lambda event: redacted_own(event, of))
    made = project([_record(customer, position, [*group]) for position, group in groupby(stays, _position)])
    # Their own rows go anyway; what was unlinked of them may be another's by now.
    own_patches = [patch for patch in made.patches if patch.table != "identity"]
    made = msgspec.structs.replace(made, patches=own_patches)
    if not mentions:
        return made
    stored = sorted(_stored(mentions, lambda event: redacted_mention(event, of)), key=_position)
    records = [(event.stream.startswith(ACCOUNT), _record(event.stream, event.position, [event])) for event in stored]
    of_others = [project([record]) for of_account, record in records if not of_account]
    # What was quarantined has one row, which all its facts make together.
    if quarantined := [record for of_account, record in records if of_account]:
        of_others.append(project(quarantined))
    patches = [msgspec.structs.replace(patch, new=False) for one in of_others for patch in one.patches]
    return msgspec.structs.replace(
        made,
        events=[*made.events, *(row for one in of_others for row in one.events)],
        patches=[*made.patches, *(patch for patch in patches if patch.table in OF_OTHERS)],
    )


def changes_of_input(facts: Sequence[StoredEvent]) -> Changes:
    """What the archive has from now on of one input that an account refused, by all facts of it."""
    stored = _stored(facts, redacted_mention)
    made = project([_record(event.stream, event.position, [event]) for event in stored])
    return msgspec.structs.replace(made, patches=[msgspec.structs.replace(patch, new=False) for patch in made.patches])


def _stored(events: Iterable[StoredEvent], redact: Callable[[AnyEvent], AnyEvent]) -> list[StoredEvent]:
    return [msgspec.structs.replace(event, body=_encode(redact(_from_json(event.body)))) for event in events]


def _record(customer: str, position: int, events: list[StoredEvent]) -> Record:
    entries = [Entry(event.stream, event.seq, Raw(event.body)) for event in events]
    return Record(position, customer, 0, [], len(entries), _encode(entries))


def _position(event: StoredEvent) -> int:
    return event.position


def _redacted(value: Struct) -> Any:
    if isinstance(value, Tag):  # Its value is a name of the policy's taxonomy, found by words of theirs.
        return msgspec.structs.replace(value, matched="")
    fields = {name: _emptied(name, getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, NAMING):
        fields["keys"] = type(value.keys)()
    return msgspec.structs.replace(value, **fields)


def _emptied(name: str, value: Any) -> Any:
    if name in FORGOTTEN:
        return None
    if (name in KEPT and not isinstance(value, Struct)) or isinstance(value, Enum):
        return value
    match value:
        case str() if name == "to" and value.startswith(OURS):
            return value
        case str() | bytes() | list() | tuple() | dict():
            return type(value)()
        case Struct():
            return _redacted(value)
        case _:
            return value
