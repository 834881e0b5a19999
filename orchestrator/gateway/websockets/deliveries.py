"""Deliveries to gateway clients: which connection takes one, and what became of it.

An attempt was journaled before it came here, so every one ends in exactly one `Outcome` to its cell:

    nobody is connected for the account, or it never reached a socket     failed      surely not sent
    the client answered                                                   its answer
    it was written, and the connection broke or no answer came in time    uncertain

A client that answers after that (on its next connection) is still heard: its answer goes to the cell as a later
outcome of the same attempt, and the conversation decides what it is worth. So it does where nothing is known here of
the attempt: another gateway gave it out, or a former life of this one. Then the cell says whose it is.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from actors.commands.outcomes import NOT_THEIRS
from orchestrator.cell_lines.questions import Reply
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.peers import Cells
from protocol.errors import Code, Refusal
from protocol.frames import Deliver, Delivered
from protocol.ids import conversation_of, customer_of
from protocol.links import Answered, Attempt, Outcome, Refused
from protocol.oldest import forget_oldest
from protocol.outcomes import checked
from protocol.wording import digest_of

UNTAKEN = "untaken"
"""Nobody was there; the cell has it go out as soon as somebody is."""
UNANSWERED_MAX = 1024
"""Deliveries that one client may have unanswered; the next fail, and the conversation's back-off brings them again."""
ELSEWHERES_MAX = 1024
"""Answers of one client about attempts that nobody here gave it, and that their cells have not looked at yet; the next
is refused. As many as it may have unanswered: after a new start of the gateway it says all of them again."""
ANSWER_WITHIN_S = 60.0
"""Past it a written delivery is `uncertain`: a provider's slow API call fits, a hung client does not hold a
conversation's order for long."""
REMEMBERED_MAX = 10_000
"""Uncertain attempts whose late answers are still known, and outcomes that are told again where they are asked for."""


class Taker(Protocol):
    """A gateway client's connection, as deliveries see it."""

    def deliver(self, frame: Deliver) -> int:
        """Queues the frame; returns its number in the outgoing queue."""
        ...

    def written(self, number: int) -> bool:
        """Whether the frame with this number was given to the socket."""
        ...

    def answered_nothing(self, refusal: Refusal) -> None:
        """An answer of this client turned out to answer nothing; it may be gone by now."""
        ...


class _Waiting(Struct, frozen=True):
    """A delivery that a client has not answered."""

    attempt: Attempt
    number: int
    since_s: float


class Deliveries:
    """The gateway clients that take deliveries, by account. `clock_s` is any steady clock in seconds."""

    def __init__(self, cells: Cells, metrics: Metrics, *, clock_s: Callable[[], float]) -> None:
        self._cells = cells
        self._metrics = metrics
        self._clock_s = clock_s
        self._takers: dict[str, dict[Taker, None]] = {}
        """By account: who is given its deliveries."""
        self._speaks_for: dict[Taker, Sequence[str]] = {}
        """The accounts whose deliveries each may answer, whether there are such accounts now or not."""
        self._waiting: dict[Taker, dict[tuple[str, int], _Waiting]] = {}
        self._elsewheres: dict[Taker, int] = {}
        """How many answers of each are with the cells, about what nobody here gave it."""
        self._uncertain: dict[tuple[str, int], Attempt] = {}
        self._reported: dict[tuple[str, int], Outcome] = {}
        self._told: list[str] = []
        """Which accounts are taken, as every cell was told."""

    @property
    def unanswered(self) -> int:
        """Deliveries without an answer."""
        return sum(map(len, self._waiting.values()))

    def join(self, taker: Taker, accounts: Sequence[str], taken: Collection[str] | None = None) -> None:
        """This connection speaks for these accounts: its answers about their deliveries are heard. It takes those of
        all, or of the ones that are `taken`."""
        self._waiting[taker] = {}
        self._elsewheres[taker] = 0
        self._speaks_for[taker] = accounts
        self.take(taker, accounts if taken is None else taken)

    def take(self, taker: Taker, accounts: Collection[str]) -> None:
        """It takes deliveries of these accounts from now on, and of no others."""
        for account in [account for account, takers in self._takers.items() if taker in takers]:
            del self._takers[account][taker]
            if not self._takers[account]:
                del self._takers[account]
        for account in accounts:
            self._takers.setdefault(account, {})[taker] = None
        self._say_taken()

    def leave(self, taker: Taker) -> None:
        """The connection is gone: what it was given and did not answer is failed or uncertain."""
        self.take(taker, ())
        self._speaks_for.pop(taker, None)
        self._elsewheres.pop(taker, None)
        for waiting in self._waiting.pop(taker, {}).values():
            if taker.written(waiting.number):
                self._unsure(waiting.attempt, "the client disconnected before it answered")
            else:
                self._report(waiting.attempt, UNTAKEN, reason="the client disconnected before it was told")

    def fresh(self, cell: int) -> None:
        """The cell is new: it does not know who is here."""
        self._cells.takers_are(self._told, cell)

    def deliver(self, attempt: Attempt) -> None:
        """Gives an attempt to the least busy of the account's clients. One that is given out again (`attempt.again`) is
        waited for where a client has it, repeated where its answer is known, else uncertain: it may have been made."""
        if attempt.again:
            self._deliver_again(attempt)
            return
        takers = self._takers.get(attempt.account)
        if not takers:
            self._report(attempt, UNTAKEN, reason="no gateway client is connected for the account")
            return
        taker = min(takers, key=lambda one: len(self._waiting[one]))
        if len(self._waiting[taker]) >= UNANSWERED_MAX:
            self._report(
                attempt, "failed", reason=f"the account's gateway clients have {UNANSWERED_MAX} unanswered each"
            )
            return
        number = taker.deliver(
            Deliver(
                delivery=attempt.delivery,
                attempt=attempt.number,
                account=attempt.account,
                channel=attempt.channel,
                to=attempt.to,
                text=attempt.text,
                subject=attempt.subject,
                references=attempt.references,
                digest=digest_of(attempt.to, attempt.subject, attempt.text),
            )
        )
        self._waiting[taker][attempt.delivery, attempt.number] = _Waiting(attempt, number, self._clock_s())

    def _say_taken(self) -> None:
        """Ahead of what is said to be `untaken` from here on, so that a cell which hears that knows why."""
        taken = sorted(self._takers)
        if taken != self._told:
            self._told = taken
            self._cells.takers_are(taken)

    def _deliver_again(self, attempt: Attempt) -> None:
        key = (attempt.delivery, attempt.number)
        if any(key in waiting for waiting in self._waiting.values()):
            return
        if known := self._reported.get(key):
            self._tell(known)
        else:
            self._unsure(attempt, "the gateway was replaced during the attempt")

    def delivered(self, taker: Taker, frame: Delivered) -> None:
        """A client's answer. Raises `Refusal` where it is known here that it answers nothing; else the taker hears that
        when the cell has looked."""
        frame = checked(frame)
        attempt = self._answered(taker, (frame.delivery, frame.attempt))
        if attempt is None:
            self._ask_whose(taker, frame)
        else:
            self._report(attempt, frame.status, external_id=frame.external_id, code=frame.code, reason=frame.reason)

    def _answered(self, taker: Taker, key: tuple[str, int]) -> Attempt | None:
        """The attempt that the client answers, which is from then on none that is to be answered; None where nothing is
        known of one here. Raises `Refusal`.

        It may answer on another connection than the one that was given the attempt: that one may be broken, and nobody
        have noticed yet."""
        holder = taker if key in self._waiting[taker] else next((o for o, w in self._waiting.items() if key in w), None)
        attempt = self._waiting[holder][key].attempt if holder is not None else self._uncertain.get(key)
        if attempt is None:
            if key in self._reported:
                raise _answers_nothing(key[0])
            return None
        if attempt.account not in self._speaks_for[taker]:
            raise Refusal(Code.UNKNOWN_ACCOUNT, NOT_THEIRS, ref=key[0])
        if holder is not None:
            del self._waiting[holder][key]
        else:
            del self._uncertain[key]
        return attempt

    def _ask_whose(self, taker: Taker, frame: Delivered) -> None:
        """Puts an answer to the conversation that its delivery left from, which knows its account and its attempts."""
        accounts = list(self._speaks_for[taker])
        if not accounts:
            raise _answers_nothing(frame.delivery)
        if self._elsewheres[taker] >= ELSEWHERES_MAX:
            text = f"delivered: {ELSEWHERES_MAX} answers about what others gave out are looked at; say it again later"
            raise Refusal(Code.OVERLOADED, text, ref=frame.delivery)
        self._elsewheres[taker] += 1
        conversation = conversation_of(frame.delivery)
        customer = customer_of(conversation)

        def outcome(ref: int) -> Outcome:
            return Outcome(
                ref=ref,
                customer=customer,
                conversation=conversation,
                delivery=frame.delivery,
                attempt=frame.attempt,
                status=frame.status,
                external_id=frame.external_id,
                code=frame.code,
                reason=frame.reason,
                accounts=accounts,
            )

        self._cells.ask(customer, outcome, lambda reply: self._looked_at(taker, frame, reply))

    def _looked_at(self, taker: Taker, frame: Delivered, reply: Reply) -> None:
        if taker in self._elsewheres:
            self._elsewheres[taker] -= 1
        match reply:
            case Refused(code=code, message=message):
                taker.answered_nothing(Refusal(Code(code), message, ref=frame.delivery))
            case Answered(status="committed"):
                self._metrics.deliveries.labels(frame.status).inc()
            case _:
                taker.answered_nothing(_answers_nothing(frame.delivery))

    def expire(self, taker: Taker) -> None:
        """Gives up on answers that are overdue; called at heartbeats."""
        overdue = self._clock_s() - ANSWER_WITHIN_S
        mine = self._waiting[taker]
        for key in [key for key, waiting in mine.items() if waiting.since_s <= overdue]:
            self._unsure(mine.pop(key).attempt, f"the client did not answer within {ANSWER_WITHIN_S:g} s")

    def _unsure(self, attempt: Attempt, reason: str) -> None:
        self._uncertain[attempt.delivery, attempt.number] = attempt
        forget_oldest(self._uncertain, REMEMBERED_MAX)
        self._report(attempt, "uncertain", reason=reason)

    def _report(
        self, attempt: Attempt, status: str, *, external_id: str = "", code: str = "", reason: str = ""
    ) -> None:
        self._metrics.deliveries.labels("failed" if status == UNTAKEN else status).inc()
        # Whose it was when it began: who had it as the attempt was made may have been merged since, without it.
        customer = customer_of(attempt.conversation)
        outcome = Outcome(
            ref=0,
            customer=customer,
            conversation=attempt.conversation,
            delivery=attempt.delivery,
            attempt=attempt.number,
            status=status,
            external_id=external_id,
            code=code,
            reason=reason,
        )
        self._reported[attempt.delivery, attempt.number] = outcome
        forget_oldest(self._reported, REMEMBERED_MAX)
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        # The cell says what it made of it; there is nobody here to tell.
        self._cells.ask(outcome.customer, lambda ref: msgspec.structs.replace(outcome, ref=ref), lambda reply: None)


def _answers_nothing(delivery: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, "delivered: no attempt of this number waits for an answer", ref=delivery)
