"""Stepping: what a live journey makes of one message, without an await between deciding and recording.

A decision's events are encoded here, once: these bytes go to the journal, to watchers, and into the state's recent
events. They gather in the journey's open step; the reply that is returned waits for that step's commit.
"""

from typing import assert_never

import msgspec
from msgspec import Raw

from actors import telling
from actors.cells import belonging
from actors.cells.belonging import Reload
from actors.cells.live import Envelope, Live, Promise, Step
from actors.cells.loading import Settling
from actors.decisions import deciding
from actors.decisions.deciding import TimerDue
from actors.decisions.decision import Decision, decided_under
from actors.identity import merging
from actors.lines import Line
from actors.rules.policy import Policy
from actors.state import journey as journeys
from actors.state import recent
from actors.state.conversation import Conversation, suffix
from actors.state.journey import Journey
from actors.way_out import conversation_views
from actors.way_out.conversation_views import RELISTING
from actors.way_out.watching import Watchers
from protocol.entities import CustomerView
from protocol.errors import Code, Refusal, shown
from protocol.events import (
    ConversationClosed,
    CustomerReleased,
    DeliveryAttempted,
    DeliveryDead,
    DeliveryFailed,
    DeliverySent,
    DeliveryUncertain,
)
from protocol.ids import customer_of
from protocol.journal import ADOPT, CLAIM, RELEASE, RETURN, Entry, FamilyStep
from protocol.links import (
    AnyFromCell,
    Ask,
    CustomerRead,
    Input,
    Outcome,
    Quarantine,
    ReadCustomer,
    Refused,
    Settle,
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
    """The message has to wait for the open step's commit: it is decided under another version of the policy, or is
    another form of an input from quarantine that the step takes in."""


def step(
    live: Live, envelope: Envelope, watchers: Watchers, policy: Policy, now_ms: int, *, checked: bool = False
) -> Reply | None:
    """Steps a journey that is in memory with one message; returns the reply, None where nobody waits for one.

    Raises, with nothing changed, `Later` where the message has to wait for the open step's commit, and `Reload` where
    it has to wait for the journey to be loaded anew, unless that was done for it: `checked`."""
    journey, message = live.journey, envelope.message
    assert journey is not None
    if journey.disputes is not None:
        rehomed = belonging.elsewhere(journey, message, checked=checked)
        if rehomed is not None:
            return rehomed
    match message:
        case Input() | Quarantine() | Ask() | Outcome():
            try:
                decision = deciding.decide(journey, message, policy, now_ms)
            except Refusal as exc:
                return Refused(message.ref, exc.code, exc.message, exc.field)
            if decision.stray:
                if not checked and not decision.apart:
                    raise Reload  # Whose it is may have given itself to this customer.
                return Unlinked(message.ref, decision.stray, journey.customer, decision.apart)
            stream, seq = _record(live, journey, decision, policy)
            # An outcome that came too late decides nothing and repeats nothing; its sender need not say it again.
            status = decision.status if decision.events or decision.repeats else "repeat"
            return Promise(message.ref, status, stream, seq, _owns(journey, message), decision.why, decision.merge)
        case WatchConversation():
            return _watch(journey, message, envelope.line, watchers)
        case UnwatchConversation():
            # When it changed hands its watches here ended; a newer one may have come by way of who has it now.
            if envelope.line is not None and not belonging.changed_hands(journey, message.conversation):
                watchers.unwatch(message.conversation, envelope.line)
            return None
        case Settle():
            return belonging.settle(journey, message, checked=checked)
        case ReadCustomer():
            return CustomerRead(message.ref, _customer_view(journey, message.channel, policy))
        case TimerDue():
            if merging.given_of(journey) is not None:
                return None
            _record(live, journey, deciding.decide(journey, message, policy, now_ms), policy)
            return None
        case _:
            assert_never(message)


def take_in(live: Live, settling: Settling, policy: Policy, now_ms: int) -> None:
    """The first thing that a loaded journey does: what the journal says of merges that it has to know of."""
    journey, told = live.journey, settling.told
    assert journey is not None
    if settling.released is not None:
        back = merging.returned(settling.released, told, now_ms)
        step = FamilyStep(RETURN, journey.customer, told.other, told.turn)
        _record(live, journey, Decision([(journey.customer, back)], family=[step]), policy)
        # List watchers were told nothing of what the other did meanwhile: any of these may stand in other lists now,
        # and has left the other's own.
        back_again = [each for each in journey.kept if each.whole]
        others = f"customer:{told.other}"
        live.listed = {each.id: (*_possible_lists(each), others) for each in back_again}
        live.unlisted = tuple(each.id for each in back_again)
        return
    assert settling.other is not None
    merged = merging.adopt(settling.other, told, now_ms)
    step = FamilyStep(ADOPT, told.other, journey.customer, told.turn)
    decision = Decision([(journey.customer, merged)], family=[step])
    # Their rows in lists have another customer from now on, and have left the list of the one they had.
    theirs = {each.id: conversation_views.lists_of(each) for each in settling.other.kept if each.whole}
    _record(live, journey, decision, policy, joining=settling.other)
    live.listed = {**(live.listed or {}), **theirs}
    live.unlisted = tuple(dict.fromkeys((*live.unlisted, *theirs)))


def _record(
    live: Live, journey: Journey, decision: Decision, policy: Policy, joining: Journey | None = None
) -> tuple[str, int]:
    """Applies a decision and puts it in the open step; returns the place of its first event, or of what it repeats."""
    if not decision.events:
        return decision.repeats or ("", 0)
    version = _name_policy(journey, decision, policy)
    if live.open is None:
        live.open = Step(at_ms=decision.events[0][1].at_ms, policy=version)
    elif live.open.policy != version or _is_claimed(live.open, decision):
        raise Later
    into, first, closing = live.open, len(live.open.entries), []
    for stream, event in decision.events:
        kind = type(event)
        if kind in RELISTING:
            _note_lists(live, journey, stream)
        if kind in EFFECTIVE:
            into.effects.append((stream, event))
        if kind is ConversationClosed:
            # One that closed before may leave memory for it while list watchers still have to hear of that.
            untold = live.listed or {}
            closing += [each for each in journey.kept if each.id == stream or (not each.live and each.id in untold)]
        if isinstance(event, CustomerReleased):
            # Those that leave go with it, and only this cell can tell list watchers what they were not told yet.
            untold = live.listed or {}
            into.gone += [each for each in journey.kept if each.id in untold and customer_of(each.id) in event.members]
        encoded = _encode(event)
        seq = journeys.evolve(journey, stream, event, encoded, joining)
        into.entries.append(Entry(stream, seq, Raw(encoded)))
        into.bytes += len(encoded)
    if decision.identities or decision.released:
        _assign(into, decision)
        # A member's identity that is linked again is the customer's own from then on. In one unit with its release it
        # would never have left the member, and nobody would own it once the two are two again.
        into.sealed = into.sealed or bool(decision.released and merging.family_of(journey))
    if decision.family:
        _change_family(into, decision)
    if closing:
        left = {each.id: each for each in closing if journey.conversation(each.id) is None}
        into.gone += left.values()
    answer = into.entries[decision.place if decision.place < 0 else first + decision.place]
    return answer.stream, answer.seq


def _name_policy(journey: Journey, decision: Decision, policy: Policy) -> int:
    """Sees to it that the decision's first event names the version it was made under; returns that."""
    stream, first = decision.events[0]
    if first.policy:
        return first.policy
    version = decided_under(journey, decision, policy)
    decision.events[0] = (stream, msgspec.structs.replace(first, policy=version))
    return version


def _is_claimed(into: Step, decision: Decision) -> bool:
    """Whether the step takes in another form of the same input: the journal has to say so of the next one."""
    return any(each.startswith(CLAIM) and each in into.identities for each in decision.identities)


def _assign(into: Step, decision: Decision) -> None:
    """Adds the decision's identities to the step's. A unit assigns first and releases then, so one that the step
    releases and the decision assigns again has never left."""
    for identity in decision.identities:
        stays = [each for each in into.released if each[0] != identity]
        if len(stays) == len(into.released):
            into.identities.append(identity)
        into.released = stays
    into.inherits += decision.inherits
    into.released += decision.released
    into.bytes += sum(len(keys) for _, keys in decision.released)


def _change_family(into: Step, decision: Decision) -> None:
    """Adds the steps of merges that the decision is, and who leaves by them."""
    into.family += decision.family
    # Whose the leaving identities are is known when this is committed: nothing more is decided on a guess before.
    into.sealed = into.sealed or any(each.step == RELEASE for each in decision.family)
    into.left += [id for _, event in decision.events if isinstance(event, CustomerReleased) for id in event.members]


def _note_lists(live: Live, journey: Journey, stream: str) -> None:
    """Notes the lists a conversation stands in before a fact that may change them, until its watchers are told.

    All of them, not only those before the first fact: whoever lists a queue from the archive between two commits finds
    the conversation there."""
    conversation = journey.conversation(stream)
    lists = conversation_views.lists_of(conversation) if conversation else ()
    listed = live.listed or {}
    noted = listed.get(stream, ())
    live.listed = {**listed, stream: (*noted, *(name for name in lists if name not in noted))}


def _possible_lists(conversation: Conversation) -> tuple[str, ...]:
    """The lists in which an open conversation stands, or is offered."""
    owner = (f"owner:{conversation.owner}",) if conversation.owner else ()
    offered: tuple[str, ...] = ()
    if (handoff := conversation.handoff) is not None:
        kind, _, name = handoff.to.partition(":")
        offered = (f"owner:{name}",) if kind == "agent" else (handoff.to,)
    return tuple(dict.fromkeys((f"customer:{conversation.customer}", f"queue:{conversation.queue}", *owner, *offered)))


def _watch(journey: Journey, asked: WatchConversation, line: Line | None, watchers: Watchers) -> AnyFromCell:
    conversation = journey.conversation(asked.conversation)
    if conversation is None or not conversation.whole:
        message = f"no live conversation {shown(asked.conversation)}; what is over is read over HTTP"
        return Refused(asked.ref, Code.NOT_FOUND, message)
    if line is not None:
        watchers.watch(conversation.id, line)
    events = suffix(conversation, asked.seq) if asked.seq >= 0 else None
    view = None
    if events is None:
        view, events = conversation_views.view(conversation, journey.identities), recent.events(conversation.recent)
    return Watched(asked.ref, conversation.id, conversation.head, view, [Raw(event) for event in events])


def _customer_view(journey: Journey, channel: str, policy: Policy) -> CustomerView | None:
    if not journey.head:
        return None
    live = [c for c in journey.kept if c.live]
    views = [conversation_views.view(c, journey.identities) for c in live]
    return telling.customer_view(journey, views, channel=channel, policy=policy)


def _owns(journey: Journey, message: Input | Quarantine | Ask | Outcome) -> bool:
    """Whether all identities of an inbound event are the customer's."""
    if not isinstance(message, Input):
        return False
    return all(map(journey.has, message.event.identities))
