"""The journey: a customer's live conversations and what is known of the past ones, as one unit of decision.

    decide(state, input, policy, now_ms) -> Decision       what happens, or the result of a repeat; or a Refusal
    evolve(state, stream, event, encoded) -> state          how each fact changes it

"Is this the same issue?", "did this come before?" and "who is this?" are decided here, in one place, on one state. A
stream is a conversation's id or the customer's own. The once-keys of what came in are part of the state, so that a
repeat is recognised by the actor alone, for as long as the policy says.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec import Struct, field

from actors import (
    about,
    applying,
    arrival,
    capturing,
    commanding,
    contact,
    correcting,
    delivery,
    handing_over,
    identifying,
    importing,
    recent,
    replaying,
    telling,
    withdrawing,
)
from actors.conversation import Conversation
from actors.conversation import evolve as evolve_conversation
from actors.correlation import Correlated, Glimpse, Past, correlate, glimpsed
from actors.identifying import NOTHING_NEW, Disputes, Identified
from actors.once import OnceKeys, Seen
from actors.policy import Policy
from actors.tagging import NO_TAGS, tags_of, with_before
from protocol.commands import (
    ApplyPolicy,
    BeginReplay,
    CloseIdentityReview,
    EndReplay,
    Join,
    LinkIdentity,
    MarkReplayed,
    Relate,
    Split,
    UnlinkIdentity,
)
from protocol.entities import ConversationView, CustomerView, IdentityLink, Relation, Status, Tags
from protocol.errors import Code, Refusal
from protocol.events import (
    ActivitySeen,
    AnyEvent,
    ConversationClosed,
    ConversationOpened,
    ConversationWoken,
    CustomerErased,
    DeliveryDead,
    IdentityConflictFound,
    IdentityLinked,
    IdentityReviewClosed,
    IdentityUnlinked,
    InputQuarantined,
    Once,
    PastImported,
    PolicyApplied,
    QuarantineReplayed,
    ReplayBegun,
    ReplayRefused,
)
from protocol.identities import normalise
from protocol.inbound import (
    ActivityArrived,
    DeliveryReport,
    InboundEvent,
    InteractionBegan,
    MessageArrived,
    PastConversation,
)
from protocol.links import Ask, Input, Outcome, Quarantine

CLOSED_MAX = 4
"""Closed conversations kept whole, for watchers who come back to read the end."""
PAST_MAX = 64
"""Ids of closed conversations kept for relations."""
REPLAYED_MAX = 256
REMEMBERED_MAX = 16
"""Closed conversations whose topic is remembered: a contact repeats one of the last, or none."""
STATE_VERSION = 5
"""Of the snapshot's form; another one is not read, and the journey is loaded from its events."""


class Aside(Struct, kw_only=True):
    """What most customers have nothing of: kept apart, since each field costs every live journey eight bytes."""

    replayed: tuple[str, ...] = ()
    """Quarantined inputs that came in after all."""
    replaying: tuple[str, ...] = ()
    """Those that are about to, each in one form: another one has to wait until that is in or refused."""
    before: bytes = b""
    before_count: int = 0
    """The newest activities since no conversation was open (see `actors.recent`): the next one may begin with them."""
    remembered: tuple[Past, ...] = ()
    glimpse: Glimpse | None = None


class Journey(Struct, kw_only=True):
    """The state. `head` is the seq of the newest event in the customer's own stream."""

    customer: str
    head: int = 0
    identities: tuple[str, ...] = ()
    links: tuple[IdentityLink, ...] = ()
    """Of each identity, in the same order: why it is this customer's."""
    conversations: dict[str, Conversation] = field(default_factory=dict)
    opened: int = 0
    """Conversations ever opened."""
    past: tuple[str, ...] = ()
    """Ids of those that are over, in the order of closing. Tuples where most customers have none or one: an empty
    list costs 56 bytes, the empty tuple nothing."""
    once: OnceKeys = field(default_factory=OnceKeys)
    aside: Aside | None = None
    disputes: Disputes | None = None
    """Of its identities: None where there never was one."""

    @property
    def remembered(self) -> tuple[Past, ...]:
        """What the newest closed conversations were about, of those that were about something."""
        return self.aside.remembered if self.aside else ()

    @property
    def glimpse(self) -> Glimpse | None:
        """What the customer looked at last while nothing was open."""
        return self.aside.glimpse if self.aside else None

    def head_of(self, stream: str) -> int:
        """The newest seq of one of its streams; 0 for a stream that does not exist yet."""
        if stream == self.customer:
            return self.head
        conversation = self.conversations.get(stream)
        return conversation.head if conversation else 0


class TimerDue(Struct, frozen=True):
    """Time has passed: whatever of the journey is due, is due now."""

    customer: str


AnyInput = Input | Quarantine | Ask | Outcome | TimerDue


class Decision(Struct, frozen=True):
    """What an input does: events by stream in order, or the place of what a repeat did before.

    `identities` are those the events assign to the customer. `status` is the answer's.
    """

    events: list[tuple[str, AnyEvent]]
    status: str = "committed"
    identities: list[str] = []
    released: list[tuple[str, bytes]] = []
    """Identities that are the customer's no more, each with what whoever gets it next must know."""
    inherits: list[tuple[str, int]] = []
    """Those of `identities` that were released, and at which position: what was released with them is known."""
    stray: str = ""
    """An identity the input was sent here for, and which is not the customer's; with `apart`, it is: but these do not
    say whose the input is."""
    apart: list[str] = []
    repeats: tuple[str, int] | None = None
    why: tuple[int, str, str] | None = None
    """Code, field and reason of what went to quarantine."""


NOTHING = Decision([])


def decide(state: Journey, given: AnyInput, policy: Policy, now_ms: int) -> Decision:
    """Decides one input. Raises `Refusal` where it may not happen."""
    match given:
        case Input():
            if state.disputes is None and not given.released and state.once.get(given.key) is None:
                return _first(state, given, policy, now_ms)
            return _perhaps_again(state, given, policy, now_ms)
        case Quarantine():
            if (seen := state.once.get(given.key)) is None:
                return _keyed(_quarantine(state, given, policy, now_ms), given, state, policy)
            return _repeat(state.customer, seen) if seen.digest == given.digest else NOTHING
        case Ask():
            if (seen := state.once.get(given.key)) is None:
                return _keyed(_ask(state, given, policy, now_ms), given, state, policy)
            if seen.digest != given.digest:
                raise Refusal(Code.DIGEST_CONFLICT, "this command id came before with another command", ref=given.id)
            return _repeat(state.customer, seen)
        case Outcome():
            conversation = state.conversations.get(given.conversation)
            if conversation is None:
                return NOTHING
            rules = policy.at(conversation.policy)
            return _in(conversation.id, _outcome(state, conversation, given, rules, now_ms))
        case TimerDue():
            return _due(state, policy, now_ms)
        case _:
            assert_never(given)


def evolve(state: Journey, stream: str, event: AnyEvent, encoded: bytes) -> Journey:
    """Applies the next fact of `stream`, in place; `encoded` are its bytes."""
    if stream == state.customer:
        state.head += 1
        _evolve_own(state, event, encoded)
    else:
        _evolve_in(state, stream, event, encoded)
    if (once := event.once) is not None:
        number = 0 if stream == state.customer else int(stream[len(state.customer) + 1 :])
        state.once.add(once.key, Seen(once.digest, event.at_ms // 1000, number, state.head_of(stream)))
    return state


def skip_to(state: Journey, stream: str, seq: int) -> None:
    """The next fact of `stream` is the one at `seq`: retention has taken those before it, of a conversation that is
    over. What is shown of it keeps the numbers that it had."""
    conversation = state.conversations.get(stream)
    if conversation is not None and seq > conversation.head + 1:
        conversation.head = seq - 1
        conversation.recent, conversation.recent_count = b"", 0


def next_due_ms(state: Journey) -> int | None:
    """When a `TimerDue` next has something to decide."""
    due: list[int] = []
    for conversation in state.conversations.values():
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


def links(asked: Ask, identity: str) -> bool:
    """Whether a command would link that (normalised) identity; one that is no identity links nothing."""
    if not isinstance(asked.command, LinkIdentity):
        return False
    try:
        return normalise(asked.command.identity) == identity
    except Refusal:
        return False


def attempting(state: Journey) -> list[tuple[Conversation, str]]:
    """Deliveries under way: the conversation and the delivery's id."""
    return [(c, d.id) for c in state.conversations.values() for d in c.deliveries.values() if d.state == "attempting"]


def forget_old_keys(state: Journey, policy: Policy, now_ms: int) -> None:
    """Drops once-keys past their time. Not a fact: every reader of the journal may forget at another moment."""
    state.once.forget_before((now_ms - policy.once_keys_ms) // 1000)


def view(state: Journey, views: list[ConversationView], *, channel: str = "", policy: Policy) -> CustomerView:
    """What is known of the customer; `views` are of the live conversations. With a channel: for a machine there."""
    if channel:
        # By the rules that each stays with: what those withhold there is not told, whatever newer ones would say.
        rules = {c.id: policy.at(c.policy).context for c in state.conversations.values()}
        views = [telling.for_channel(view, channel, rules[view.conversation]) for view in views]
    topic = telling.known_as(views, "topic")
    return CustomerView(
        customer=state.customer,
        identities=list(state.identities),
        links=list(state.links),
        open=views,
        past=list(state.past),
        topic=topic,
        intent=telling.known_as(views, "intent"),
        last_steps=telling.last_steps([*state.conversations.values()]),
        suggested_greeting=telling.greeting(views, topic, channel),
    )


def _pack(value: object) -> object:
    assert isinstance(value, OnceKeys), value
    return value.packed


def _unpack(kind: type, value: bytes) -> object:
    assert kind is OnceKeys, kind
    return OnceKeys(value)


_encode = msgspec.msgpack.Encoder(enc_hook=_pack).encode
_decode = msgspec.msgpack.Decoder(tuple[int, Journey], dec_hook=_unpack).decode
_decode_version = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode


def freeze(state: Journey) -> bytes:
    """The state as a snapshot's body."""
    return _encode((STATE_VERSION, state))


def thaw(body: bytes) -> Journey | None:
    """The state of a snapshot's body; None where another version of the server wrote it."""
    if _decode_version(body)[0] != STATE_VERSION:
        return None
    return _decode(body)[1]


# Deciding


def _first(state: Journey, given: Input, policy: Policy, now_ms: int) -> Decision:
    decision = _receive(state, given, policy, now_ms)
    return decision if decision.why else _keyed(decision, given, state, policy)


def _perhaps_again(state: Journey, given: Input, policy: Policy, now_ms: int) -> Decision:
    """An input that came before, or may have, to this customer or to a former one of its identities."""
    before = _before(state, given, given.key)
    if before is None:
        return _first(state, given, policy, now_ms)
    if before[1].digest == given.digest:
        return _repeat(*before)
    known = identifying.identify(state, given, policy.identity, now_ms)
    if known.stray:
        return Decision([], stray=known.stray, apart=known.apart)
    decision = _conflict(state, given, policy, now_ms)
    if not decision.events or before[0] == state.customer:
        return decision
    # Kept where the identity is from now on: there the next of the kind will be looked for.
    events = [*decision.events, *((state.customer, event) for event in known.facts)]
    return msgspec.structs.replace(decision, events=events, identities=known.assigned, inherits=known.inherits)


def _before(state: Journey, given: Input, key: int) -> tuple[str, Seen] | None:
    """What the key did: here, or at a former customer of an identity that is this one's now, or is about to be."""
    if (seen := state.once.get(key)) is not None:
        return state.customer, seen
    inherited = dict(identifying.disputes(state).inherited)
    for released in given.released:
        inherited |= identifying.keys_of(released)
    for customer, packed in inherited.items():
        if (seen := OnceKeys(packed).get(key)) is not None:
            return customer, seen
    return None


def _repeat(customer: str, seen: Seen, *, status: str = "repeat", why: tuple[int, str, str] | None = None) -> Decision:
    """It came before, to that customer: it gets its first result, and nothing happens."""
    stream = f"{customer}-{seen.conversation}" if seen.conversation else customer
    return Decision([], status=status, repeats=(stream, seen.seq), why=why)


def _keyed(decision: Decision, given: Input | Quarantine | Ask | Once, state: Journey, policy: Policy) -> Decision:
    """Puts the once-key on the first event, so that key and effect are journaled together; and the policy's version."""
    if decision.events:
        stream, first = decision.events[0]
        version = decided_under(state, decision, policy)
        decision.events[0] = (
            stream,
            msgspec.structs.replace(first, once=Once(given.key, given.digest), policy=version),
        )
    return decision


def decided_under(state: Journey, decision: Decision, policy: Policy) -> int:
    """The version that a decision was made under: the newest, unless its conversation stays with an earlier one."""
    if not policy.earlier:
        return policy.version
    streams = dict.fromkeys(stream for stream, _ in decision.events)
    return _rules_of([state.conversations[s] for s in streams if s in state.conversations], policy).version


def _rules_of(conversations: Sequence[Conversation], policy: Policy) -> Policy:
    """The rules for what concerns these: those they stay with, the newest where they differ."""
    versions = {policy.at(conversation.policy).version for conversation in conversations}
    return policy.at(conversations[0].policy) if len(versions) == 1 else policy


def _receive(state: Journey, given: Input, policy: Policy, now_ms: int) -> Decision:
    event = given.event
    known = identifying.identify(state, given, policy.identity, now_ms)
    if known.stray:
        return Decision([], stray=known.stray, apart=known.apart)
    if isinstance(event.data, PastConversation):
        new_id = f"{state.customer}-{state.opened + 1}"
        past = importing.decide(event, event.data, state.customer, new_id, policy, now_ms)
        about = [(state.customer, fact) for fact in known.facts]
        return Decision([*past, *about], identities=known.assigned, inherits=known.inherits)
    tags = tags_of(event, policy.taxonomy)
    if state.glimpse is not None:
        tags = _with_glimpse(state.glimpse, event, tags, policy, now_ms)
    correlated = correlate(
        state.conversations,
        state.past,
        event,
        tags=tags,
        rules=policy.correlation,
        remembered=state.remembered,
        now_ms=now_ms,
    )
    if correlated.conversation:
        conversation = state.conversations.get(correlated.conversation)
        if conversation is None:
            raise Refusal(
                Code.NOT_FOUND,
                f"conversation {correlated.conversation} is closed and archived, or never was",
                ref=event.id,
                field="data.delivery",
            )
        if not conversation.live and not isinstance(event.data, DeliveryReport):
            raise AssertionError("correlation gives a closed conversation to reports alone")
        rules = policy.at(conversation.policy)
        if rules is not policy:
            tags = tags_of(event, rules.taxonomy)
        decided = contact.decide(conversation, event, rules, now_ms, correlated.reason)
        if tags is not NO_TAGS:
            decided += _about(state, conversation, event, decided, tags, conversation.relation, rules, now_ms)
        return _captured(state, conversation, given, decided, known, rules, now_ms)
    if isinstance(event.data, ActivityArrived):
        # Nothing is open: what they look at is kept with the person, and opens no work for anyone.
        seen = _activity(event, event.data, None if tags is NO_TAGS else tags, now_ms)
        return _decision(state, state.customer, [seen], known)
    new = Conversation(id=f"{state.customer}-{state.opened + 1}", customer=state.customer)
    decided = [_open(state, event, correlated, policy, now_ms), *contact.decide(new, event, policy, now_ms)]
    if tags is not NO_TAGS:
        decided += _about(state, new, event, decided, tags, correlated.relation, policy, now_ms)
    before = arrival.shortly_before(state.aside.before, policy, now_ms) if state.aside else []
    return _captured(state, new, given, decided, known, policy, now_ms, before)


def _open(state: Journey, event: InboundEvent, correlated: Correlated, policy: Policy, now_ms: int) -> AnyEvent:
    relation = correlated.relation
    if relation is None:
        return contact.open_for(event, state.customer, None, policy, now_ms)
    carried = about.carried_over(state.conversations.get(relation.conversation))
    return contact.open_for(event, state.customer, relation, policy, now_ms, reason=correlated.reason, carried=carried)


def _about(
    state: Journey,
    conversation: Conversation,
    event: InboundEvent,
    decided: list[AnyEvent],
    tags: Tags,
    relation: Relation | None,
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    number = contact.number_of(conversation, event, decided)
    # Done, and not closed yet: those are in none of the lists of what is over.
    done = [
        Past(other.id, other.tags, other.resolved_at_ms)
        for other in state.conversations.values()
        if other.status is Status.RESOLVED and other.tags is not None
    ]
    resolved = [*state.remembered, *done]
    return about.after_contact(conversation, number, event, tags, relation, resolved, policy, now_ms)


def _captured(
    state: Journey,
    conversation: Conversation,
    given: Input,
    decided: list[AnyEvent],
    known: Identified,
    policy: Policy,
    now_ms: int,
    before: Sequence[ActivitySeen] = (),
) -> Decision:
    """The decision on an event, with what it brings beside itself and what its capture template makes of it."""
    event, found = given.event, []
    captured = capturing.capture(conversation, event, decided, policy)
    if captured is not None:
        if captured.forbidding is not None:
            rule, field = f"capture:{captured.template}", captured.forbidding.name
            reason = f"{field} is missing, which the template {captured.template} of policy {policy.version} requires"
            kept = _keep(state, given, (Code.INVALID, field, reason), rule, policy, now_ms)
            if not kept.events:
                return kept
            # Who it came from is known, whatever becomes of what they said.
            events = [*kept.events, *((state.customer, fact) for fact in known.facts)]
            return msgspec.structs.replace(kept, events=events, identities=known.assigned, inherits=known.inherits)
        found = capturing.items(event, captured, decided)
    if found or not conversation.head or arrival.brings(conversation, event):
        decided += arrival.brought(conversation, event, decided, before, policy, now_ms, found)
    if captured is not None:
        decided += capturing.asked(conversation, event, captured, decided, policy, now_ms)
    return _decision(state, conversation.id, decided, known)


def _decision(state: Journey, stream: str, decided: list[AnyEvent], known: Identified) -> Decision:
    events = [(stream, event) for event in decided]
    if known is NOTHING_NEW:
        return Decision(events)
    events += [(state.customer, event) for event in known.facts]
    return Decision(events, identities=known.assigned, inherits=known.inherits)


def _activity(event: InboundEvent, data: ActivityArrived, tags: Tags | None, now_ms: int) -> AnyEvent:
    return ActivitySeen(
        at_ms=now_ms,
        actor=contact.CUSTOMER,
        interaction=0,
        channel=event.channel,
        identity=event.identities[0] if event.identities else "",
        provider_ms=event.time_ms,
        name=data.name,
        properties=data.properties,
        context=data.context,
        tags=tags,
    )


def _with_glimpse(glimpse: Glimpse, event: InboundEvent, tags: Tags, policy: Policy, now_ms: int) -> Tags:
    """What a word of the customer is about, also by what they looked at before."""
    if not isinstance(event.data, MessageArrived | InteractionBegan):
        return tags
    seen = glimpsed(glimpse, event.channel, policy.correlation, now_ms)
    return tags if seen is None else with_before(tags, seen)


def _conflict(state: Journey, given: Input, policy: Policy, now_ms: int) -> Decision:
    """The same (account, source, id) came with another payload: kept in quarantine, once for each payload."""
    why = (int(Code.DIGEST_CONFLICT), "id", "the same (account, source, id) came before with another payload")
    return _keep(state, given, why, "once", policy, now_ms)


def _keep(state: Journey, given: Input, why: tuple[int, str, str], rule: str, policy: Policy, now_ms: int) -> Decision:
    """Puts an input in quarantine, once for each payload. Raises `Refusal` where it came from there."""
    code, field, reason = why
    if given.replay is not None:
        raise Refusal(Code(code), reason, ref=given.event.id, field=field)
    # A key of its own for this payload, so that repeats stay single and the event itself may yet come in.
    once = Once((given.key ^ (given.digest * 0x9E3779B97F4A7C15)) & 0xFFFF_FFFF_FFFF_FFFF, given.digest)
    if (before := _before(state, given, once.key)) is not None:
        return _repeat(*before, status="quarantined", why=why)
    quarantined = InputQuarantined(
        at_ms=now_ms,
        actor=f"account:{given.event.account}",
        policy=policy.version,
        quarantine=f"{state.customer}.{state.head + 1}",
        account=given.event.account,
        source=given.event.source,
        id=given.event.id,
        code=code,
        field=field,
        reason=reason,
        raw=given.raw or msgspec.json.encode(given.event),
        received_ms=now_ms,
        rule=rule,
    )
    return _keyed(Decision([(state.customer, quarantined)], status="quarantined", why=why), once, state, policy)


def _quarantine(state: Journey, given: Quarantine, policy: Policy, now_ms: int) -> Decision:
    quarantined = InputQuarantined(
        at_ms=now_ms,
        actor=f"account:{given.account}",
        policy=policy.version,
        quarantine=f"{state.customer.removeprefix('account:')}.{state.head + 1}",
        account=given.account,
        source=given.source,
        id=given.id,
        code=given.code,
        field=given.field,
        reason=given.reason,
        raw=given.raw,
        received_ms=now_ms,
        rule="schema",
    )
    return Decision([(state.customer, quarantined)], status="quarantined")


def _ask(state: Journey, given: Ask, policy: Policy, now_ms: int) -> Decision:
    """What was asked; an open offer whose conversation changes hands, moves on or ends by it is withdrawn first."""
    decision = _asked(state, given, policy, now_ms)
    events = decision.events
    for conversation in state.conversations.values():
        if conversation.handoff is not None:
            events = withdrawing.withdrawn_by(conversation, events, given.actor, now_ms)
    return decision if events is decision.events else msgspec.structs.replace(decision, events=events)


def _asked(state: Journey, given: Ask, policy: Policy, now_ms: int) -> Decision:
    if given.conversation:
        conversation = state.conversations.get(given.conversation)
        if conversation is None:
            raise Refusal(Code.NOT_FOUND, f"no live conversation {given.conversation}", ref=given.id)
        rules = policy.at(conversation.policy)
        if isinstance(given.command, Split | Join | Relate):
            return _correct(state, conversation, given.command, given.actor, policy, now_ms)
        parted = identifying.disputes(state).parted
        decided = commanding.decide(
            conversation, given.command, given.actor, state.identities, rules, now_ms, parted=parted
        )
        return _in(conversation.id, decided)
    match given.command:
        case LinkIdentity():
            return _link(state, given, given.command, policy, now_ms)
        case UnlinkIdentity():
            return _unlink(state, given.command, given.actor, now_ms)
        case CloseIdentityReview():
            closed = identifying.close_review(state, given.command, given.actor, now_ms)
            return Decision([(state.customer, closed)])
        case MarkReplayed() | BeginReplay() | EndReplay():
            aside = state.aside or Aside()
            step = replaying.decide(given.command, given.actor, aside.replayed, aside.replaying, now_ms)
            return Decision([(state.customer, step)])
        case ApplyPolicy():
            return _in(state.customer, applying.decide(state.customer, state.head, given, now_ms))
        case _:
            raise Refusal(Code.INVALID, "this command is addressed to a conversation", ref=given.id, field="do")


def _outcome(state: Journey, conversation: Conversation, given: Outcome, policy: Policy, now_ms: int) -> list[AnyEvent]:
    """What an attempt's outcome means; a message that is given up may move the conversation, as the policy says."""
    decided = delivery.decide_outcome(conversation, given, policy, now_ms)
    if policy.context.fallback and any(isinstance(fact, DeliveryDead) for fact in decided):
        decided += commanding.fall_back(
            conversation,
            state.identities,
            given.delivery,
            policy,
            now_ms,
            parted=identifying.disputes(state).parted,
        )
    return decided


def _correct(
    state: Journey,
    conversation: Conversation,
    command: Split | Join | Relate,
    actor: str,
    policy: Policy,
    now_ms: int,
) -> Decision:
    known = (*state.conversations, *state.past)
    new = f"{state.customer}-{state.opened + 1}"
    other = state.conversations.get(command.other) if isinstance(command, Join) else None
    rules = _rules_of([conversation, *([other] if other else [])], policy)
    return Decision(correcting.decide(state.conversations, known, command, conversation, new, actor, rules, now_ms))


def _link(state: Journey, given: Ask, command: LinkIdentity, policy: Policy, now_ms: int) -> Decision:
    identity = normalise(command.identity)
    linked = identifying.link(state, command, identity, given.released, given.actor, policy.identity, now_ms)
    events = [(state.customer, event) for event in linked.facts]
    return Decision(events, identities=linked.assigned, inherits=linked.inherits)


def _unlink(state: Journey, command: UnlinkIdentity, actor: str, now_ms: int) -> Decision:
    identity = normalise(command.identity)
    unlinked, keys = identifying.unlink(state, command, identity, actor, now_ms)
    return Decision([(state.customer, unlinked)], released=[(identity, keys)])


def _due(state: Journey, policy: Policy, now_ms: int) -> Decision:
    events: list[tuple[str, AnyEvent]] = []
    version = 0
    for conversation in state.conversations.values():
        rules = policy.at(conversation.policy)
        if events and rules.version != version:
            continue  # A decision is made under one version: it rings again once this one is committed.
        version = rules.version
        if conversation.handoff:
            # First: a package counts the events before it from the state's head.
            ended = handing_over.decide_due(conversation, state.identities, rules, now_ms)
            events += [(conversation.id, event) for event in ended]
        if conversation.status is Status.SNOOZED and conversation.wake_at_ms <= now_ms:
            events.append((conversation.id, ConversationWoken(at_ms=now_ms, actor="system", reason="time")))
        attempts = delivery.decide_due(conversation, now_ms)
        events += [(conversation.id, event) for event in attempts]
        # What still has to leave keeps it from closing: it rings again when that is settled.
        resolved = conversation.status is Status.RESOLVED and conversation.close_at_ms <= now_ms
        if not resolved or delivery.in_line(conversation):
            events += [(conversation.id, event) for event in contact.decide_due(conversation, rules, now_ms)]
            continue
        events += [(conversation.id, event) for event in contact.end_all(conversation, now_ms)]
        events.append((conversation.id, ConversationClosed(at_ms=now_ms, actor="system", reason="resolved")))
    return Decision(events)


def _in(conversation: str, events: list[AnyEvent]) -> Decision:
    return Decision([(conversation, event) for event in events])


# Evolving


def _evolve_own(state: Journey, event: AnyEvent, encoded: bytes) -> None:
    match event:
        case IdentityLinked() | IdentityUnlinked() | IdentityConflictFound() | IdentityReviewClosed():
            identifying.evolve(state, event)
        case ReplayBegun():
            aside = _aside(state)
            aside.replaying = (*aside.replaying, event.quarantine)
        case ReplayRefused():
            aside = _aside(state)
            aside.replaying = tuple(id for id in aside.replaying if id != event.quarantine)
        case QuarantineReplayed():
            aside = _aside(state)
            aside.replaying = tuple(id for id in aside.replaying if id != event.quarantine)
            aside.replayed = (*aside.replayed, event.quarantine)[-REPLAYED_MAX:]
        case ActivitySeen():
            aside = _aside(state)
            aside.before, aside.before_count = recent.add(aside.before, aside.before_count, encoded)
            if event.tags is not None:
                aside.glimpse = Glimpse(event.tags, event.channel, event.at_ms)
        case InputQuarantined() | PolicyApplied() | PastImported():
            pass
        case CustomerErased():
            state.identities, state.links, state.past, state.aside, state.disputes = (), (), (), None, None
            state.conversations.clear()
        case _:
            raise AssertionError(f"{type(event).__name__} is not an event of a customer's own stream")


def _evolve_in(state: Journey, stream: str, event: AnyEvent, encoded: bytes) -> None:
    conversation = state.conversations.get(stream)
    if conversation is None:
        assert isinstance(event, ConversationOpened), f"{type(event).__name__} for {stream}, which is not in memory"
        conversation = state.conversations[stream] = Conversation(id=stream, customer=state.customer)
        state.opened += 1
        if state.aside is not None and event.actor != importing.IMPORTED:
            state.aside.before, state.aside.before_count, state.aside.glimpse = b"", 0, None
    evolve_conversation(conversation, event, encoded)
    if type(event) is ConversationClosed:
        _retire(state, stream, event)


def _aside(state: Journey) -> Aside:
    if state.aside is None:
        state.aside = Aside()
    return state.aside


def _retire(state: Journey, closed: str, event: ConversationClosed) -> None:
    # In the order of closing; what was imported closed before those here that closed after it.
    place = len(state.past)
    while event.reason == importing.IMPORTED and place and _closed_after(state, state.past[place - 1], event.at_ms):
        place -= 1
    state.past = (*state.past[:place], closed, *state.past[place:])[-PAST_MAX:]
    conversation = state.conversations[closed]
    if conversation.tags is not None:
        past = Past(closed, conversation.tags, conversation.resolved_at_ms)
        _aside(state).remembered = (*state.remembered, past)[-REMEMBERED_MAX:]
    # In the order of closing: the one that closes now is the last to go.
    over = [past for past in state.past if past in state.conversations]
    for old in over[: max(0, len(over) - CLOSED_MAX)]:
        del state.conversations[old]


def _closed_after(state: Journey, past: str, at_ms: int) -> bool:
    conversation = state.conversations.get(past)
    return conversation is not None and conversation.updated_at_ms > at_ms
