"""Deliveries to gateway clients: every attempt ends in exactly one outcome, and the right one."""

from typing import cast

import msgspec
import pytest

from orchestrator.cell_lines.questions import Reply
from orchestrator.gateway.health.metrics import Metrics
from orchestrator.gateway.websockets.deliveries import ANSWER_WITHIN_S, UNANSWERED_MAX, Deliveries
from protocol.errors import Code, Refusal
from protocol.frames import Deliver, Delivered
from protocol.links import Answered, AnyToCell, Attempt, Outcome, Refused, TakersAre
from protocol.outcomes import EXTERNAL_ID_MAX, WORDS_MAX
from protocol.wording import digest_of
from tests.orchestrator.gateway.fakes import FakeCells

NOW = Attempt("cu1", "cu1-1", "cu1-1.5", 1, "chat", "chat", "user:1", "hello", "", [])


class Taker:
    """A connection whose socket takes frames when told."""

    def __init__(self) -> None:
        self.frames: list[Deliver] = []
        self.refused: list[Refusal] = []
        self.taken = 0

    def deliver(self, frame: Deliver) -> int:
        self.frames.append(frame)
        return len(self.frames)

    def written(self, number: int) -> bool:
        return self.taken >= number

    def answered_nothing(self, refusal: Refusal) -> None:
        self.refused.append(refusal)


class Clock:
    """Seconds, in the test's hands."""

    s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def cells() -> FakeCells:
    """Where outcomes go."""
    return FakeCells()


@pytest.fixture
def clock() -> Clock:
    """The time, standing still."""
    return Clock()


@pytest.fixture
def deliveries(cells: FakeCells, clock: Clock) -> Deliveries:
    """With nobody connected."""
    return Deliveries(cells, Metrics(), clock_s=clock)


def number(n: int) -> Attempt:
    """One of several deliveries."""
    return msgspec.structs.replace(NOW, delivery=f"cu1-1.{n}")


def test_an_outcome_goes_to_whose_the_conversation_was_when_it_began(deliveries: Deliveries, cells: FakeCells) -> None:
    """From there it is sent on. Who had it as the attempt was made may have let it go, and have been merged itself."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    deliveries.deliver(msgspec.structs.replace(NOW, customer="cu2"))
    taker.taken = 1
    deliveries.leave(taker)
    assert [(outcome.customer, outcome.conversation) for outcome in cells.outcomes] == [("cu1", "cu1-1")]


def test_what_was_written_is_uncertain_and_what_was_not_is_untaken(deliveries: Deliveries, cells: FakeCells) -> None:
    """When the connection breaks."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    deliveries.deliver(number(1))
    deliveries.deliver(number(2))
    taker.taken = 1
    deliveries.leave(taker)
    assert [(outcome.delivery, outcome.status) for outcome in cells.outcomes] == [
        ("cu1-1.1", "uncertain"),
        ("cu1-1.2", "untaken"),
    ]
    assert deliveries.unanswered == 0


def test_the_least_busy_client_takes_the_next(deliveries: Deliveries) -> None:
    """Two connections of one account share its work."""
    one, two = Taker(), Taker()
    deliveries.join(one, ["chat"])
    deliveries.join(two, ["chat"])
    for n in range(4):
        deliveries.deliver(number(n))
    assert (len(one.frames), len(two.frames)) == (2, 2)


def test_a_client_that_answers_nothing_gets_no_more(deliveries: Deliveries, cells: FakeCells) -> None:
    """The next attempts fail, for the conversations' back-off to bring again; so they are not given to it as well."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    for n in range(UNANSWERED_MAX + 1):
        deliveries.deliver(number(n))
    assert [outcome.status for outcome in cells.outcomes] == ["failed"]
    assert len(taker.frames) == deliveries.unanswered == UNANSWERED_MAX


def test_what_did_not_go_well_says_why(deliveries: Deliveries, cells: FakeCells, clock: Clock) -> None:
    """Whoever looks at the conversation reads it there; the reasons are not the same."""
    deliveries.deliver(number(-1))
    told, hung, gone = Taker(), Taker(), Taker()
    deliveries.join(hung, ["chat"])
    for n in range(UNANSWERED_MAX + 1):
        deliveries.deliver(number(n))
    clock.s = ANSWER_WITHIN_S
    deliveries.expire(hung)
    told.taken = 1
    for taker in (told, gone):
        deliveries.join(taker, ["sms"])
        deliveries.deliver(msgspec.structs.replace(NOW, account="sms"))
        deliveries.leave(taker)
    deliveries.deliver(msgspec.structs.replace(NOW, number=7, again=True))
    reasons = {outcome.reason for outcome in cells.outcomes}
    assert len(reasons) == 6
    assert all(reasons)


def test_an_overdue_answer_is_uncertain_and_may_still_come(
    deliveries: Deliveries, cells: FakeCells, clock: Clock
) -> None:
    """A hung client does not hold a conversation's order for ever."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    deliveries.deliver(NOW)
    clock.s = ANSWER_WITHIN_S - 1
    deliveries.expire(taker)
    assert cells.outcomes == []
    clock.s = ANSWER_WITHIN_S
    deliveries.expire(taker)
    deliveries.delivered(taker, Delivered(delivery=NOW.delivery, attempt=1, status="sent"))
    assert [outcome.status for outcome in cells.outcomes] == ["uncertain", "sent"]


def test_an_answer_counts_once(deliveries: Deliveries, cells: FakeCells) -> None:
    """A second one answers nothing."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    deliveries.deliver(NOW)
    answer = Delivered(delivery=NOW.delivery, attempt=1, status="sent", external_id="x")
    deliveries.delivered(taker, answer)
    with pytest.raises(Refusal) as refused:
        deliveries.delivered(taker, answer)
    assert refused.value.code is Code.NOT_FOUND
    assert len(cells.outcomes) == 1


def test_an_attempt_given_out_again_is_never_sent_twice(deliveries: Deliveries, cells: FakeCells) -> None:
    """A client that has it is waited for; a known answer is told again; an unknown attempt is uncertain."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    deliveries.join(Taker(), ["chat"])
    again = msgspec.structs.replace(NOW, again=True)
    deliveries.deliver(NOW)
    deliveries.deliver(again)
    assert (len(taker.frames), cells.outcomes) == (1, [])
    deliveries.delivered(taker, Delivered(delivery=NOW.delivery, attempt=1, status="sent", external_id="x"))
    deliveries.deliver(again)
    assert [(outcome.status, outcome.external_id) for outcome in cells.outcomes] == [("sent", "x"), ("sent", "x")]
    deliveries.deliver(msgspec.structs.replace(again, number=2))
    assert cells.outcomes[-1].status == "uncertain"
    assert len(taker.frames) == 1


def test_cells_hear_who_is_there_ahead_of_what_nobody_took(deliveries: Deliveries, cells: FakeCells) -> None:
    """As the first client of an account comes and as its last one goes; a cell that is new, whatever there is."""
    order: list[object] = []
    # One list of both: what goes into either is of its type.
    cells.outcomes, cells.told = cast(list[Outcome], order), cast(list[AnyToCell], order)
    one, two = Taker(), Taker()
    deliveries.join(one, ["chat"])
    assert order == [TakersAre(["chat"])]
    deliveries.join(two, ["chat"])
    deliveries.leave(one)
    assert order == [TakersAre(["chat"])]
    order.clear()
    deliveries.deliver(NOW)
    deliveries.leave(two)
    deliveries.deliver(number(6))
    assert [getattr(each, "status", each) for each in order] == [TakersAre([]), "untaken", "untaken"]


def test_a_cell_that_is_new_hears_who_is_there_and_no_other_does(
    deliveries: Deliveries, cells: FakeCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others know; each word to them has them look through what waits."""
    told: list[tuple[list[str], int | None]] = []
    monkeypatch.setattr(cells, "takers_are", lambda accounts, cell=None: told.append((accounts, cell)))
    deliveries.join(Taker(), ["mail", "chat"])
    deliveries.fresh(1)
    assert told == [(["chat", "mail"], None), (["chat", "mail"], 1)]


def test_a_client_is_given_all_that_there_is_to_send(deliveries: Deliveries) -> None:
    """It asks nobody else."""
    taker = Taker()
    deliveries.join(taker, ["mail"])
    deliveries.deliver(
        Attempt("cu1", "cu1-1", "cu1-1.5", 3, "email", "mail", "mailto:ann@example.org", "hello", "Bill", ["m1"])
    )
    assert taker.frames == [
        Deliver(
            delivery="cu1-1.5",
            attempt=3,
            account="mail",
            channel="email",
            to="mailto:ann@example.org",
            text="hello",
            subject="Bill",
            references=["m1"],
            digest=digest_of("mailto:ann@example.org", "Bill", "hello"),
        )
    ]


def test_a_client_is_given_its_own_accounts_deliveries(deliveries: Deliveries, cells: FakeCells) -> None:
    """As long as it is there; who else takes one of them goes on when it leaves."""
    chat, both = Taker(), Taker()
    deliveries.join(chat, ["chat"])
    deliveries.join(both, ["chat", "mail"])
    deliveries.deliver(msgspec.structs.replace(number(1), account="mail"))
    deliveries.leave(both)
    deliveries.deliver(msgspec.structs.replace(number(2), account="mail"))
    deliveries.deliver(number(3))
    assert [frame.delivery for frame in both.frames] == ["cu1-1.1"]
    assert [frame.delivery for frame in chat.frames] == ["cu1-1.3"]
    assert [(outcome.delivery, outcome.status) for outcome in cells.outcomes] == [
        ("cu1-1.1", "untaken"),
        ("cu1-1.2", "untaken"),
    ]


@pytest.mark.parametrize("status", ["sent", "failed", "refused", "uncertain"])
def test_a_clients_answer_reaches_the_conversation_as_it_is(cells: FakeCells, clock: Clock, status: str) -> None:
    """And is counted."""
    metrics = Metrics()
    deliveries, taker = Deliveries(cells, metrics, clock_s=clock), Taker()
    deliveries.join(taker, ["chat"])
    deliveries.deliver(NOW)
    assert deliveries.unanswered == 1
    answer = Delivered(delivery=NOW.delivery, attempt=1, status=status, external_id="x", code="30008", reason="off")
    deliveries.delivered(taker, answer)
    assert deliveries.unanswered == 0
    [outcome] = cells.outcomes
    assert outcome.ref > 0, "or the cell's reply would reach nobody, and it would be told again for ever"
    assert msgspec.structs.replace(outcome, ref=0) == Outcome(
        0, "cu1", "cu1-1", NOW.delivery, 1, status, external_id="x", code="30008", reason="off"
    )
    counted = metrics.registry.get_sample_value("throughline_gateway_deliveries_total", {"status": status})
    assert counted == 1


def test_what_nobody_took_counts_as_failed(cells: FakeCells, clock: Clock) -> None:
    """It did not leave; that it goes out as soon as somebody is there is the cell's affair."""
    metrics = Metrics()
    Deliveries(cells, metrics, clock_s=clock).deliver(NOW)
    assert metrics.registry.get_sample_value("throughline_gateway_deliveries_total", {"status": "failed"}) == 1


ANSWERS: dict[str, tuple[Delivered, Code, str]] = {
    "with a word that is none": (Delivered(delivery=NOW.delivery, attempt=1, status="lost"), Code.INVALID, "status"),
    "with the server's own word": (
        Delivered(delivery=NOW.delivery, attempt=1, status="untaken"),
        Code.INVALID,
        "status",
    ),
    "with an id that no provider gives": (
        Delivered(delivery=NOW.delivery, attempt=1, status="sent", external_id="x" * (EXTERNAL_ID_MAX + 1)),
        Code.OVER_LIMIT,
        "external_id",
    ),
    "with an id that no text holds": (
        Delivered(delivery=NOW.delivery, attempt=1, status="sent", external_id="x\0"),
        Code.INVALID,
        "external_id",
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_answers_nothing_is_refused(deliveries: Deliveries, cells: FakeCells, case: str) -> None:
    """The attempt is still to be answered."""
    answer, code, field = ANSWERS[case]
    taker = Taker()
    deliveries.join(taker, ["chat"])
    deliveries.deliver(NOW)
    with pytest.raises(Refusal) as refused:
        deliveries.delivered(taker, answer)
    assert (refused.value.code, refused.value.field, refused.value.ref) == (code, field, answer.delivery)
    assert (cells.outcomes, deliveries.unanswered) == ([], 1)


SENT = Delivered(delivery=NOW.delivery, attempt=1, status="sent", external_id="x")


@pytest.mark.parametrize("given_here", [True, False])
def test_what_a_provider_says_of_it_is_kept_as_far_as_people_read(
    deliveries: Deliveries, cells: FakeCells, given_here: bool
) -> None:
    """A page of HTML in the place of an error is in no journal, and what became of the message is heard anyway."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    if given_here:
        deliveries.deliver(NOW)
    whole = "x" * EXTERNAL_ID_MAX
    said = msgspec.structs.replace(
        SENT, status="refused", external_id=whole, code="\0" + "c" * WORDS_MAX, reason="r" * (WORDS_MAX + 1)
    )
    deliveries.delivered(taker, said)
    outcome = cells.outcomes[-1]
    kept = (outcome.status, outcome.external_id, outcome.code, outcome.reason)
    assert kept == ("refused", whole, " " + "c" * (WORDS_MAX - 1), "r" * WORDS_MAX)


def disconnect(deliveries: Deliveries, *, first: Taker, clock: Clock) -> None:
    """The client's connection breaks."""
    first.taken = 1
    deliveries.leave(first)


def hang(deliveries: Deliveries, *, first: Taker, clock: Clock) -> None:
    """The client is there, and does not answer in time."""
    clock.s = ANSWER_WITHIN_S
    deliveries.expire(first)


def nothing(deliveries: Deliveries, *, first: Taker, clock: Clock) -> None:
    """The connection is broken, and nobody has noticed yet."""


BEFORE_ANSWER = {"after a disconnect": disconnect, "overdue": hang, "on a connection beside it": nothing}


@pytest.mark.parametrize("case", BEFORE_ANSWER)
@pytest.mark.parametrize("others", [[], ["mail"]])
def test_an_answer_is_heard_on_another_connection_of_the_account(
    deliveries: Deliveries, cells: FakeCells, clock: Clock, case: str, others: list[str]
) -> None:
    """Once, whichever of the account's clients it is."""
    first, second = Taker(), Taker()
    deliveries.join(first, ["chat"])
    deliveries.deliver(NOW)
    BEFORE_ANSWER[case](deliveries, first=first, clock=clock)
    deliveries.join(second, ["chat", *others])
    deliveries.delivered(second, SENT)
    with pytest.raises(Refusal) as refused:
        deliveries.delivered(second, SENT)
    assert refused.value.code is Code.NOT_FOUND
    assert cells.outcomes[-1].status == "sent"
    told = len(cells.outcomes)
    deliveries.leave(first)
    assert (deliveries.unanswered, len(cells.outcomes)) == (0, told)


@pytest.mark.parametrize("case", BEFORE_ANSWER)
def test_another_accounts_client_answers_nothing(
    deliveries: Deliveries, cells: FakeCells, clock: Clock, case: str
) -> None:
    """Whatever its token covers: what it did not ask to be given, it does not report on. The account's own does."""
    first, second, other = Taker(), Taker(), Taker()
    deliveries.join(first, ["chat"])
    deliveries.deliver(NOW)
    BEFORE_ANSWER[case](deliveries, first=first, clock=clock)
    deliveries.join(other, ["mail"])
    deliveries.join(second, ["chat"])
    told = len(cells.outcomes)
    for answer in (SENT, msgspec.structs.replace(SENT, status="refused")):
        with pytest.raises(Refusal, match="given to another account's client") as refused:
            deliveries.delivered(other, answer)
        assert (refused.value.code, refused.value.ref) == (Code.UNKNOWN_ACCOUNT, NOW.delivery)
    assert len(cells.outcomes) == told
    deliveries.delivered(second, SENT)
    assert cells.outcomes[-1].status == "sent"


def test_an_answer_is_heard_at_another_gateway_than_the_one_that_asked(cells: FakeCells, clock: Clock) -> None:
    """It goes to the conversation with the accounts of who says it, which knows by which the message was to leave."""
    asked, other = (Deliveries(cells, Metrics(), clock_s=clock) for _ in range(2))
    first, second = Taker(), Taker()
    asked.join(first, ["chat"])
    asked.deliver(NOW)
    first.taken = 1
    asked.leave(first)
    other.join(Taker(), ["sms"])
    other.join(second, ["chat", "mail"])
    other.delivered(second, msgspec.structs.replace(SENT, code="c", reason="r"))
    said = Outcome(1, "cu1", "cu1-1", NOW.delivery, 1, "sent", "x", "c", "r", ["chat", "mail"])
    assert msgspec.structs.replace(cells.outcomes[-1], ref=1) == said
    assert second.refused == []


COMMITTED = Answered(0, "committed", "cu1-1", 1, 1)
LOOKED_AT: dict[str, tuple[Reply, Code | None]] = {
    "it counts": (COMMITTED, None),
    "it changes nothing": (msgspec.structs.replace(COMMITTED, status="repeat", stream="", seq=0), Code.NOT_FOUND),
    "it is another account's": (Refused(0, Code.UNKNOWN_ACCOUNT, "not theirs"), Code.UNKNOWN_ACCOUNT),
    "there is no such customer": (Refused(0, Code.NOT_FOUND, "no customer"), Code.NOT_FOUND),
    "it is to be said again": (Refused(0, Code.OVERLOADED, "later"), Code.OVERLOADED),
}


@pytest.mark.parametrize("case", LOOKED_AT)
def test_a_client_hears_that_its_answer_from_elsewhere_counts_for_nothing(
    deliveries: Deliveries, cells: FakeCells, case: str
) -> None:
    """As soon as the cell has looked; and nothing where it counts."""
    cells.outcome_reply, code = LOOKED_AT[case]
    taker = Taker()
    deliveries.join(taker, ["chat"])
    deliveries.delivered(taker, SENT)
    assert [(refusal.code, refusal.ref) for refusal in taker.refused] == ([(code, NOW.delivery)] if code else [])
    if isinstance(reply := cells.outcome_reply, Refused):
        assert taker.refused[0].message == reply.message


def test_answers_from_elsewhere_are_bounded(
    deliveries: Deliveries, cells: FakeCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs its cell a look: a client says the next when those are over. What it has here it goes on answering."""
    monkeypatch.setattr("orchestrator.gateway.websockets.deliveries.ELSEWHERES_MAX", 2)
    taker, other = Taker(), Taker()
    deliveries.join(taker, ["chat"])
    deliveries.deliver(NOW)
    deliveries.join(other, ["chat"])
    cells.held = True
    for n in (6, 7):
        deliveries.delivered(taker, msgspec.structs.replace(SENT, delivery=f"cu1-1.{n}"))
    with pytest.raises(Refusal) as refused:
        deliveries.delivered(taker, msgspec.structs.replace(SENT, delivery="cu1-1.8"))
    assert refused.value.code is Code.OVERLOADED
    deliveries.delivered(taker, SENT)
    deliveries.delivered(other, msgspec.structs.replace(SENT, delivery="cu1-1.9"))
    deliveries.leave(other)
    cells.release()
    deliveries.delivered(taker, msgspec.structs.replace(SENT, delivery="cu1-1.8"))
    assert {outcome.delivery for outcome in cells.outcomes} == {f"cu1-1.{n}" for n in range(5, 10)}


def test_who_takes_no_deliveries_answers_none(deliveries: Deliveries, cells: FakeCells) -> None:
    """Nobody is asked whether it might."""
    taker = Taker()
    deliveries.join(taker, [])
    with pytest.raises(Refusal) as refused:
        deliveries.delivered(taker, SENT)
    assert refused.value.code is Code.NOT_FOUND
    assert cells.outcomes == []


def test_only_what_the_client_itself_has_is_overdue(deliveries: Deliveries, cells: FakeCells, clock: Clock) -> None:
    """Each connection's heartbeats look after its own; and of these each by its own time."""
    one, two = Taker(), Taker()
    deliveries.join(one, ["chat"])
    deliveries.join(two, ["chat"])
    deliveries.deliver(number(1))
    deliveries.deliver(number(2))
    clock.s = 1
    deliveries.deliver(number(3))
    clock.s = ANSWER_WITHIN_S
    deliveries.expire(one)
    assert [(outcome.delivery, outcome.status) for outcome in cells.outcomes] == [("cu1-1.1", "uncertain")]
    assert deliveries.unanswered == 2


def test_what_is_remembered_of_attempts_is_bounded(
    deliveries: Deliveries, cells: FakeCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that are long over nobody knows any more: given out again they are uncertain, and never sent."""
    monkeypatch.setattr("orchestrator.gateway.websockets.deliveries.REMEMBERED_MAX", 8)
    taker = Taker()
    deliveries.join(taker, ["chat"])
    for n in range(10):
        deliveries.deliver(number(n))
        deliveries.delivered(taker, Delivered(delivery=f"cu1-1.{n}", attempt=1, status="sent"))
    cells.outcomes.clear()
    for n in (9, 0):
        deliveries.deliver(msgspec.structs.replace(number(n), again=True))
    assert [(outcome.delivery, outcome.status) for outcome in cells.outcomes] == [
        ("cu1-1.9", "sent"),
        ("cu1-1.0", "uncertain"),
    ]
    for n in range(20, 30):
        deliveries.deliver(msgspec.structs.replace(number(n), again=True))
    cells.outcomes.clear()
    for n in (20, 29):
        deliveries.delivered(taker, Delivered(delivery=f"cu1-1.{n}", attempt=1, status="sent"))
    # Of the first one nothing is known here any more: its cell is asked whether it is this client's.
    assert [outcome.accounts for outcome in cells.outcomes] == [["chat"], []]
    assert len(taker.frames) == 10


def test_a_client_that_was_not_let_in_leaves_nothing(deliveries: Deliveries, cells: FakeCells) -> None:
    """Its connection closes as any other; those who are there go on."""
    taker = Taker()
    deliveries.join(taker, ["chat"])
    cells.told.clear()
    deliveries.leave(Taker())
    deliveries.deliver(NOW)
    assert (cells.told, cells.outcomes, len(taker.frames)) == ([], [], 1)
