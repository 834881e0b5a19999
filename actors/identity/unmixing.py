"""Unmixing: before a member leaves, what became mixed is taken apart, each contact by its own identity's home. Pure.

    a member's conversation with contacts of others        those go to a new one of the customer it was merged into
    another's conversation with contacts of the member     those go to a new one of the member

What was said moves along, as when an agent splits a conversation; nothing that was journaled changes. Nor is
anything of the one related to what is the other's any more, or known from there. So it is also with conversations that
left memory, as far as something of them is kept (`actors.identity.mixed`). What is not kept cannot be looked at: the
conversations are named.
"""

from collections.abc import Sequence
from functools import partial
from typing import assert_never

from actors.commands import delivery
from actors.commands.moving import ORIGINS_MAX, Events, elsewhere, overruled, take_along, words
from actors.context import knowing
from actors.identity import disputes, mixed
from actors.identity.members import Family
from actors.identity.merging import REASON_MAX, kept_by
from actors.identity.sides import Sides
from actors.inbound.matters import spoken
from actors.rules.policy import Policy
from actors.state import context_items
from actors.state.conversation import Conversation, interaction_of
from actors.state.journey import Journey
from protocol.commands import UnmergeCustomers
from protocol.entities import ContextValue, Interaction, Status
from protocol.errors import Code, Refusal, shown
from protocol.events import (
    AnyEvent,
    ConversationClosed,
    ConversationOpened,
    ConversationResolved,
    ConversationSnoozed,
    CorrelationCorrected,
    CustomerReleased,
    HandoffWithdrawn,
    OwnerChanged,
)
from protocol.events.corrections import UNMERGE

WHY = "the customers were unmerged"


def release(
    state: Journey, command: UnmergeCustomers, actor: str, policy: Policy, now_ms: int
) -> tuple[Events, CustomerReleased]:
    """The moves, and the release that follows them. Raises `Refusal`."""
    family, other = disputes.of(state).family, command.other
    member = family.members.get(other) if family is not None else None
    if family is None or member is None:
        text = f"{shown(other)} is not merged into {shown(state.customer)}"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, field="other")
    if member.via != state.customer:
        text = f"{other} was merged into {member.via}: unmerge that one first"
        raise Refusal(Code.NOT_ALLOWED_NOW, text, field="other")
    if len(command.reason) > REASON_MAX:
        raise Refusal(Code.OVER_LIMIT, f"a reason has at most {REASON_MAX} characters", field="reason")
    apart = _Apart(state, family, other, actor, policy, now_ms)
    for conversation in apart.conversations:
        apart.take(conversation)
    for conversation in apart.conversations:
        apart.unrelate(conversation)
        apart.forget(conversation)
    for conversation in apart.conversations:
        apart.disown(conversation)
    keys = {state.customer: state.once, **{id: each.once for id, each in family.members.items()}}
    # Also what it has heard of from others: some of that came for the identities that leave.
    leaving = apart.sides.leaving
    heard = [each for each in disputes.of(state).inherited if each[0] not in leaving]
    meanwhile = {id: once.since(member.marks.get(id, b"")) for id, once in keys.items() if id not in leaving}
    begun, came = (state.aside.replaying, state.aside.replayed) if state.aside is not None else ((), ())
    released = CustomerReleased(
        at_ms=now_ms,
        actor=actor,
        other=other,
        turn=member.turn + 1,
        members=leaving,
        links=[link for link in state.links if link.identity in apart.sides.identities],
        inherited=dict(disputes.also_of(heard, meanwhile)),
        unmoved=list(dict.fromkeys((*family.mixed, *apart.unmoved))),
        reason=command.reason,
        replaying=[id for id in begun if kept_by(id) in leaving],
        replayed=[id for id in came if kept_by(id) in leaving],
    )
    return [*apart.events, *apart.closings], released


class _Apart:
    """Gathers the moves of one release."""

    def __init__(self, state: Journey, family: Family, other: str, actor: str, policy: Policy, now_ms: int) -> None:
        self._state = state
        self._actor = actor
        self._policy = policy
        self._now_ms = now_ms
        self._other = other
        self.conversations = (*(mixed.again(packed) for _, packed in family.packed), *state.kept)
        """Of all that memory has something of, in the order in which they will leave it."""
        self.sides = Sides(state, family, other, self.conversations)
        self._opened = {state.customer: state.opened, other: family.members[other].opened}
        self.events: Events = []
        self.closings: Events = []
        """Come last: by each, memory may forget the conversation that closed first, which is then taken apart."""
        self.unmoved: list[str] = []
        self._went: dict[tuple[str, int], str] = {}
        """By conversation and number of a contact that went: where it is by now."""
        self._unsaid: dict[str, str] = {}
        """By conversation: a subject that is another person's, and that it has no more."""
        self._taken_back: set[str] = set()
        """Conversations of which an open offer ended."""

    def take(self, conversation: Conversation) -> None:
        """Moves what is not where it belongs, and lets each word stand again that another person's had taken the place
        of."""
        if self.sides.is_history(conversation):
            return
        leaves = self.sides.leaves(conversation.id)
        contacts = conversation.interactions
        moving = [each for each in contacts if self.sides.is_of_who_leaves(each, conversation.id) != leaves]
        movable = [each for each in moving if len(each.origins) < ORIGINS_MAX]
        if len(movable) < len(moving) or self.sides.has_forgotten(conversation):
            self.unmoved.append(conversation.id)
        stays = [each for each in conversation.interactions if each not in movable]
        if movable:
            self._move(conversation, movable, leaves=not leaves)
        again = overruled(conversation, stays, partial(self.sides.is_own, leaves=leaves))
        if stays and (movable or again):
            self.events += elsewhere(conversation, stays, self._actor, self._policy, self._now_ms, again=again)
        elif movable and conversation.live:
            self._end(conversation)

    def unrelate(self, conversation: Conversation) -> None:
        """What it was to a conversation that is another person's from now on, it is not any more; nor is what was done
        there its past."""
        related = conversation.relation
        carried = conversation.work.carried if conversation.work else None
        earlier = {each.conversation: None for each in (related, carried) if each is not None}
        subject, writer = conversation.subject, ""
        if subject and not self.sides.is_history(conversation):
            subject, writer = self.sides.subject(conversation, leaves=self.sides.leaves(conversation.id))
        if subject != conversation.subject:
            self._unsaid[conversation.id] = conversation.subject
            self._take_back(conversation)
            without = CorrelationCorrected(
                at_ms=self._now_ms,
                actor=self._actor,
                correction=UNMERGE,
                subject=subject,
                subject_by=writer,
                reason=WHY,
            )
            self._say(conversation.id, without)
        for other in earlier:
            named = related is not None and related.conversation == other and self._rests_on_what_went(conversation)
            if self.sides.leaves(conversation.id) == self.sides.leaves(other) and not named:
                continue
            corrected = CorrelationCorrected(
                at_ms=self._now_ms,
                actor=self._actor,
                correction=UNMERGE,
                other=other,
                previous=related if related is not None and related.conversation == other else None,
                reason=WHY,
            )
            self._say(conversation.id, corrected)

    def _rests_on_what_went(self, conversation: Conversation) -> bool:
        """Whether its relation says a number that only contacts named which are elsewhere by now."""
        went = [each for each in conversation.interactions if (conversation.id, each.number) in self._went]
        stays = [each for each in conversation.interactions if each not in went]
        numbers = [{key for each in some if each.tags for key in each.tags.keys} for some in (went, stays)]
        reason = conversation.relation.reason if conversation.relation else ""
        return any(spoken(key) in reason for key in numbers[0] - numbers[1])

    def disown(self, conversation: Conversation) -> None:
        """What was done in an earlier one is no account of this one's past with a subject that another person wrote."""
        carried = conversation.work.carried if conversation.work else None
        if carried is not None and carried.subject and carried.subject == self._unsaid.get(carried.conversation):
            corrected = CorrelationCorrected(
                at_ms=self._now_ms, actor=self._actor, correction=UNMERGE, other=carried.conversation, reason=WHY
            )
            self._say(conversation.id, corrected)

    def forget(self, conversation: Conversation) -> None:
        """Another person's words are not known here any more: those of contacts that went are known where these are,
        and those that were taken along where they were said, and with the contacts that they were taken along for."""
        if self.sides.is_history(conversation):
            return
        known = context_items.after(
            conversation.context, [event for stream, event in self.events if stream == conversation.id]
        )
        for key in known:
            for said in context_items.values_of(known[key]):
                if self.sides.said_by_who_leaves(conversation, key, said) == self.sides.leaves(conversation.id):
                    continue
                withdrawn = knowing.withdraw(
                    known[key],
                    said,
                    self._where(conversation, said),
                    self._policy.context,
                    version=self._policy.version,
                    actor=self._actor,
                    now_ms=self._now_ms,
                )
                known = context_items.drop(known, withdrawn)
                self._take_back(conversation)
                self._say(conversation.id, withdrawn)

    def _where(self, conversation: Conversation, said: ContextValue) -> str:
        """Where a word that is withdrawn is known; empty where history alone has it."""
        if said.came_from or not said.interaction:
            return said.came_from
        place = (conversation.id, said.interaction)
        if interaction_of(conversation, said.interaction) is not None:
            return self._went.get(place, "")
        elsewhere = (
            (each.id, i.number) for each in self.conversations for i in each.interactions if place in i.origins
        )
        return next((self._went.get(each, each[0]) for each in elsewhere), "")

    def _take_back(self, conversation: Conversation) -> None:
        """An open offer ends: its package names what is another person's. Whoever gives it offers it anew."""
        handoff = conversation.handoff
        if handoff is None or not handoff.open or conversation.id in self._taken_back:
            return
        self._taken_back.add(conversation.id)
        withdrawn = HandoffWithdrawn(at_ms=self._now_ms, actor=self._actor, lease=handoff.lease, reason=WHY)
        self._say(conversation.id, withdrawn)

    def _move(self, conversation: Conversation, moving: Sequence[Interaction], *, leaves: bool) -> None:
        """These contacts are of who leaves, or of who stays, and go to a new conversation of theirs."""
        to = self._other if leaves else self._state.customer
        self._take_back(conversation)
        self._opened[to] += 1
        fresh = Conversation(id=f"{to}-{self._opened[to]}", customer=to)
        opened = ConversationOpened(
            at_ms=self._now_ms,
            actor=self._actor,
            policy=self._policy.version,
            customer=to,
            queue=conversation.queue,
            subject=self.sides.subject(conversation, leaves=leaves)[0],
            reason=WHY,
        )
        self._say(fresh.id, opened)
        self._went |= {(conversation.id, each.number): fresh.id for each in moving}
        numbers = {each.number for each in moving}
        along = [
            (key, said)
            for key, said in words(conversation)
            if said.interaction not in numbers and self.sides.said_by_who_leaves(conversation, key, said) == leaves
        ]
        self.events += take_along(
            conversation,
            fresh,
            moving,
            self._actor,
            self._policy,
            self._now_ms,
            before=along,
            whose=partial(self.sides.is_own, leaves=leaves),
        )
        self._as_it_stood(conversation, fresh.id)

    def _as_it_stood(self, conversation: Conversation, fresh: str) -> None:
        """The new one has the agent who had this one, and is no more and no less work than it was."""
        if conversation.owner:
            self._say(fresh, OwnerChanged(at_ms=self._now_ms, actor=self._actor, owner=conversation.owner))
        match conversation.status:
            case Status.OPEN:
                pass
            case Status.SNOOZED:
                asleep = ConversationSnoozed(at_ms=self._now_ms, actor=self._actor, until_ms=conversation.wake_at_ms)
                self._say(fresh, asleep)
            case Status.RESOLVED:
                self._resolve(fresh, conversation.close_at_ms, conversation.resolved_at_ms)
            case Status.CLOSED:
                if conversation.resolved_at_ms:
                    self._resolve(fresh, self._now_ms, conversation.resolved_at_ms)
                self._say(fresh, ConversationClosed(at_ms=self._now_ms, actor=self._actor, reason=WHY))
            case _:
                assert_never(conversation.status)

    def _resolve(self, stream: str, close_at_ms: int, since_ms: int) -> None:
        """It is done since then: who is back is back since then, whoever they turn out to be."""
        done = ConversationResolved(
            at_ms=self._now_ms, actor=self._actor, close_at_ms=close_at_ms, reason=WHY, since_ms=since_ms
        )
        self._say(stream, done)

    def _end(self, conversation: Conversation) -> None:
        """All of it goes: this one is over when what it has to send has left."""
        if delivery.in_line(conversation):
            since_ms = conversation.resolved_at_ms if conversation.status is Status.RESOLVED else 0
            self._resolve(conversation.id, self._now_ms, since_ms)
        else:
            self._say(conversation.id, ConversationClosed(at_ms=self._now_ms, actor=self._actor, reason=WHY))

    def _say(self, stream: str, event: AnyEvent) -> None:
        (self.closings if isinstance(event, ConversationClosed) else self.events).append((stream, event))
