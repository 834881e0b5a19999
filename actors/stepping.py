"""Stepping: what a live journey makes of one message, without an await between deciding and recording.

A decision's events are encoded here, once: these bytes go to the journal, to watchers, and into the state's recent
events. They gather in the journey's open step; the reply that is returned waits for that step's commit.
"""

from typing import assert_never

import msgspec
from msgspec import Raw

from actors import conversation as conversations
from actors import deciding, recent, telling
from actors import journey as journeys
from actors.conversation import RELISTING
from actors.deciding import TimerDue
from actors.decision import Decision, decided_under
from actors.journey import Journey
from actors.lines import Line
from actors.live import Given, Live, Promise, Step
from actors.policy import Policy
from actors.watching import Watchers
from protocol.entities import CustomerView
from protocol.errors import Code, Refusal
from protocol.events import DeliveryAttempted, DeliveryDead, DeliveryFailed, DeliverySent, DeliveryUncertain
from protocol.journal import Entry
from protocol.links import (
    AnyFromCell,
    Ask,
    CustomerRead,
    Input,
    Outcome,
    Quarantine,
    ReadCustomer,
    Refused,
    Unlinked,
    UnwatchConversation,
    WatchConversation,
    Watched,
)

_encode = msgspec.msgpack.Encoder().encode

EFFECTIVE = frozenset((DeliveryAttempted, DeliverySent, DeliveryFailed, DeliveryUncertain, DeliveryDead))
"""The facts after whose commit the outlet has something to do outside."""

Reply = AnyFromCell | Promise


class Later(Exception):
    """The message is decided under another version of the policy than the open step was: once that is committed."""


def step(live: Live, given: Given, watchers: Watchers, policy: Policy, now_ms: int) -> Reply | None:
    """Steps a journey that is in memory with one message; returns the reply, None where nobody waits for one.

    Raises `Later`, with nothing changed, where the message has to wait for the open step's commit."""
    journey, message = live.journey, given.message
    assert journey is not None
    match message:
        case Input() | Quarantine() | Ask() | Outcome():
            try:
                decision = deciding.decide(journey, message, policy, now_ms)
            except Refusal as exc:
                return Refused(message.ref, exc.code, exc.message, exc.field)
            if decision.stray:
                return Unlinked(message.ref, decision.stray, journey.customer, decision.apart)
            stream, seq = _record(live, journey, decision, policy)
            # An outcome that came too late decides nothing and repeats nothing; it was heard, all the same.
            status = decision.status if decision.events or decision.repeats else "repeat"
            return Promise(message.ref, status, stream, seq, _owns(journey, message), decision.why)
        case WatchConversation():
            return _watch(journey, message, given.line, watchers)
        case UnwatchConversation():
            if given.line is not None:
                watchers.unwatch(message.conversation, given.line)
            return None
        case ReadCustomer():
            return CustomerRead(message.ref, _customer_view(journey, message.channel, policy))
        case TimerDue():
            _record(live, journey, deciding.decide(journey, message, policy, now_ms), policy)
            return None
        case _:
            assert_never(message)


def _record(live: Live, journey: Journey, decision: Decision, policy: Policy) -> tuple[str, int]:
    """Applies a decision and puts it in the open step; returns the place of its first event, or of what it repeats."""
    if not decision.events:
        return decision.repeats or ("", 0)
    version = _name_policy(journey, decision, policy)
    if live.open is None:
        live.open = Step(at_ms=decision.events[0][1].at_ms, policy=version)
    elif live.open.policy != version:
        raise Later
    into, first = live.open, len(live.open.entries)
    for stream, event in decision.events:
        kind = type(event)
        if kind in RELISTING:
            _note_lists(live, journey, stream)
        if kind in EFFECTIVE:
            into.effects.append((stream, event))
        encoded = _encode(event)
        journeys.evolve(journey, stream, event, encoded)
        into.entries.append(Entry(stream, journey.head_of(stream), Raw(encoded)))
        into.bytes += len(encoded)
    if decision.identities or decision.released:
        _assign(into, decision)
    return into.entries[first].stream, into.entries[first].seq


def _name_policy(journey: Journey, decision: Decision, policy: Policy) -> int:
    """Sees to it that the decision's first event names the version it was made under; returns that."""
    stream, first = decision.events[0]
    if first.policy:
        return first.policy
    version = decided_under(journey, decision, policy)
    decision.events[0] = (stream, msgspec.structs.replace(first, policy=version))
    return version


def _assign(into: Step, decision: Decision) -> None:
    """A unit assigns, and then releases: what it released and assigns again has never left."""
    for identity in decision.identities:
        stays = [each for each in into.released if each[0] != identity]
        if len(stays) == len(into.released):
            into.identities.append(identity)
        into.released = stays
    into.inherits += decision.inherits
    into.released += decision.released
    into.bytes += sum(len(keys) for _, keys in decision.released)


def _note_lists(live: Live, journey: Journey, stream: str) -> None:
    """Notes the lists a conversation stands in before a fact that may change them, until its watchers are told.

    All of them, not the first alone: who lists one of them whole from the archive between two commits has it there."""
    conversation = journey.conversation(stream)
    lists = conversations.lists_of(conversation) if conversation else ()
    listed = live.listed or {}
    noted = listed.get(stream, ())
    live.listed = {**listed, stream: (*noted, *(name for name in lists if name not in noted))}


def _watch(journey: Journey, asked: WatchConversation, line: Line | None, watchers: Watchers) -> AnyFromCell:
    conversation = journey.conversation(asked.conversation)
    if conversation is None:
        message = f"no live conversation {asked.conversation}; what is over is read over HTTP"
        return Refused(asked.ref, Code.NOT_FOUND, message)
    if line is not None:
        watchers.watch(conversation.id, line)
    events = conversations.suffix(conversation, asked.seq) if asked.seq >= 0 else None
    view = None
    if events is None:
        view, events = conversations.view(conversation, journey.identities), recent.events(conversation.recent)
    return Watched(asked.ref, conversation.id, conversation.head, view, [Raw(event) for event in events])


def _customer_view(journey: Journey, channel: str, policy: Policy) -> CustomerView | None:
    if not journey.head:
        return None
    live = [c for c in journey.kept if c.live]
    views = [conversations.view(c, journey.identities) for c in live]
    return telling.customer_view(journey, views, channel=channel, policy=policy)


def _owns(journey: Journey, message: Input | Quarantine | Ask | Outcome) -> bool:
    """Whether all identities of an inbound event are the customer's."""
    if not isinstance(message, Input):
        return False
    return all(map(journey.has, message.event.identities))
