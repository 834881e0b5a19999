"""Commanding: what a conversation makes of an agent's command. Pure; raises `Refusal` where the state forbids it.

One owner at a time: `take` is refused while another agent owns it, so of two agents who take at once one is told.
"""

from collections.abc import Sequence
from typing import assert_never

from actors import about, contact, handing_over, knowing
from actors.conversation import DELIVERIES_MAX, Conversation
from actors.delivery import attempt_first
from actors.knowing import Given, Known
from actors.policy import Policy, identity_kind
from actors.rules.context import SENSITIVITIES
from actors.switching import switch, withhold
from protocol.commands import (
    AcceptHandoff,
    AddNote,
    AnyCommand,
    ApplyPolicy,
    Assign,
    BeginReplay,
    CloseIdentityReview,
    DeclineHandoff,
    DismissFinding,
    EndReplay,
    GiveCustomer,
    Join,
    LinkIdentity,
    MakeReport,
    MarkReplayed,
    MergeCustomers,
    Move,
    OfferHandoff,
    Relate,
    Reopen,
    ReplayDelivery,
    Reply,
    Resolve,
    ResolveFinding,
    SetContext,
    Snooze,
    Split,
    SwitchChannel,
    TagInteraction,
    Take,
    UnlinkIdentity,
    UnmergeCustomers,
    WithdrawHandoff,
)
from protocol.entities import Direction, Interaction, Status
from protocol.errors import Code, Refusal
from protocol.events import (
    AnyEvent,
    ContextSet,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    DeliveryReplayed,
    InteractionStarted,
    MessageQueued,
    NoteAdded,
    OwnerChanged,
    QueueChanged,
)
from protocol.identities import kind_of
from protocol.inbound import TEXT_MAX

NAME_MAX = 128
"""Characters of a queue's, agent's or context item's name."""
VALUE_MAX = 4096
"""Characters of a context item's value, and of a handoff's note or reason."""
OF_CLOSED = (AddNote, TagInteraction)
"""What may be said of a conversation that is over: it changes what is known of it, and nothing goes on there."""
HANDOFF_FIELDS_MAX = 32
"""Fields that one offer brings."""


def decide(
    state: Conversation,
    command: AnyCommand,
    actor: str,
    identities: Sequence[str],
    policy: Policy,
    now_ms: int,
    *,
    parted: Sequence[str] = (),
) -> list[AnyEvent]:
    """The events of `command`, asked by `actor` (`agent:ann`); `identities` are the customer's, newest last, `parted`
    those that were."""
    if not state.live and not isinstance(command, OF_CLOSED):
        raise _not_now(
            "the conversation is closed, and can only be noted in, tagged and corrected (split, relate); the "
            "customer's next contact opens a new one"
        )
    agent = actor.partition(":")[2]
    match command:
        case Reply():
            return _reply(state, command, actor, identities, parted, policy, now_ms)
        case AddNote(text=text):
            _check_text(text)
            return [NoteAdded(at_ms=now_ms, actor=actor, text=text)]
        case Take(force=force):
            if state.owner and state.owner != agent and not force:
                raise _not_now(f"{state.owner} owns the conversation; take it with force, or ask them")
            return _own(state, agent, actor, now_ms)
        case Assign(owner=owner):
            return _own(state, _name(owner, "owner", empty=True), actor, now_ms)
        case Move(queue=queue):
            _name(queue, "queue")
            if queue == state.queue:
                raise _not_now("the conversation is in that queue")
            return [QueueChanged(at_ms=now_ms, actor=actor, queue=queue, previous=state.queue)]
        case Snooze(until_ms=until_ms):
            if until_ms <= now_ms:
                raise Refusal(Code.INVALID, "until_ms must lie in the future", field="until_ms")
            return [ConversationSnoozed(at_ms=now_ms, actor=actor, until_ms=until_ms)]
        case Resolve(reason=reason):
            if state.status is Status.RESOLVED:
                raise _not_now("the conversation is resolved already")
            _check_words(reason, "reason")
            close_at_ms = now_ms + policy.close_after_resolved_ms
            return [ConversationResolved(at_ms=now_ms, actor=actor, close_at_ms=close_at_ms, reason=reason)]
        case Reopen(reason=reason):
            if state.status is not Status.RESOLVED:
                raise _not_now("the conversation is not resolved")
            _check_words(reason, "reason")
            return [ConversationReopened(at_ms=now_ms, actor=actor, reason=reason)]
        case SetContext():
            return _context(state, command, actor, policy, now_ms)
        case SwitchChannel():
            return _switch(state, command, actor, identities, parted, policy, now_ms)
        case ReplayDelivery(delivery=delivery):
            return _replay(state, delivery, actor, now_ms)
        case OfferHandoff():
            return _offer(state, command, actor, identities, policy, now_ms)
        case AcceptHandoff() | DeclineHandoff() | WithdrawHandoff():
            if not isinstance(command, AcceptHandoff):
                _check_words(command.reason, "reason")
            return handing_over.answer(state, command, actor, identities, policy, now_ms)
        case TagInteraction():
            return about.tag(state, command, policy.taxonomy, actor, now_ms)
        case Split() | Join() | Relate():
            raise AssertionError("corrections are of several conversations: see `journey`")
        case (
            LinkIdentity()
            | UnlinkIdentity()
            | MergeCustomers()
            | UnmergeCustomers()
            | GiveCustomer()
            | CloseIdentityReview()
            | MarkReplayed()
            | BeginReplay()
            | EndReplay()
            | ApplyPolicy()
            | MakeReport()
            | ResolveFinding()
            | DismissFinding()
        ):
            raise Refusal(Code.INVALID, "this command is addressed to a customer, not to a conversation", field="do")
        case _:
            assert_never(command)


def _reply(
    state: Conversation,
    command: Reply,
    actor: str,
    identities: Sequence[str],
    parted: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    _check_text(command.text)
    if len(state.deliveries) >= DELIVERIES_MAX:
        raise Refusal(Code.OVER_LIMIT, f"{DELIVERIES_MAX} messages of this conversation wait; see the outbox")
    interaction, started = _way_out(state, command.channel, command.to, actor, identities, parted, policy, now_ms)
    if not interaction.account:
        raise Refusal(Code.INVALID, f"no account is set up to reply on {interaction.channel}", field="channel")
    _check_carried(state, f"{command.text}\n{command.subject}", interaction.channel, policy)
    delivery = f"{state.id}.{state.head + len(started) + 1}"
    queued = MessageQueued(
        at_ms=now_ms,
        actor=actor,
        policy=policy.version,
        interaction=interaction.number,
        delivery=delivery,
        channel=interaction.channel,
        account=interaction.account,
        to=interaction.identity,
        text=command.text,
        subject=command.subject or state.subject,
        references=_references(state, interaction.channel),
    )
    moved = _moved(state, interaction, "agent", actor, policy, now_ms)
    return [*started, queued, *attempt_first(state, interaction.channel, delivery, now_ms), *moved]


def _switch(
    state: Conversation,
    command: SwitchChannel,
    actor: str,
    identities: Sequence[str],
    parted: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    if _name(command.channel, "channel") == state.channel:
        raise _not_now(f"the conversation goes on by {command.channel} already")
    if len(command.reason) > TEXT_MAX:
        raise Refusal(Code.OVER_LIMIT, f"reason has at most {TEXT_MAX} characters", field="reason")
    interaction, started = _way_out(state, command.channel, command.to, actor, identities, parted, policy, now_ms)
    return [*started, *_moved(state, interaction, "agent", actor, policy, now_ms, reason=command.reason)]


def fall_back(
    state: Conversation,
    identities: Sequence[str],
    delivery: str,
    policy: Policy,
    now_ms: int,
    *,
    parted: Sequence[str] = (),
) -> list[AnyEvent]:
    """The switch that the policy's `fallback` wants now that a message was given up; none where the customer has no
    identity there, or the conversation is over or elsewhere already."""
    given_up = state.deliveries.get(delivery)
    channel = policy.context.fallback.get(given_up.channel, "") if given_up else ""
    if not channel or not state.live or given_up is None or state.channel != given_up.channel:
        return []
    if not any(kind_of(identity) == identity_kind(channel) for identity in identities):
        return []
    interaction, started = _way_out(state, channel, "", "system", identities, parted, policy, now_ms)
    reason = f"fallback: {given_up.channel} goes on by {channel}; {delivery} was given up"
    return [*started, *_moved(state, interaction, "rule", "system", policy, now_ms, reason=reason)]


def _moved(
    state: Conversation,
    interaction: Interaction,
    by: str,
    actor: str,
    policy: Policy,
    now_ms: int,
    reason: str = "",
) -> list[AnyEvent]:
    """The switch, where the contact is on another channel than the conversation."""
    if not state.channel or interaction.channel == state.channel:
        return []
    return switch(
        state,
        state.context,
        origin=state.channel,
        target=interaction.channel,
        interaction=interaction.number,
        by=by,
        actor=actor,
        policy=policy,
        now_ms=now_ms,
        reason=reason,
    )


def _check_carried(state: Conversation, text: str, channel: str, policy: Policy) -> None:
    """Raises `Refusal` where the text says what the channel may not carry."""
    if said := knowing.told(text, knowing.secrets(state.context, channel, policy.context)):
        raise _not_now(
            f"the text says {said!r}, which {channel} may not carry by policy (context: carries); leave it out, or "
            "reply on another channel"
        )


def _way_out(
    state: Conversation,
    channel: str,
    to: str,
    actor: str,
    identities: Sequence[str],
    parted: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> tuple[Interaction, list[AnyEvent]]:
    """The contact by which we speak on a channel (empty: where the newest one is), and the events that begin it where
    there is none."""
    for interaction in reversed(state.interactions):
        if channel and interaction.channel != channel:
            continue
        if to and interaction.identity != to:
            continue
        if interaction.identity in parted:
            continue  # It was unlinked: whoever answers there is somebody else.
        if not interaction.ended_at_ms or interaction is state.interactions[-1]:
            return interaction, []
    channel = channel or (state.interactions[-1].channel if state.interactions else "")
    kind = identity_kind(channel)
    reachable = [i for i in identities if (i == to if to else kind_of(i) == kind)]
    if to and to not in identities:
        raise Refusal(Code.INVALID, "to: this identity is not this customer's; link it first", field="to")
    if not channel or not reachable:
        raise Refusal(
            Code.INVALID,
            f"the customer has no {kind or 'known'} identity to reply to; name a channel they can be reached on",
            field="channel",
        )
    interaction = Interaction(
        number=state.interaction_count + 1,
        channel=channel,
        account=_account(state, channel, policy),
        identity=reachable[-1],
        direction=Direction.OUTBOUND,
    )
    started = InteractionStarted(
        at_ms=now_ms,
        actor=actor,
        interaction=interaction.number,
        channel=channel,
        account=interaction.account,
        identity=interaction.identity,
        direction=Direction.OUTBOUND,
        reason="an agent began it" if state.interactions else "",
        before=contact.before(state),
        rest_at_ms=contact.resting_ms(policy, channel, now_ms),
    )
    return interaction, [started]


def _account(state: Conversation, channel: str, policy: Policy) -> str:
    used = (i.account for i in reversed(state.interactions) if i.channel == channel)
    return next(used, policy.channel(channel).account)


def _references(state: Conversation, channel: str) -> list[str]:
    """The thread so far, oldest first: mails refer to Message-IDs (RFC 5322 §3.6.4), other channels to nothing."""
    return [r for r in state.references if "@" in r] if channel == "email" else []


def _own(state: Conversation, owner: str, actor: str, now_ms: int) -> list[AnyEvent]:
    if owner == state.owner:
        raise _not_now(f"{owner or 'nobody'} owns the conversation already")
    return [OwnerChanged(at_ms=now_ms, actor=actor, owner=owner, previous=state.owner)]


def _context(state: Conversation, command: SetContext, actor: str, policy: Policy, now_ms: int) -> list[AnyEvent]:
    item = _item(state, state.context, command, actor, policy, now_ms)
    known = knowing.after(state.context, [item])
    return [item, *withhold(known, state.channel, state.withheld, policy, actor="system", now_ms=now_ms)]


def _item(
    state: Conversation,
    known: Known,
    command: SetContext,
    actor: str,
    policy: Policy,
    now_ms: int,
    *,
    field: str = "key",
) -> ContextSet:
    """The item that is set, beside what is `known` by then; `field` is where a refusal points for want of room."""
    _name(command.key, "key")
    if isinstance(command.value, str) and len(command.value) > VALUE_MAX:
        raise Refusal(Code.OVER_LIMIT, f"a context value has at most {VALUE_MAX} characters", field="value")
    if command.sensitivity not in SENSITIVITIES:
        raise Refusal(Code.INVALID, f"sensitivity is one of {', '.join(SENSITIVITIES)}", field="sensitivity")
    newest = state.interactions[-1] if state.interactions else None
    given = Given(
        key=command.key,
        value=command.value,
        actor=actor,
        channel=newest.channel if newest else "",
        interaction=newest.number if newest else 0,
        sensitivity=command.sensitivity,
        verified=command.verified,
    )
    if reason := knowing.no_room(known, given.key, given.channel, actor):
        raise Refusal(Code.OVER_LIMIT, reason, field=field)
    return knowing.decide(known.get(command.key), given, policy.context, policy.version, now_ms)


def _offer(
    state: Conversation, command: OfferHandoff, actor: str, identities: Sequence[str], policy: Policy, now_ms: int
) -> list[AnyEvent]:
    """An offer, and the context items that its fields become; those that say nothing new become none."""
    _name(command.kind, "kind")
    _name(command.agent, "agent", empty=True)
    _name(command.queue, "queue", empty=True)
    _check_words(command.note, "note")
    if len(command.fields) > HANDOFF_FIELDS_MAX:
        raise Refusal(Code.OVER_LIMIT, f"an offer brings at most {HANDOFF_FIELDS_MAX} fields", field="fields")
    given: list[AnyEvent] = []
    known: Known = state.context
    for key, value in command.fields.items():
        item = known.get(key)
        if item is None or item.value != value or type(item.value) is not type(value):
            asked = SetContext(key=key, value=value, sensitivity=item.sensitivity if item else "normal")
            given.append(_item(state, known, asked, actor, policy, now_ms, field="fields"))
            known = knowing.after(state.context, given)
    given += withhold(known, state.channel, state.withheld, policy, actor="system", now_ms=now_ms) if given else []
    return handing_over.offer(state, command, given, known, actor, identities, policy, now_ms)


def _replay(state: Conversation, delivery: str, actor: str, now_ms: int) -> list[AnyEvent]:
    found = state.deliveries.get(delivery)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"no undelivered message {delivery} in this conversation", field="delivery")
    if found.state not in ("dead", "uncertain"):
        raise _not_now(f"the delivery is {found.state}; only a dead or uncertain one can be replayed")
    return [
        DeliveryReplayed(at_ms=now_ms, actor=actor, delivery=delivery),
        *attempt_first(state, found.channel, delivery, now_ms),
    ]


def _check_text(text: str) -> None:
    if not text.strip():
        raise Refusal(Code.INVALID, "text is empty", field="text")
    if len(text) > TEXT_MAX:
        raise Refusal(Code.OVER_LIMIT, f"text has at most {TEXT_MAX} characters", field="text")


def _check_words(text: str, field: str) -> None:
    if len(text) > VALUE_MAX:
        raise Refusal(Code.OVER_LIMIT, f"{field} has at most {VALUE_MAX} characters", field=field)


def _name(value: str, field: str, *, empty: bool = False) -> str:
    if (not value and not empty) or len(value) > NAME_MAX or (value and not value.isprintable()):
        raise Refusal(Code.INVALID, f"{field} must be printable and at most {NAME_MAX} characters", field=field)
    return value


def _not_now(message: str) -> Refusal:
    return Refusal(Code.NOT_ALLOWED_NOW, message)
