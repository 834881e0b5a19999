"""Replying: by which contact we speak to the customer, with the switch of channels that comes of it. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from actors.commands import checks
from actors.commands.delivery import attempt_first, has_room
from actors.context import withholding
from actors.context.switching import Change, switch
from actors.inbound import contact
from actors.rules import accounts
from actors.rules.policy import Policy, identity_kind
from actors.state.conversation import DELIVERIES_MAX, Conversation
from protocol.commands import Reply, SwitchChannel
from protocol.entities import Direction, Interaction
from protocol.errors import Code, Refusal, shown
from protocol.events import AnyEvent, InteractionStarted, MessageQueued
from protocol.events.event import SYSTEM
from protocol.identities import kind_of
from protocol.inbound import TEXT_MAX

_REACHED = {"email": ("mailto",), "sms": ("tel", "whatsapp")}
"""Kinds of identities that a channel reaches, where that is known: a chat may know people by anything."""


class _Wanted(Struct, frozen=True, gc=False):
    """By what somebody wants to speak to the customer; what is empty is as it was."""

    channel: str
    account: str = ""
    to: str = ""


def reply(
    state: Conversation,
    command: Reply,
    actor: str,
    identities: Sequence[str],
    parted: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    """The message, queued on the contact it goes out by; and the switch, where that is on another channel."""
    checks.check_text(command.text)
    if not has_room(state):
        text = f"{DELIVERIES_MAX} messages of this conversation have not left yet, or are held: see the outbox"
        raise Refusal(Code.OVER_LIMIT, text)
    wanted = _Wanted(command.channel, command.account, command.to)
    interaction, started = _way_out(state, wanted, actor, identities, parted, policy, now_ms)
    if not interaction.account:
        raise Refusal(Code.INVALID, f"no account is set up to reply on {interaction.channel}", field="channel")
    _check_account(interaction, policy)
    instead = "shorten it, say it in more than one reply, or go on by another channel"
    accounts.check_fits(command.text, interaction.account, interaction.channel, policy, instead=instead)
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
        subject=command.subject
        or withholding.subject_for(state.subject, state.context, interaction.channel, policy.context),
        references=_references(state, interaction.channel),
    )
    moved = _moved(state, interaction, "agent", actor, policy, now_ms)
    return [*started, queued, *attempt_first(state, interaction.channel, delivery, now_ms), *moved]


def switch_to(
    state: Conversation,
    command: SwitchChannel,
    actor: str,
    identities: Sequence[str],
    parted: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> list[AnyEvent]:
    """An agent goes on by another channel, before a word is said there."""
    if checks.check_name(command.channel, "channel") == state.channel:
        raise checks.not_now(f"the conversation goes on by {command.channel} already")
    if len(command.reason) > TEXT_MAX:
        raise Refusal(Code.OVER_LIMIT, f"reason has at most {TEXT_MAX} characters", field="reason")
    wanted = _Wanted(command.channel, command.account, command.to)
    interaction, started = _way_out(state, wanted, actor, identities, parted, policy, now_ms)
    if interaction.account:  # Without one it is agents themselves who go on there, by telephone say.
        _check_account(interaction, policy)
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
    interaction, started = _way_out(state, _Wanted(channel), SYSTEM, identities, parted, policy, now_ms)
    if interaction.account and accounts.gone(interaction.account, interaction.channel, policy):
        return []
    reason = f"fallback: {given_up.channel} goes on by {channel}; {delivery} was given up"
    return [*started, *_moved(state, interaction, "rule", SYSTEM, policy, now_ms, reason=reason)]


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
    change = Change(
        origin=state.channel,
        target=interaction.channel,
        interaction=interaction.number,
        by=by,
        actor=actor,
        reason=reason,
    )
    return switch(state, state.context, change, policy, now_ms)


def _check_carried(state: Conversation, text: str, channel: str, policy: Policy) -> None:
    """Raises `Refusal` where the text says what the channel may not carry."""
    if said := withholding.told(text, withholding.secrets(state.context, channel, policy.context)):
        raise checks.not_now(
            f"the text says {said!r}, which {channel} may not carry by policy (context: carries); leave it out, or "
            "reply on another channel"
        )


def _check_account(interaction: Interaction, policy: Policy) -> None:
    instead = "name one of them as `account`"
    accounts.check_there(interaction.account, interaction.channel, policy, instead=instead)


def _way_out(
    state: Conversation,
    wanted: _Wanted,
    actor: str,
    identities: Sequence[str],
    parted: Sequence[str],
    policy: Policy,
    now_ms: int,
) -> tuple[Interaction, list[AnyEvent]]:
    """The contact by which we speak, and the events that begin it where there is none. Raises `Refusal`."""
    checks.check_name(wanted.account, "account", empty=True)
    if (open_one := _open_contact(state, wanted, parted)) is not None:
        return open_one, []
    channel = wanted.channel or _channel(state, wanted.account, policy)
    interaction = Interaction(
        number=state.interaction_count + 1,
        channel=channel,
        account=_account(state, wanted.account, channel, policy),
        identity=_reachable(channel, wanted.to, identities),
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
        reason=_beginning(actor) if state.interactions else "",
        before=contact.before(state),
        rest_at_ms=contact.resting_ms(policy, channel, now_ms),
    )
    return interaction, [started]


def _beginning(actor: str) -> str:
    return "a rule of the policy began it" if actor == SYSTEM else "an agent began it"


def _open_contact(state: Conversation, wanted: _Wanted, parted: Sequence[str]) -> Interaction | None:
    """The newest contact there that goes on, or is the newest of all."""
    for interaction in reversed(state.interactions):
        if wanted.channel and interaction.channel != wanted.channel:
            continue
        if wanted.account and interaction.account != wanted.account:
            continue
        if wanted.to and interaction.identity != wanted.to:
            continue
        if interaction.identity in parted:
            continue  # It was unlinked: whoever answers there is somebody else.
        if not interaction.ended_at_ms or interaction is state.interactions[-1]:
            return interaction
    return None


def _reachable(channel: str, to: str, identities: Sequence[str]) -> str:
    """The newest identity by which the customer is reached there. Raises `Refusal`."""
    kind = identity_kind(channel)
    reachable = [i for i in identities if (i == to if to else kind_of(i) == kind)]
    if to and to not in identities:
        raise Refusal(Code.INVALID, "to: this identity is not this customer's; link it first", field="to")
    if to and kind_of(to) not in _REACHED.get(channel, (kind_of(to),)):
        reason = f"to: {channel} reaches no {kind_of(to)} identity; name a channel that does, or leave `to` out"
        raise Refusal(Code.INVALID, reason, field="to")
    if not channel or not reachable:
        raise Refusal(
            Code.INVALID,
            f"the customer has no {shown(kind) or 'known'} identity to reply to; {_reached_by(identities)}",
            field="channel",
        )
    return reachable[-1]


def _reached_by(identities: Sequence[str]) -> str:
    """What an agent may do about a channel by which nobody is reached."""
    kinds = sorted({kind_of(identity) for identity in identities})
    if not kinds:
        return "link one first"
    return f"link one first, or choose a channel that fits what they have: {', '.join(kinds)}"


def _channel(state: Conversation, account: str, policy: Policy) -> str:
    """Where the newest contact by the account is, else the channel that it is a line of; without either, and without an
    account, where the newest contact of all is."""
    newest_first = list(reversed(state.interactions))
    if account:
        by_it = next((i.channel for i in newest_first if i.account == account), "")
        if channel := by_it or (policy.channel_of or {}).get(account, ""):
            return channel
    return newest_first[0].channel if newest_first else ""


def _account(state: Conversation, wanted: str, channel: str, policy: Policy) -> str:
    """The one that is wanted; else the newest that was used there, else the channel's own. Raises `Refusal`."""
    used = [i.account for i in reversed(state.interactions) if i.channel == channel]
    if not wanted:
        return next(iter(used), policy.channel(channel).account)
    if wanted not in used:
        accounts.check_serves(wanted, channel, policy)
    return wanted


def _references(state: Conversation, channel: str) -> list[str]:
    """The thread so far, oldest first: mails refer to Message-IDs (RFC 5322 §3.6.4), other channels to nothing."""
    return [r for r in state.references if "@" in r] if channel == "email" else []
