"""Deliveries to gateway clients: every attempt ends in exactly one outcome, and the right one."""

import msgspec
import pytest

from orchestrator.gateway.deliveries import ANSWER_WITHIN_S, UNANSWERED_MAX, Deliveries
from orchestrator.gateway.metrics import Metrics
from protocol.errors import Code, Refusal
from protocol.frames import Deliver, Delivered
from protocol.links import DeliverNow, TakersAre
from tests.orchestrator.gateway.fakes import FakeCells

NOW = DeliverNow("cu1", "cu1-1", "cu1-1.5", 1, "chat", "chat", "user:1", "hello", "", [])


class Taker:
    """A connection whose socket takes frames when told."""

    def __init__(self) -> None:
        self.frames: list[Deliver] = []
        self.taken = 0

    def deliver(self, frame: Deliver) -> int:
        self.frames.append(frame)
        return len(self.frames)

    def written(self, number: int) -> bool:
        return self.taken >= number

    def speaks_for(self, account: str) -> bool:
        return account == "chat"


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


def number(n: int) -> DeliverNow:
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
    """The next attempts fail, for the conversations' back-off to bring again."""
    deliveries.join(Taker(), ["chat"])
    for n in range(UNANSWERED_MAX + 1):
        deliveries.deliver(number(n))
    assert [outcome.status for outcome in cells.outcomes] == ["failed"]


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
    again = msgspec.structs.replace(NOW, again=True)
    deliveries.deliver(NOW)
    deliveries.deliver(again)
    assert (len(taker.frames), cells.outcomes) == (1, [])
    deliveries.delivered(taker, Delivered(delivery=NOW.delivery, attempt=1, status="sent", external_id="x"))
    deliveries.deliver(again)
    assert [(outcome.status, outcome.external_id) for outcome in cells.outcomes] == [("sent", "x"), ("sent", "x")]
    deliveries.deliver(msgspec.structs.replace(again, attempt=2))
    assert cells.outcomes[-1].status == "uncertain"
    assert len(taker.frames) == 1


def test_cells_hear_who_is_there_ahead_of_what_nobody_took(deliveries: Deliveries, cells: FakeCells) -> None:
    """As the first client of an account comes and as its last one goes; a cell that is new, whatever there is."""
    order: list[object] = []
    cells.outcomes = order  # type: ignore[assignment]
    cells.told = order  # type: ignore[assignment]
    one, two = Taker(), Taker()
    deliveries.join(one, ["chat"])
    deliveries.join(two, ["chat"])
    deliveries.leave(one)
    assert order == [TakersAre(["chat"])]
    deliveries.fresh(0)
    assert order == [TakersAre(["chat"]), TakersAre(["chat"])]
    order.clear()
    deliveries.deliver(NOW)
    deliveries.leave(two)
    deliveries.deliver(number(6))
    assert [getattr(each, "status", each) for each in order] == [TakersAre([]), "untaken", "untaken"]
