"""The journey: a customer's live conversations and what is known of the past ones, as one unit of decision.

    evolve(state, stream, event, encoded) -> seq          how each fact changes it, in place

What an input does to it is decided in `actors.decisions.deciding`. A stream is a conversation's id or the customer's
own. The once-keys of what came in are part of the state, so that a repeat is recognised by the actor alone, for as long
as the policy says.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, field

from actors.commands import delivery
from actors.context import carrying
from actors.context.carrying import Kept
from actors.decisions.once import OnceKeys, Seen, elsewhere
from actors.handoffs import handing_over
from actors.identity import disputes, merging, mixed
from actors.identity.disputes import Disputes
from actors.identity.members import home_of
from actors.inbound import importing
from actors.inbound.correlation import Glimpse
from actors.inbound.relating import Past
from actors.own_streams import findings
from actors.own_streams.findings import Findings
from actors.rules.policy import Policy
from actors.state import closing, recent
from actors.state.conversation import Conversation
from actors.state.evolving import evolve as evolve_conversation
from protocol.commands.quarantine import form_of
from protocol.entities import IdentityLink
from protocol.events import (
    ActivitySeen,
    AnyEvent,
    ConversationClosed,
    ConversationOpened,
    CustomerErased,
    CustomerGiven,
    CustomerMerged,
    CustomerReleased,
    CustomerReturned,
    FactDropped,
    FindingChanged,
    FindingCompared,
    FindingDismissed,
    FindingOpened,
    IdentityConflictFound,
    IdentityLinked,
    IdentityReviewClosed,
    IdentityUnlinked,
    InputErased,
    InputQuarantined,
    InteractionMoved,
    InteractionTagged,
    PastImported,
    PolicyApplied,
    QuarantineReplayed,
    ReplayBegun,
    ReplayRefused,
    ReportMade,
)

REPLAYED_MAX = 256
"""Quarantined inputs of one customer known to have come in after all; the oldest go."""


class Aside(Struct, kw_only=True):
    """What most customers have nothing of: kept apart, since each field costs every live journey eight bytes."""

    replayed: tuple[str, ...] = ()
    """Quarantined inputs that came in after all."""
    replaying: tuple[str, ...] = ()
    """Those that are about to, each in one form: another one has to wait until that is in or refused."""
    forms: dict[str, int] = {}
    """By those: `form_of` what each was begun with. Replaced, never changed; whose merge ended has forgotten it."""
    before: bytes = b""
    before_count: int = 0
    """The newest activities since no conversation was open (see `actors.state.recent`): the next may begin so."""
    remembered: tuple[Past, ...] = ()
    glimpse: Glimpse | None = None
    findings: Findings | None = None
    """Of the pseudo-customer `report` alone."""
    left: tuple[tuple[str, bytes], ...] = ()
    """Closed conversations that left memory, and of each what another may take along (`actors.context.carrying`)."""


class Journey(Struct, kw_only=True, gc=False):
    """The state. `head` is the seq of the newest event in the customer's own stream. `gc=False`: see `Conversation`."""

    customer: str
    head: int = 0
    links: tuple[IdentityLink, ...] = ()
    """Its identities, and why each is this customer's. Tuples where most customers have none or one: an empty list
    costs 56 bytes, the empty tuple nothing, and a dict of one 144 more than a tuple of one."""
    kept: tuple[Conversation, ...] = ()
    """Its live conversations, and the last that closed, in the order of opening."""
    opened: int = 0
    """Conversations ever opened."""
    past: tuple[str, ...] = ()
    """Ids of those that are over, in the order of closing."""
    once: OnceKeys = field(default_factory=OnceKeys)
    aside: Aside | None = None
    disputes: Disputes | None = None
    """Of its identities: None where there never was one."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Its identities, in the order of their links."""
        return tuple([link.identity for link in self.links])

    @property
    def conversations(self) -> Mapping[str, Conversation]:
        """Those that are kept, by id, to read in: made anew each time, and slower than `conversation` is."""
        return MappingProxyType({conversation.id: conversation for conversation in self.kept})

    def has(self, identity: str) -> bool:
        """Whether it is one of its identities."""
        for link in self.links:  # noqa: SIM110 - on every event's way, where a generator costs more than this
            if link.identity == identity:
                return True
        return False

    def conversation(self, id: str) -> Conversation | None:
        """The one with that id, while it is kept."""
        for conversation in self.kept:
            if conversation.id == id:
                return conversation
        return None

    @property
    def remembered(self) -> tuple[Past, ...]:
        """What the newest closed conversations were about, of those that were about something."""
        return self.aside.remembered if self.aside else ()

    @property
    def glimpse(self) -> Glimpse | None:
        """What the customer looked at last while nothing was open."""
        return self.aside.glimpse if self.aside else None

    def set_aside(self) -> Aside:
        """What most customers have nothing of, to be written to: made where there was none."""
        if self.aside is None:
            self.aside = Aside()
        return self.aside

    def kept_of(self, conversation: str) -> Kept | None:
        """What a new conversation may take along from an earlier one; None where memory has nothing of it."""
        if (found := self.conversation(conversation)) is not None:
            kept = carrying.of_conversation(found)
        elif packed := next((b for id, b in self.aside.left if id == conversation), b"") if self.aside else b"":
            kept = carrying.unpack(packed)
        else:
            return None
        family = self.disputes.family if self.disputes else None
        # What left memory was not looked at where customers were unmerged.
        return carrying.own(kept, {self.customer, *(family.members if family else ())}, self.kept)

    def head_of(self, stream: str) -> int:
        """The newest seq of one of its streams; 0 for a stream that does not exist yet."""
        if stream == self.customer:
            return self.head
        conversation = self.conversation(stream) or mixed.find(self.disputes.family if self.disputes else None, stream)
        return conversation.head if conversation else 0


def evolve(state: Journey, stream: str, event: AnyEvent, encoded: bytes, other: "Journey | None" = None) -> int:
    """Applies the next fact of `stream`, in place, and returns its seq: a conversation that closes by it may have left
    memory. `encoded` are its bytes, `other` is who is merged into it by it."""
    if stream == state.customer:
        seq = state.head = state.head + 1
        if other is not None:
            assert isinstance(event, CustomerMerged)
            merging.join(state, other, event)
        else:
            _evolve_own(state, event, encoded)
    else:
        seq = _evolve_in(state, stream, event, encoded)
    if (once := event.once) is not None:
        home, keys = state.customer, state.once
        if (family := merging.family_of(state)) is not None and (theirs := home_of(stream, home)) in family.members:
            home, keys = theirs, family.members[theirs].once
        number = 0 if stream == state.customer else int(stream[len(home) + 1 :])
        keys.add(once.key, Seen(once.digest, event.at_ms // 1000, number, seq))
    return seq


def next_due_ms(state: Journey) -> int | None:
    """When a `TimerDue` next has something to decide."""
    due: list[int] = []
    if merging.given_of(state) is not None:
        return None  # It is another's to decide.
    for conversation in state.kept:
        if conversation.wake_at_ms:
            due.append(conversation.wake_at_ms)
        if conversation.rest_at_ms:
            due.append(conversation.rest_at_ms)
        # A closing waits for what still has to leave; the outcome's commit sets the alarm anew.
        if conversation.close_at_ms and not delivery.in_line(conversation):
            due.append(conversation.close_at_ms)
        if conversation.deliveries and (at := delivery.next_due_ms(conversation)) is not None:
            due.append(at)
        if conversation.handoff and (at := handing_over.next_due_ms(conversation)) is not None:
            due.append(at)
    return min(due) if due else None


def attempting(state: Journey) -> list[tuple[Conversation, str]]:
    """Deliveries under way: the conversation and the delivery's id."""
    if merging.given_of(state) is not None:
        return []
    return [(c, d.id) for c in state.kept for d in c.deliveries.values() if d.state == "attempting"]


def forget_old_keys(state: Journey, policy: Policy, now_ms: int) -> None:
    """Drops once-keys past their time. Not a fact: every reader of the journal may forget at another moment."""
    before_s = (now_ms - policy.once_keys_ms) // 1000
    state.once.forget_before(before_s)
    if (family := merging.family_of(state)) is not None:
        for member in family.members.values():
            member.once.forget_before(before_s)


def _end_replay(aside: Aside, quarantine: str) -> None:
    aside.replaying = tuple(id for id in aside.replaying if id != quarantine)
    aside.forms = {id: form for id, form in aside.forms.items() if id != quarantine}


def _evolve_own(state: Journey, event: AnyEvent, encoded: bytes) -> None:
    match event:
        case IdentityLinked() | IdentityUnlinked() | IdentityConflictFound() | IdentityReviewClosed():
            disputes.evolve(state, event)
        case ReplayBegun():
            aside = state.set_aside()
            aside.replaying = (*aside.replaying, event.quarantine)
            form = form_of(event.raw) if event.form is None else event.form
            aside.forms = {**aside.forms, event.quarantine: form}
            if event.input is not None:
                state.once.add(event.input.key, elsewhere(event.input.digest, event.at_ms // 1000))
        case ReplayRefused() | InputErased():
            _end_replay(state.set_aside(), event.quarantine)
        case QuarantineReplayed():
            aside = state.set_aside()
            _end_replay(aside, event.quarantine)
            aside.replayed = (*aside.replayed, event.quarantine)[-REPLAYED_MAX:]
        case ActivitySeen():
            aside = state.set_aside()
            aside.before, aside.before_count = recent.add(aside.before, aside.before_count, encoded)
            if event.tags is not None:
                aside.glimpse = Glimpse(event.tags, event.channel, event.at_ms)
        case InputQuarantined() | PolicyApplied() | PastImported():
            pass
        case CustomerGiven():
            merging.evolve_given(state, event)
        case CustomerReleased():
            merging.evolve_released(state, event)
        case CustomerReturned():
            merging.evolve_returned(state, event)
        case CustomerMerged():
            raise AssertionError(f"{event.other} is to be merged, and its state is not given")
        case ReportMade() | FindingOpened() | FindingChanged() | FindingCompared() | FindingDismissed():
            aside = state.set_aside()
            aside.findings = aside.findings or Findings()
            findings.evolve(aside.findings, event)
        case CustomerErased():
            state.links, state.kept, state.past, state.aside = (), (), (), None
            # Turns only count up: else whoever had this customer as a member once would take the next time for that
            # one.
            turn = state.disputes.turn if state.disputes is not None else 0
            state.disputes = Disputes(turn=turn) if turn else None
        case _:
            raise AssertionError(f"{type(event).__name__} is not an event of a customer's own stream")


def _evolve_in(state: Journey, stream: str, event: AnyEvent, encoded: bytes) -> int:
    conversation = state.conversation(stream)
    if conversation is None and not isinstance(event, ConversationOpened):
        if not isinstance(event, FactDropped):  # Nothing is known of what has left memory and was dropped since.
            closing.correct(state, stream, event, encoded)
        return state.head_of(stream)
    if conversation is None:
        conversation = Conversation(id=stream, customer=state.customer)
        state.kept = (*state.kept, conversation)
        _count(state, stream)
        if state.aside is not None and event.actor != importing.IMPORTED:
            state.aside.before, state.aside.before_count, state.aside.glimpse = b"", 0, None
    evolve_conversation(conversation, event, encoded)
    if type(event) is ConversationClosed:
        closing.retire(state, conversation, event)
    elif not conversation.live and isinstance(event, InteractionTagged | InteractionMoved):
        closing.remember(state, conversation)
    return conversation.head


def _count(state: Journey, opened: str) -> None:
    family = merging.family_of(state)
    member = family.members.get(home_of(opened, state.customer)) if family is not None else None
    if member is None:
        state.opened += 1
    else:
        member.opened += 1
