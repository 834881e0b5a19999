"""Commanding: what a conversation makes of an agent's command. Pure; raises `Refusal` where the state forbids it.

One owner at a time: `take` is refused while another agent owns it, so of two agents who take at once one is told.
"""

from collections.abc import Sequence
from typing import assert_never

from actors.commands import checks, replying
from actors.commands.delivery import attempt_first
from actors.commands.outcomes import NOT_LEFT
from actors.context import bringing
from actors.handoffs import handing_over
from actors.rules import accounts
from actors.rules.policy import Policy
from actors.state.conversation import DELIVERIES_MAX, Conversation
from actors.tags import about
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
    SettleDelivery,
    Snooze,
    Split,
    SwitchChannel,
    TagInteraction,
    Take,
    UnlinkIdentity,
    UnmergeCustomers,
    WithdrawHandoff,
)
from protocol.entities import Delivery, Status
from protocol.errors import Code, Refusal, shown
from protocol.events import (
    AnyEvent,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    DeliveryDead,
    DeliveryReplayed,
    DeliverySent,
    NoteAdded,
    OwnerChanged,
    QueueChanged,
)

OF_CLOSED = (AddNote, TagInteraction, SettleDelivery)
"""What may be said of a conversation that is over: it changes what is known of it, and nothing goes on there."""


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
    """The events of `command`, asked by `actor` (`agent:ann`). `identities` are the customer's, newest last; `parted`
    those that were unlinked. Raises `Refusal`."""
    if not state.live and not isinstance(command, OF_CLOSED):
        raise checks.not_now(
            "the conversation is closed, and can only be noted in, tagged and corrected (split, relate), and its held "
            "messages be settled; the customer's next contact opens a new one"
        )
    agent = actor.partition(":")[2]
    match command:
        case Reply():
            return replying.reply(state, command, actor, identities, parted, policy, now_ms)
        case AddNote(text=text):
            checks.check_text(text)
            return [NoteAdded(at_ms=now_ms, actor=actor, text=text)]
        case Take(force=force):
            if state.owner and state.owner != agent and not force:
                raise checks.not_now(f"{state.owner} owns the conversation; take it with force, or ask them")
            return _own(state, agent, actor, now_ms)
        case Assign(owner=owner):
            return _own(state, checks.check_name(owner, "owner", empty=True), actor, now_ms)
        case Move(queue=queue):
            checks.check_name(queue, "queue")
            if queue == state.queue:
                raise checks.not_now("the conversation is in that queue")
            return [QueueChanged(at_ms=now_ms, actor=actor, queue=queue, previous=state.queue)]
        case Snooze(until_ms=until_ms):
            if until_ms <= now_ms:
                raise Refusal(Code.INVALID, "until_ms must lie in the future", field="until_ms")
            return [ConversationSnoozed(at_ms=now_ms, actor=actor, until_ms=until_ms)]
        case Resolve(reason=reason):
            if state.status is Status.RESOLVED:
                raise checks.not_now("the conversation is resolved already")
            checks.check_words(reason, "reason")
            close_at_ms = now_ms + policy.close_after_resolved_ms
            return [ConversationResolved(at_ms=now_ms, actor=actor, close_at_ms=close_at_ms, reason=reason)]
        case Reopen(reason=reason):
            if state.status is not Status.RESOLVED:
                raise checks.not_now("the conversation is not resolved")
            checks.check_words(reason, "reason")
            return [ConversationReopened(at_ms=now_ms, actor=actor, reason=reason)]
        case SetContext():
            return bringing.set_context(state, command, actor, policy, now_ms)
        case SwitchChannel():
            return replying.switch_to(state, command, actor, identities, parted, policy, now_ms)
        case ReplayDelivery(delivery=delivery):
            return _replay(state, delivery, actor, parted, policy, now_ms)
        case SettleDelivery():
            return _settle(state, command, actor, now_ms)
        case OfferHandoff():
            return bringing.offer(state, command, actor, identities, policy, now_ms)
        case AcceptHandoff() | DeclineHandoff() | WithdrawHandoff():
            if not isinstance(command, AcceptHandoff):
                checks.check_words(command.reason, "reason")
            return handing_over.answer(state, command, actor, identities, policy, now_ms)
        case TagInteraction():
            return about.tag(state, command, policy.taxonomy, actor, now_ms)
        case Split() | Join() | Relate():
            raise AssertionError("corrections are of several conversations: see `deciding`")
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


def _own(state: Conversation, owner: str, actor: str, now_ms: int) -> list[AnyEvent]:
    if owner == state.owner:
        raise checks.not_now(f"{owner or 'nobody'} owns the conversation already")
    return [OwnerChanged(at_ms=now_ms, actor=actor, owner=owner, previous=state.owner)]


def _undelivered(state: Conversation, delivery: str) -> Delivery:
    found = state.deliveries.get(delivery)
    if found is None:
        text = (
            f"no undelivered message {shown(delivery)} in this conversation: it left, or it is a dead letter behind "
            f"{DELIVERIES_MAX} newer ones; then say it anew"
        )
        raise Refusal(Code.NOT_FOUND, text, field="delivery")
    return found


def _settle(state: Conversation, command: SettleDelivery, actor: str, now_ms: int) -> list[AnyEvent]:
    """Whether a held message left, says a person. It is in no line any more, so no further attempt follows."""
    found = _undelivered(state, command.delivery)
    if found.state != "uncertain":
        raise checks.not_now(f"the delivery is {found.state}; only of an uncertain one a person says whether it left")
    external_id = checks.check_provider_id(command.external_id, "external_id")
    if not command.left:
        if external_id:
            raise Refusal(Code.INVALID, "what did not leave has no id at its provider", field="external_id")
        reason = f"it did not leave, says {actor.partition(':')[2]}; before that: {found.reason}"
        return [DeliveryDead(at_ms=now_ms, actor=actor, delivery=found.id, code=NOT_LEFT, reason=reason)]
    return [DeliverySent(at_ms=now_ms, actor=actor, delivery=found.id, external_id=external_id)]


def _replay(
    state: Conversation, delivery: str, actor: str, parted: Sequence[str], policy: Policy, now_ms: int
) -> list[AnyEvent]:
    found = _undelivered(state, delivery)
    if found.state not in ("dead", "uncertain"):
        raise checks.not_now(f"the delivery is {found.state}; only a dead or uncertain one can be replayed")
    if found.to in parted:
        raise checks.not_now(f"{found.to} was unlinked from the customer: whoever answers there is somebody else")
    accounts.check_there(found.account, found.channel, policy, instead="say it anew by one of them")
    accounts.check_fits(found.text, found.account, found.channel, policy, instead="say it anew, and shorter")
    return [
        DeliveryReplayed(at_ms=now_ms, actor=actor, delivery=delivery),
        *attempt_first(state, found.channel, delivery, now_ms),
    ]
