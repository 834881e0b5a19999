"""Dedicated placement with fewer seats than customers: who moves loses no order, no word, no watcher, no timer."""

import asyncio
import itertools
import random
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import msgspec
import pytest

from actors.cells.loading import reached
from adapters.stores.folder import JOURNAL_FILE
from adapters.stores.journal.sqlite import SqliteJournal
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts.front import Front
from orchestrator.parts.usher import UsherPart
from orchestrator.settings import GatewayAccount, Http, Limits, Placement, Settings
from protocol.commands import Snooze
from protocol.commands import Take as TakeOwnership
from protocol.errors import Code, Refusal
from protocol.events import AnyEvent, ConversationWoken, MessageReceived
from protocol.ids import customer_of
from protocol.inbound import DeliveryReport, InboundEvent
from protocol.journal import Stale
from protocol.links import Answered, CustomerRead, ReadCustomer, Refused, Take
from protocol.shards import OWN_SCOPES, own_scope_of, scope_of
from tests.adapters.stores.units import Writer
from tests.orchestrator.attended import attended
from tests.orchestrator.test_inprocess import NOW_MS, arrival

DEADLINE_S = 30.0
"""Far more than anything here takes."""
SEATS = 3

_events = msgspec.json.Decoder(AnyEvent).decode


def settings(folder: Path, *, seats: int = SEATS) -> Settings:
    """A server of `seats` seats, two of them from the start."""
    return Settings(
        data=str(folder),
        placement="dedicated",
        limits=Limits(dedicated_max=seats, dedicated_warm=min(2, seats), drain_s=1.0),
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@asynccontextmanager
async def core(folder: Path, clock: Clock, *, seats: int = SEATS) -> AsyncIterator[tuple[InProcess, list[Front]]]:
    """Everything between an entrance and the disk, and two fronts as a gateway and a channel host have."""
    parts = ("journal", "archive", "usher", *(f"cell-{index}" for index in range(min(2, seats))))
    async with (
        asyncio.timeout(DEADLINE_S),
        in_process(settings(folder, seats=seats), folder, now_ms=clock, only=parts) as running,
    ):
        fronts = [Front(running.surroundings(name)) for name in ("gateway", "channels")]
        for front in fronts:
            await front.start()
        yield running, fronts
        for front in fronts:
            await front.stop()


class Talk:
    """Customers who talk through two fronts, each through one of them, without waiting for answers."""

    def __init__(self, fronts: Sequence[Front]) -> None:
        self._fronts = fronts
        self._numbers = itertools.count(1)
        self.said: dict[int, list[int]] = defaultdict(list)
        self.answers: dict[int, Answered] = {}
        self.under_way: list[asyncio.Task[None]] = []

    def say(self, customer: int) -> None:
        """One more word of a customer."""
        number = next(self._numbers)
        self.said[customer].append(number)
        event = arrival(str(number), id=str(number), identity=f"mailto:{customer}@example.org")
        front = self._fronts[customer % len(self._fronts)]
        self.under_way.append(asyncio.create_task(self._submit(front, number, event)))

    async def _submit(self, front: Front, number: int, event: InboundEvent) -> None:
        self.answers[number] = await front.intake.submit(event)

    async def check(self) -> None:
        """Everything is answered; every customer has one conversation, gap-free, with each word once and in order."""
        await asyncio.gather(*self.under_way)
        archive = self._fronts[0].archive
        await reached(archive, max(answer.position for answer in self.answers.values()))
        for said in self.said.values():
            [stream] = {self.answers[number].stream for number in said}
            events = await archive.events_of_stream(stream, 0, 100_000)
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            texts = [e.text for e in map(_events, (event.body for event in events)) if isinstance(e, MessageReceived)]
            assert texts == [str(number) for number in said]


@pytest.mark.parametrize("seats", [1, 2, 5])
async def test_more_customers_than_seats_keep_their_order(tmp_path: Path, seats: int) -> None:
    """With one seat, too: it is handed from one to the next, and everyone has a turn."""
    async with core(tmp_path, Clock(), seats=seats) as (running, fronts):
        talk = Talk(fronts)
        for number in range(600):
            talk.say(number * 7 % 20)
            if number % 20 == 0:
                await asyncio.sleep(0)
        await talk.check()
        figures = running.parts["usher"].status()
        assert figures["waiting_customers"] == 0
        assert 1 <= int(str(figures["seats_in_use"])) <= seats


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_dies_while_customers_move(tmp_path: Path, seed: int) -> None:
    """Parts are replaced and pipes break at random moments, several at a time; nothing answered is lost or twice."""
    chance = random.Random(seed)
    async with core(tmp_path, Clock(), seats=chance.choice([1, 2, 3, 5])) as (running, fronts):
        talk = Talk(fronts)
        broken: dict[str, asyncio.Task[None]] = {}
        mended: list[asyncio.Task[None]] = []
        for _ in range(40):
            for _ in range(chance.randrange(1, 30)):
                talk.say(chance.randrange(20))
            name = chance.choice(list(running.parts))
            if chance.random() < 0.3 and (name not in broken or broken[name].done()):
                broken[name] = asyncio.create_task(running.restart(name))
            if chance.random() < 0.5:
                mended.append(asyncio.create_task(_later(running.cut(chance.randrange(1000)), chance.randrange(60))))
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
        await asyncio.gather(*broken.values(), *mended)
        await talk.check()


async def test_who_watches_hears_all_wherever_a_customer_sits(tmp_path: Path) -> None:
    """An agent follows more conversations than there are seats, over moves and deaths of seats and usher."""
    async with attended(settings(tmp_path), tmp_path, within_s=DEADLINE_S) as there:
        customers = [f"mailto:{number}@example.org" for number in range(3 * SEATS)]
        for customer in customers:
            await there.gateway.send(arrival(f"first of {customer}", identity=customer))
        conversations = [await there.desk.conversation_with(f"first of {customer}") for customer in customers]
        for name in ("", "cell-0", "usher", "cell-1", ""):
            if name:
                await there.running.restart(name)
            for customer in customers:
                await there.gateway.send(arrival(f"after {name} of {customer}", identity=customer))
        for customer, conversation in zip(customers, conversations, strict=True):
            texts = [f"after {name} of {customer}" for name in ("", "cell-0", "usher", "cell-1", "")]
            await there.desk.heard(conversation, f"first of {customer}", *texts)
            seqs = [seq for seq, _ in there.desk.events[conversation]]
            assert seqs == list(range(1, len(seqs) + 1))


async def test_time_wakes_who_has_no_seat(tmp_path: Path) -> None:
    """A snooze ends though its customer left its seat long ago, and also where the usher has been replaced since."""
    clock = Clock()
    async with core(tmp_path, clock, seats=1) as (running, [front, _]):
        streams = []
        for number in range(4):
            first = await front.intake.submit(arrival(identity=f"mailto:{number}@example.org"))
            snooze = Snooze(until_ms=NOW_MS + (number + 1) * 600_000)
            await front.intake.command(actor="agent:ann", id=f"s{number}", command=snooze, conversation=first.stream)
            streams.append(first.stream)
        clock.now_ms += 2 * 600_000 + 1
        await _woken(front, streams[:2])
        await running.restart("usher")
        clock.now_ms += 600_000
        await _woken(front, streams[:3])
        await running.restart("cell-0")
        clock.now_ms += 600_000
        await _woken(front, streams)


async def test_who_is_nobody_takes_nobodys_seat(tmp_path: Path) -> None:
    """Reports, reads, watches and commands about ids that somebody made up are answered, and everyone stays."""
    async with core(tmp_path, Clock(), seats=2) as (running, [front, other]):
        streams = [(await front.intake.submit(arrival(identity=f"mailto:{n}@example.org"))).stream for n in range(3)]
        usher = running.parts["usher"]
        assert isinstance(usher, UsherPart)
        before = usher._usher._seating.seats()
        for number in range(20):
            nobody = f"cunobody{number}"
            report = InboundEvent(
                id=f"r{number}",
                source="test",
                account="chat",
                channel="chat",
                time_ms=NOW_MS,
                identities=[],
                data=DeliveryReport(delivery=f"{nobody}-1.4", status="read"),
            )
            with pytest.raises(Refusal) as refused:
                await front.intake.submit(report)
            assert (refused.value.code, refused.value.field) == (Code.NOT_FOUND, "data.delivery")
            with pytest.raises(Refusal) as refused:
                await front.intake.command(
                    actor="agent:eve", id=f"c{number}", command=TakeOwnership(), conversation=f"{nobody}-1"
                )
            assert refused.value.code == Code.NOT_FOUND
            read = await front.cells.call(nobody, partial(ReadCustomer, customer=nobody))
            assert isinstance(read, Refused)
        assert usher._usher._seating.seats() == before
        # Two of the three sit; the third is there all the same, and is found a seat.
        for customer in map(customer_of, streams):
            read = await other.cells.call(customer, partial(ReadCustomer, customer=customer))
            assert isinstance(read, CustomerRead)
            assert read.view is not None


async def test_two_seats_that_have_one_customer_do_not_fork_it(tmp_path: Path) -> None:
    """An usher that is wrong costs time: the one whose fence is older drops what it decided, and who asked asks on."""
    async with core(tmp_path, Clock(), seats=2) as (running, [front, other]):
        first = await front.intake.submit(arrival())
        usher = running.parts["usher"]
        assert isinstance(usher, UsherPart)
        here = front.cells.cell_of(_customer(first))
        # The other front hears it too late, or wrongly: its words go to a seat that has no right to them.
        lines = usher._usher._seats
        lines[1 - here].send(Take(_customer(first), due=False))
        for _ in range(50):
            await asyncio.sleep(0)
        answers = await asyncio.gather(
            *(each.intake.submit(arrival(str(n))) for n, each in enumerate([front, other] * 20))
        )
        assert {answer.stream for answer in answers} == {first.stream}
        await reached(front.archive, max(answer.position for answer in answers))
        events = await front.archive.events_of_stream(first.stream, 0, 1000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len([e for e in map(_events, (event.body for event in events)) if isinstance(e, MessageReceived)]) == 41


@pytest.mark.parametrize("placement", ["pooled", "dedicated"])
async def test_a_writer_of_the_other_placement_is_stale(tmp_path: Path, placement: Placement) -> None:
    """Should one survive a stop, and believe itself the writer."""
    clock = Clock()
    parts = {"pooled": ("journal", "archive", "cell-0"), "dedicated": ("journal", "archive", "usher", "cell-0")}
    async with core(tmp_path, clock, seats=1) as (_, [front, _]):
        first = await front.intake.submit(arrival())
        scopes = {"pooled": own_scope_of, "dedicated": scope_of}
    survivor = SqliteJournal(tmp_path / JOURNAL_FILE, durability="full", new_generation=lambda: "g")
    await survivor.open()
    [fence] = await survivor.raise_fences([scopes[placement](_customer(first))])
    await survivor.close()
    given = msgspec.structs.replace(settings(tmp_path, seats=1), placement=placement, cells=1)
    async with in_process(given, tmp_path, now_ms=clock, only=parts[placement]):
        """Its cells have taken their scopes."""
    journal = SqliteJournal(tmp_path / JOURNAL_FILE, durability="full", new_generation=lambda: "g")
    await journal.open()
    unit = Writer(fence).unit(_customer(first))
    assert await journal.commit([unit]) == [Stale(0)]
    await journal.close()


async def test_the_journal_forgets_the_fences_of_who_has_left(tmp_path: Path) -> None:
    """As many as there are seats, however many customers there were."""
    async with core(tmp_path, Clock(), seats=2) as (_, [front, _]):
        for number in range(30):
            await front.intake.submit(arrival(identity=f"mailto:{number}@example.org"))
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as db:
        scopes = [scope for (scope,) in db.execute("SELECT scope FROM fence")]
    assert len(scopes) == 2
    assert all(scope.startswith(OWN_SCOPES) for scope in scopes)


async def _woken(front: Front, streams: Sequence[str]) -> None:
    """Waits until the archive has it that just these conversations were woken."""
    while True:
        found = []
        for stream in streams:
            events = await front.archive.events_of_stream(stream, 0, 1000)
            found += [e for e in map(_events, (event.body for event in events)) if isinstance(e, ConversationWoken)]
        if len(found) >= len(streams):
            assert len(found) == len(streams)
            return
        await asyncio.sleep(0.02)


async def _later(call: Callable[[], None], turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    call()


def _customer(answer: Answered) -> str:
    return customer_of(answer.stream)
