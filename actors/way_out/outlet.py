"""The outlet: what leaves a cell at a commit, and in what order.

replies and updates      in the order they were decided, a snapshot between the updates before and after it
attempts                 to who serves the account
rows of watched lists    when memory and journal agree, since a row shows the state as a whole
"""

from collections.abc import Callable, Collection, Mapping

from actors.cells.astray import Astray
from actors.cells.live import Envelope, Gated, Live, Promise, Step
from actors.cells.rehoming import Rehomings
from actors.cells.stepping import Reply
from actors.commands import delivery as deliveries
from actors.lines import Line
from actors.state import journey as journeys
from actors.state.conversation import Conversation
from actors.state.journey import Journey
from actors.way_out.dispatch import Dispatch
from actors.way_out.untaken import Untaken
from actors.way_out.watching import Watchers
from protocol.events import DeliveryAttempted, DeliveryDead, DeliveryFailed, DeliverySent, DeliveryUncertain
from protocol.links import Answered, AnyFromCell, Attempt, Outcome, Rehomed, Watched


class Outlet:
    """`served_by` says which kind of peer serves an account's deliveries; `moved_away`, of an account and a channel,
    that it serves that channel's no more, or nothing; `refuse` takes the outcome of an attempt that nobody serves.
    `position` is that of the newest commit that the cell knows of."""

    def __init__(
        self,
        served_by: Mapping[str, str],
        refuse: Callable[[Outcome], None],
        moved_away: Callable[[str, str], str],
    ) -> None:
        self.fronts: dict[str, Line] = {}
        """Gateways and channel hosts, by name."""
        self.position = 0
        self.rehomings = Rehomings()
        self.astray = Astray()
        self.watchers = Watchers()
        self.untaken = Untaken()
        self.dispatch = Dispatch(served_by, self.untaken.takes)
        self._served_by = served_by
        self._refuse = refuse
        self._moved_away = moved_away

    def opened(self, line: Line, *, fresh: bool) -> None:
        """A gateway or channel host is there; one that is new has asked for nothing, and heard of nothing."""
        if fresh:
            self.watchers.forget(line.peer)
            self.rehomings.forget(line.peer)
            self.astray.forget(line.peer)
        self.fronts[line.peer] = line
        self.dispatch.opened(line, fresh=fresh)

    def reached(self, position: int) -> None:
        """What is committed up to there is known here."""
        self.position = max(self.position, position)

    def say_rehomed(self, customer: str, home: str, turn: int) -> None:
        """Tells all whose the customer's affairs are since this turn."""
        self.rehomings.tell(self.fronts.values(), Rehomed(0, customer, home, turn))

    def reply(self, live: Live, envelope: Envelope, reply: Reply | None) -> None:
        """Sends `reply` when what it was decided on is committed: now, where nothing is under way.

        Also a message without a reply is kept with its step: should that be refused, it is decided again.
        """
        gate = live.gate
        if gate is not None:
            gate.gated.append(Gated(envelope, reply, len(gate.entries)))
        elif envelope.line is not None and reply is not None:
            self._answer(envelope.line, reply, self.position)

    def _answer(self, line: Line, reply: Reply, position: int) -> None:
        if isinstance(reply, Rehomed):
            self.rehomings.said(line, reply)
        line.send(_placed(reply, position))

    def open_gate(self, live: Live, journey: Journey, step: Step, position: int) -> None:
        """The step is committed at `position`: what was gated in it leaves."""
        if position > self.position:
            self.position = position
        sent = 0
        for gated in step.gated:
            if isinstance(gated.reply, Watched):
                self.watchers.update(live.customer, step.entries[sent : gated.after_entries])
                sent = gated.after_entries
            if gated.reply is not None and gated.envelope.line is not None:
                self._answer(gated.envelope.line, gated.reply, position)
        self.watchers.update(live.customer, step.entries[sent:] if sent else step.entries)
        for conversation in step.gone:
            self.watchers.relist(live, conversation, (live.listed or {}).get(conversation.id, ()))
        if step.effects:
            self._carry_out(journey, step)
        for entry in step.entries:
            if entry.stream not in live.unlisted:
                live.unlisted = (*live.unlisted, entry.stream)

    def relist(self, live: Live, journey: Journey) -> None:
        """Memory and journal agree: list watchers are told of what changed."""
        for stream in live.unlisted:
            if conversation := journey.conversation(stream):
                if live.listed and (before := live.listed.get(stream)) is not None:
                    self.watchers.relist(live, conversation, before)
                else:
                    self.watchers.moved(live, conversation)
        live.unlisted, live.listed = (), None

    def loaded(self, journey: Journey) -> None:
        """What the journey has to send: attempts under way may have been handed out before; what waits for someone to
        take it is known from here on."""
        for conversation, delivery in journeys.attempting(journey):
            self.attempt(conversation, delivery, again=True)
        self._note_untaken(journey)

    def takers_are(self, gateway: str, accounts: Collection[str]) -> None:
        """All accounts that are taken there now."""
        self.untaken.takers_are(gateway, accounts)
        self.dispatch.takers_changed()

    def look_for_takers(self) -> list[str]:
        """Customers that have something to send which somebody takes by now; each is told once."""
        return self.untaken.to_look_at(self.dispatch.of_account, self._served_by)

    @property
    def taken(self) -> frozenset[str]:
        """The accounts that somebody takes and that there are, as far as was heard: a gateway may know a later version
        of the policy, and what would go out by an account that is not known here would be given up."""
        return self.untaken.taken.intersection(self._served_by)

    def awaits_taken(self, journey: Journey) -> bool:
        """Whether it has something to send that waited for somebody to take it, which somebody does by now."""
        taken = self.taken
        return bool(taken) and any(not taken.isdisjoint(deliveries.untaken(each)) for each in journey.kept)

    def forget(self, customer: str) -> None:
        """The customer is another's from now on, and so is what it has to send."""
        self.dispatch.forget(customer)
        self.untaken.forget(customer)

    def _note_untaken(self, journey: Journey) -> None:
        for conversation in journey.kept:
            if conversation.deliveries:
                self.untaken.waits(journey.customer, deliveries.untaken(conversation))

    def attempt(self, conversation: Conversation, delivery: str, *, again: bool) -> None:
        """Hands out a committed attempt. `again`: it may have been handed out before."""
        attempt = deliveries.attempt_of(conversation, delivery, again=again)
        if attempt is None:
            return
        why_not = self._why_not(attempt)
        if why_not is None or self.dispatch.is_with_somebody(attempt):
            self.dispatch.start(attempt)
        else:
            self._refuse(_unserved(attempt, *why_not))

    def accounts_changed(self) -> None:
        """Under another version of the policy: what waits for somebody who served an account that is gone, or another
        channel's by now, is over."""
        for attempt in self.dispatch.not_given():
            if (why_not := self._why_not(attempt)) is not None:
                self._refuse(_unserved(attempt, *why_not))

    def _why_not(self, attempt: Attempt) -> tuple[str, str] | None:
        """Code and reason where nobody serves the account, or not the message's channel."""
        if attempt.account not in self._served_by:
            return "no_account", f"no account {attempt.account} is configured"
        moved = self._moved_away(attempt.account, attempt.channel)
        return ("account_moved", moved) if moved else None

    def _carry_out(self, journey: Journey, step: Step) -> None:
        for stream, event in step.effects:
            match event:
                case DeliveryAttempted():
                    if conversation := journey.conversation(stream):
                        self.attempt(conversation, event.delivery, again=False)
                case DeliverySent() | DeliveryFailed() | DeliveryUncertain() | DeliveryDead():
                    # The next attempt of this delivery, if one was decided meanwhile, comes later in the step.
                    self.dispatch.settle(event.delivery)
                case _:
                    raise AssertionError(f"{type(event).__name__} has no effect outside")
        self._note_untaken(journey)


def _unserved(attempt: Attempt, code: str, reason: str) -> Outcome:
    """What becomes of an attempt that nobody serves. One that was handed out before may have been made."""
    status, then = ("uncertain", "; it may have left before") if attempt.again else ("refused", "")
    return Outcome(
        ref=0,
        customer=attempt.customer,
        conversation=attempt.conversation,
        delivery=attempt.delivery,
        attempt=attempt.number,
        status=status,
        code=code,
        reason=f"{reason}{then}",
    )


def _placed(reply: Reply, position: int) -> AnyFromCell:
    """A promise with its position filled in."""
    if isinstance(reply, Promise):
        return Answered(
            ref=reply.ref,
            status=reply.status,
            stream=reply.stream,
            seq=reply.seq,
            position=position,
            owns=reply.owns,
            why=reply.why,
            merge=reply.merge,
        )
    return reply
