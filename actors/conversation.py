"""The conversation: one issue of one customer across channels; its state, and how each fact changes it.

`evolve` is the only place where the state changes, and it never refuses: what was journaled happened. What may happen
is decided in `contact.py` (the customer's side), `commanding.py` (the agents' side) and `delivery.py` (the outbox).

    open ⇄ snoozed    open, snoozed → resolved → open, snoozed    resolved → closed (in time)
"""

from collections.abc import Sequence
from copy import copy
from sys import intern

from msgspec import Struct, field

from actors import handoff_states, knowing, recent
from actors.rules.taxonomy import DIMENSIONS
from actors.tagging import merged
from protocol.entities import (
    CarryOver,
    ContextItem,
    ConversationSummary,
    ConversationView,
    Delivery,
    Interaction,
    MissingField,
    Relation,
    Status,
    Tags,
)
from protocol.events import (
    ActivityCarried,
    ActivitySeen,
    AnyEvent,
    AutomaticReplyReceived,
    ChannelSwitched,
    ContextRefused,
    ContextSet,
    ContextWithheld,
    ConversationClosed,
    ConversationOpened,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationWoken,
    CorrelationCorrected,
    DeliveryAttempted,
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryFailed,
    DeliveryReplayed,
    DeliverySent,
    DeliveryUncertain,
    FactDropped,
    FieldMissing,
    HandoffAccepted,
    HandoffDeclined,
    HandoffExpired,
    HandoffOffered,
    HandoffWithdrawn,
    InteractionEnded,
    InteractionMoved,
    InteractionReceived,
    InteractionStarted,
    InteractionTagged,
    InteractionWentOn,
    MessageQueued,
    MessageReceived,
    NoteAdded,
    OwnerChanged,
    QueueChanged,
    RepeatContactFound,
)
from protocol.handoffs import Handoff

REFERENCES_MAX = 64
"""Thread references a conversation answers to; the oldest are forgotten, and then time and openness decide."""
INTERACTIONS_MAX = 32
DELIVERIES_MAX = 256
"""Bounds of a live conversation. Ended interactions leave memory (the archive has them); for undelivered messages a
command over the bound is refused. Those of context items are in `actors.knowing`."""


_NO_ITEMS: dict[str, ContextItem] = {}
_NO_DELIVERIES: dict[str, Delivery] = {}

RELISTING = frozenset(
    (
        ConversationOpened,
        OwnerChanged,
        QueueChanged,
        ConversationSnoozed,
        ConversationWoken,
        ConversationResolved,
        ConversationReopened,
        ConversationClosed,
        HandoffOffered,
        HandoffAccepted,
        HandoffDeclined,
        HandoffExpired,
        HandoffWithdrawn,
    )
)
"""The facts that may change what `lists_of` says."""


class Spoken(Struct, kw_only=True):
    """Where the customer and we speak, of a conversation that was on more than one channel."""

    channel: str
    withheld: tuple[str, ...] = ()
    """Keys of context items that by policy are not to be said there."""


class Work(Struct, kw_only=True):
    """What was done so far. Conversations that nobody has touched yet have none."""

    handoff: Handoff | None = None
    """The newest one, also when it is over: its lease counts the offers."""
    actions: int = 0
    """Replies, notes and resolutions."""
    resolutions: int = 0
    resolved_at_ms: int = 0
    """When it was last said to be done."""
    carried: CarryOver | None = None


class Conversation(Struct, kw_only=True, gc=False):
    """The live state. `head` is the seq of its newest event. Nothing in it refers back to it, so that the cyclic
    collector need not know of it: `gc=False` saves the walk, and 16 bytes."""

    id: str
    customer: str
    head: int = 0
    status: Status = Status.OPEN
    queue: str = ""
    owner: str = ""
    subject: str = ""
    opened_at_ms: int = 0
    updated_at_ms: int = 0
    until_ms: int = 0
    """When a snoozed one wakes, and a resolved one closes; 0 for any other."""
    relation: Relation | None = None
    policy: int = 0
    """The version of the policy it was opened under."""
    interactions: tuple[Interaction, ...] = ()
    """Oldest first. Replaced and never changed, as `context` is: a tuple of one takes half of what a list does."""
    interaction_count: int = 0
    context: dict[str, ContextItem] = field(default_factory=lambda: _NO_ITEMS)
    deliveries: dict[str, Delivery] = field(default_factory=lambda: _NO_DELIVERIES)
    """Undelivered outbound messages, oldest first. It and `context` are replaced, never changed: most conversations
    have neither, and share the empty ones."""
    references: tuple[str, ...] = ()
    """Thread references of its messages, oldest first."""
    missing: tuple[MissingField, ...] = ()
    """Fields that a capture template found missing, ever: none is asked for twice."""
    recent: bytes = b""
    """The newest events, ending with the one at `head` (see `actors.recent`)."""
    recent_count: int = 0
    spoken: Spoken | None = None
    """Most conversations are on one channel and withhold nothing: the first contact says where."""
    rest_at_ms: int = 0
    """When the first of its contacts may rest; 0: no time ends them."""
    tags: Tags | None = None
    """What it is about; None where nothing has said so."""
    work: Work | None = None

    @property
    def channel(self) -> str:
        """Where the customer and we speak (see `actors.switching`); empty before the first contact."""
        if self.spoken is not None:
            return self.spoken.channel
        return self.interactions[0].channel if self.interactions else ""

    @property
    def withheld(self) -> tuple[str, ...]:
        """Keys of context items that by policy are not to be said there."""
        return self.spoken.withheld if self.spoken is not None else ()

    @property
    def wake_at_ms(self) -> int:
        """When it wakes; 0 for one that is not snoozed."""
        return self.until_ms if self.status is Status.SNOOZED else 0

    @property
    def close_at_ms(self) -> int:
        """When it closes; 0 for one that is not resolved."""
        return self.until_ms if self.status is Status.RESOLVED else 0

    @property
    def handoff(self) -> Handoff | None:
        """See `Work`."""
        return self.work.handoff if self.work else None

    @property
    def live(self) -> bool:
        """Whether it can still change."""
        return self.status is not Status.CLOSED

    @property
    def resolved_at_ms(self) -> int:
        """When it was last said to be done; 0: never."""
        return self.work.resolved_at_ms if self.work else 0


def evolve(state: Conversation, event: AnyEvent, encoded: bytes) -> Conversation:
    """Applies the fact that follows `state.head`. `encoded` are the event's bytes, as watchers get them.

    Changes `state` in place and returns it: a journey that must forget what was refused is loaded anew.
    """
    state.head += 1
    state.updated_at_ms = event.at_ms
    state.recent, state.recent_count = recent.add(state.recent, state.recent_count, encoded)
    match event:
        case ConversationOpened():
            state.queue, state.subject, state.relation = event.queue, event.subject, event.relation
            state.opened_at_ms, state.policy = event.at_ms, event.policy
            if event.carried is not None:
                state.work = Work(carried=event.carried)
        case InteractionStarted():
            _start(state, event)
        case InteractionEnded():
            if interaction := interaction_of(state, event.interaction):
                interaction.ended_at_ms, interaction.end_reason = event.at_ms, intern(event.reason)
                _set_rest(state)
        case InteractionWentOn():
            if interaction := interaction_of(state, event.interaction):
                interaction.rest_at_ms = event.rest_at_ms
                _set_rest(state)
        case MessageReceived() | AutomaticReplyReceived() | ActivitySeen() | MessageQueued():
            _contact(state, event)
        case InteractionTagged():
            _tag(state, event)
        case RepeatContactFound() | CorrelationCorrected():
            if event.relation is not None or event.previous is not None:
                state.relation = event.relation
        case InteractionMoved():
            _move(state, event)
        case InteractionReceived():
            _receive(state, event)
        case OwnerChanged():
            state.owner = event.owner
        case QueueChanged():
            state.queue = event.queue
        case ConversationSnoozed():
            state.status, state.until_ms = Status.SNOOZED, event.until_ms
        case ConversationResolved():
            work = _work(state)
            work.actions += 1
            work.resolutions += 1
            work.resolved_at_ms = event.at_ms
            state.status, state.until_ms = Status.RESOLVED, event.close_at_ms
        case ConversationWoken() | ConversationReopened():
            state.status, state.until_ms = Status.OPEN, 0
        case ConversationClosed():
            state.status, state.until_ms, state.rest_at_ms = Status.CLOSED, 0, 0
        case ContextSet():
            state.context = {**state.context, event.key: knowing.put(state.context.get(event.key), event)}
        case ChannelSwitched():
            state.spoken = Spoken(channel=intern(event.to_channel))
        case ContextWithheld():
            state.spoken = Spoken(channel=intern(event.channel), withheld=(*state.withheld, *event.keys))
        case FieldMissing():
            gap = MissingField(
                field=event.field,
                action=event.action,
                channel=event.channel,
                interaction=event.interaction,
                at_ms=event.at_ms,
            )
            state.missing = (*state.missing, gap)
        case (
            DeliveryAttempted()
            | DeliverySent()
            | DeliveryFailed()
            | DeliveryUncertain()
            | DeliveryDead()
            | DeliveryReplayed()
        ):
            _deliver(state, event)
        case HandoffOffered() | HandoffAccepted() | HandoffDeclined() | HandoffExpired() | HandoffWithdrawn():
            work = _work(state)
            work.handoff = handoff_states.evolve(work.handoff, event)
        case NoteAdded():
            _work(state).actions += 1
        case FactDropped():
            # Nobody is shown this in the place of what was said: who resumes here gets the state as a whole.
            state.recent, state.recent_count = b"", 0
        case DeliveryConfirmed() | ContextRefused() | ActivityCarried():
            pass
        case _:
            raise AssertionError(f"{type(event).__name__} is not a conversation's event")
    return state


def view(state: Conversation, identities: Sequence[str]) -> ConversationView:
    """What a watcher sees of it."""
    return ConversationView(
        conversation=state.id,
        customer=state.customer,
        status=state.status,
        queue=state.queue,
        owner=state.owner,
        subject=state.subject,
        opened_at_ms=state.opened_at_ms,
        updated_at_ms=state.updated_at_ms,
        wake_at_ms=state.wake_at_ms,
        identities=list(identities),
        # Copies: a view may wait for a commit while the state goes on.
        interactions=[copy(interaction) for interaction in state.interactions],
        context=list(state.context.values()),
        deliveries=[copy(delivery) for delivery in state.deliveries.values()],
        relation=state.relation,
        handoff=state.handoff,
        channel=state.channel,
        withheld=list(state.withheld),
        missing=[gap for gap in state.missing if not knows(state, gap.field)],
        tags=state.tags,
        resolution_attempts=state.work.resolutions if state.work else 0,
        actions_taken=state.work.actions if state.work else 0,
        carried=state.work.carried if state.work else None,
    )


def knows(state: Conversation, field: str) -> bool:
    """Whether somebody has said it, in any contact; of tags and of numbers, also whether anything tells it."""
    return knowing.is_said(state.context, field) or told(state, field) != ""


def told(state: Conversation, name: str) -> str:
    """What tags tell of one of `DIMENSIONS`, or the last number of that kind that was named; or empty."""
    return tag_of(state, name) or numbers(state).get(name, "")


def numbers(state: Conversation) -> dict[str, str]:
    """Of each kind of number that names one matter the last that was named."""
    keys = state.tags.keys if state.tags is not None else ()
    return {kind: number for kind, _, number in (key.partition(":") for key in keys)}


def tag_of(state: Conversation, name: str) -> str:
    """What the conversation is about, by one of `DIMENSIONS`; empty where nothing tells, and for every other name."""
    tag = getattr(state.tags, name) if name in DIMENSIONS and state.tags is not None else None
    return tag.value if tag is not None else ""


def tagged_by(decided: Sequence[AnyEvent]) -> set[str]:
    """Which of `DIMENSIONS`, and which kinds of numbers, these events tell."""
    facts = [fact for fact in decided if isinstance(fact, InteractionTagged)]
    named = {key.partition(":")[0] for fact in facts for key in fact.keys}
    return named | {name for fact in facts for name in DIMENSIONS if getattr(fact, name) is not None}


def summary(state: Conversation) -> ConversationSummary:
    """Its row in a list."""
    return ConversationSummary(
        conversation=state.id,
        customer=state.customer,
        head=state.head,
        status=state.status,
        queue=state.queue,
        owner=state.owner,
        subject=state.subject,
        channel=state.interactions[-1].channel if state.interactions else "",
        updated_at_ms=state.updated_at_ms,
        offered_to=state.handoff.to if state.handoff is not None and state.handoff.open else "",
    )


def lists_of(state: Conversation) -> tuple[str, ...]:
    """The lists it stands in: its customer's always, its queue's and owner's while it is not done, and those of whom it
    is offered to."""
    mine = f"customer:{state.customer}"
    if state.status not in (Status.OPEN, Status.SNOOZED):
        return (mine,)
    lists = (mine, f"queue:{state.queue}", f"owner:{state.owner}") if state.owner else (mine, f"queue:{state.queue}")
    if state.handoff is None or not state.handoff.open:
        return lists
    kind, _, name = state.handoff.to.partition(":")
    offered = f"owner:{name}" if kind == "agent" else state.handoff.to
    return lists if offered in lists else (*lists, offered)


def interaction_of(state: Conversation, number: int) -> Interaction | None:
    """The interaction with that number, while it is in memory."""
    for interaction in reversed(state.interactions):
        if interaction.number == number:
            return interaction
    return None


def suffix(state: Conversation, seq: int) -> list[bytes] | None:
    """The events after `seq`, or None where memory does not reach back so far."""
    missing = state.head - seq
    if missing < 0 or missing > state.recent_count:
        return None
    return recent.events(state.recent)[state.recent_count - missing :]


def _start(state: Conversation, event: InteractionStarted) -> None:
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


def _bound(state: Conversation) -> None:
    if len(state.interactions) > INTERACTIONS_MAX:
        # The first contact may leave, and says where we speak as long as nothing else does.
        state.spoken = state.spoken or Spoken(channel=state.channel)
        ended = next((i for i, old in enumerate(state.interactions[:-1]) if old.ended_at_ms), 0)
        state.interactions = (*state.interactions[:ended], *state.interactions[ended + 1 :])


def resting(state: Conversation) -> list[Interaction]:
    """The contacts that go on and that time ends. None once it is over, though it be loaded from an old snapshot and
    what retention left, which may not say that they ended."""
    if not state.live:
        return []
    return [each for each in state.interactions if each.rest_at_ms and not each.ended_at_ms]


def _set_rest(state: Conversation) -> None:
    state.rest_at_ms = min((each.rest_at_ms for each in resting(state)), default=0)


def _work(state: Conversation) -> Work:
    if state.work is None:
        state.work = Work()
    return state.work


def _tag(state: Conversation, event: InteractionTagged) -> None:
    found = Tags(
        topic=event.topic,
        intent=event.intent,
        product_line=event.product_line,
        segment=event.segment,
        keys=tuple(event.keys),
    )
    if interaction := interaction_of(state, event.interaction):
        interaction.tags = merged(interaction.tags, found)
    state.tags = merged(state.tags, found)


def _move(state: Conversation, event: InteractionMoved) -> None:
    # Where we speak is not where the first of the others was.
    state.spoken = state.spoken or Spoken(channel=state.channel)
    state.interactions = tuple(i for i in state.interactions if i.number != event.interaction)
    _set_rest(state)
    if event.references:
        state.references = tuple(r for r in state.references if r not in event.references)
    # What it was about may have left with the interaction.
    state.tags = None
    for interaction in state.interactions:
        if interaction.tags is not None:
            state.tags = merged(state.tags, interaction.tags)


def _receive(state: Conversation, event: InteractionReceived) -> None:
    if state.interactions:
        state.spoken = state.spoken or Spoken(channel=state.channel)
    received = (*state.interactions, copy(event.interaction))
    state.interactions = tuple(sorted(received, key=lambda interaction: interaction.number))
    state.interaction_count = max(state.interaction_count, event.interaction.number)
    _bound(state)
    _set_rest(state)
    if event.interaction.tags is not None:
        state.tags = merged(state.tags, event.interaction.tags)
    for reference in event.references:
        _refer(state, reference)


def _contact(
    state: Conversation, event: MessageReceived | AutomaticReplyReceived | ActivitySeen | MessageQueued
) -> None:
    if interaction := interaction_of(state, event.interaction):
        interaction.last_at_ms = event.at_ms
    match event:
        case MessageReceived() | AutomaticReplyReceived():
            if event.reference:
                _refer(state, event.reference)
            if not state.subject:
                state.subject = event.subject
        case MessageQueued():
            _work(state).actions += 1
            queued = Delivery(
                id=event.delivery,
                channel=event.channel,
                account=event.account,
                to=event.to,
                text=event.text,
                subject=event.subject,
                references=event.references,
                author=event.actor,
            )
            state.deliveries = {**state.deliveries, queued.id: queued}
        case ActivitySeen():
            pass


def _refer(state: Conversation, reference: str) -> None:
    if reference not in state.references:
        state.references = (*state.references, reference)[-REFERENCES_MAX:]


def _deliver(
    state: Conversation,
    event: DeliveryAttempted | DeliverySent | DeliveryFailed | DeliveryUncertain | DeliveryDead | DeliveryReplayed,
) -> None:
    delivery = state.deliveries.get(event.delivery)
    if delivery is None:
        return
    match event:
        case DeliveryAttempted():
            delivery.state, delivery.attempt, delivery.next_at_ms = "attempting", event.attempt, 0
        case DeliverySent():
            state.deliveries = {id: other for id, other in state.deliveries.items() if other is not delivery}
            if event.external_id:
                _refer(state, event.external_id)
        case DeliveryFailed():
            delivery.state, delivery.next_at_ms, delivery.reason = "waiting", event.retry_at_ms, event.reason
        case DeliveryUncertain():
            delivery.state = "waiting" if event.retry_at_ms else "uncertain"
            delivery.next_at_ms, delivery.reason = event.retry_at_ms, event.reason
        case DeliveryDead():
            delivery.state, delivery.next_at_ms, delivery.reason = "dead", 0, event.reason
        case DeliveryReplayed():
            delivery.state, delivery.attempts_before, delivery.reason = "queued", delivery.attempt, ""
