"""The sending loops, against a receiver that answers when told."""

import asyncio
import time

from benchmarks.figures.ledger import Ledger
from benchmarks.inputs.traffic import Order
from benchmarks.load.metronome import Metronome
from benchmarks.load.pushing import Pusher, Shape, settle


class Receiver:
    """Counts messages, and answers each at once where it is told to."""

    def __init__(self, *, window: int = 64, batch: int = 16, answers: bool = True) -> None:
        self.ledger = Ledger()
        self.messages: list[list[int]] = []
        self.enough = asyncio.Event()
        self._answers = answers
        shape = Shape(window=window, batch=batch)
        self.pusher = Pusher(self.receive, order=Order(first=0, seed=3), ledger=self.ledger, shape=shape)

    def receive(self, numbers: list[int]) -> None:
        """Takes one message."""
        self.messages.append(numbers)
        if self._answers:
            asyncio.get_running_loop().call_soon(self.answer, numbers)
        if sum(map(len, self.messages)) >= 64:
            self.enough.set()

    def answer(self, numbers: list[int]) -> None:
        """Acknowledges and shows them."""
        for number in numbers:
            self.ledger.ack(number, time.perf_counter(), repeat=False)
            self.ledger.push(number, time.perf_counter(), snapshot=True)
            self.pusher.answered(number)


async def test_a_closed_loop_stops_at_its_window() -> None:
    """Without answers no more than the window leaves; with them it goes on until its time is up."""
    silent = Receiver(answers=False)
    await silent.pusher.push_until(time.perf_counter() + 0.05)
    assert sum(map(len, silent.messages)) == 64
    assert max(map(len, silent.messages)) == 16
    answered = Receiver()
    await answered.pusher.push_until(time.perf_counter() + 0.05)
    assert sum(map(len, answered.messages)) > 64


async def test_an_open_loop_counts_from_when_an_event_was_due() -> None:
    """A receiver that stalls delays events that were due meanwhile, and all of that shows."""
    receiver = Receiver(answers=False)
    from_s = time.perf_counter() - 1.0
    receiver.ledger.begin_window(from_s, from_s + 60.0)
    async with Metronome() as metronome:
        pushing = asyncio.create_task(receiver.pusher.push_by_clock(1000.0, from_s, from_s + 1.2, metronome))
        await asyncio.wait_for(receiver.enough.wait(), 5)
        for numbers in receiver.messages:
            receiver.answer(numbers)
        await pushing
    assert receiver.ledger.ack_ms().max >= 990.0
    assert receiver.ledger.late_ms().max >= 900.0


async def test_a_metronome_wakes_all_who_wait() -> None:
    """And, at its end, whoever waits still."""
    async with Metronome(0.001) as metronome:
        await asyncio.wait_for(asyncio.gather(metronome.tick(), metronome.tick()), 5)
        left = asyncio.create_task(metronome.tick())
        await asyncio.sleep(0)
    await asyncio.wait_for(left, 5)


async def test_a_metronome_wakes_each_at_its_time() -> None:
    """Whoever comes first is not the first who is woken, and nobody is woken early."""
    async with Metronome() as metronome:
        now_s, woken = time.perf_counter(), list[tuple[float, float]]()

        async def wait(due_s: float) -> None:
            await metronome.tick(due_s)
            woken.append((due_s, time.perf_counter()))

        late, early = asyncio.create_task(wait(now_s + 0.03)), asyncio.create_task(wait(now_s + 0.01))
        never = asyncio.create_task(metronome.tick(now_s + 3600.0))
        await asyncio.wait_for(asyncio.gather(early, late), 5)
        assert [due_s for due_s, _ in woken] == [now_s + 0.01, now_s + 0.03]
        assert all(at_s >= due_s for due_s, at_s in woken)
        assert not never.done()
    await asyncio.wait_for(never, 5)


async def test_everything_up_to_a_number_is_sent_once_each() -> None:
    """The live conversations are made by the same loop."""
    receiver = Receiver()
    await receiver.pusher.push_all(100)
    await settle(receiver.ledger)
    assert receiver.ledger.sent >= 100
    assert receiver.ledger.open == 0


async def test_what_there_is_no_time_for_is_not_sent() -> None:
    """What was sent by then is answered all the same."""
    receiver = Receiver()
    await receiver.pusher.push_all(100, until_s=time.perf_counter())
    assert receiver.ledger.sent == 0
    await receiver.pusher.push_all(1 << 30, until_s=time.perf_counter() + 0.05)
    await settle(receiver.ledger)
    assert receiver.ledger.sent == receiver.ledger.acked > 0


async def test_settling_gives_up_on_what_never_comes() -> None:
    """Without progress the rest is lost, and the run ends."""
    receiver = Receiver(answers=False)
    receiver.receive(receiver.pusher._take([0.0]))
    await settle(receiver.ledger, within_s=0.02)
    assert receiver.ledger.open == 1


async def test_what_a_full_window_holds_up_is_not_the_generators_lateness() -> None:
    """Until it has caught up: the server is late then, and that shows in the latencies alone."""
    receiver = Receiver()
    from_s = time.perf_counter() - 1.0
    receiver.ledger.begin_window(from_s, from_s + 60.0)
    async with Metronome() as metronome:
        await receiver.pusher.push_by_clock(2000.0, from_s, from_s + 1.1, metronome)
    # Of what was due in the second before, the first window went at once, and the rest waited for room.
    late = [numbers for numbers in receiver.messages if numbers[0] < 1900]
    assert len(late) > 100
    assert receiver.ledger.late_ms().count < len(receiver.messages) - len(late) + 10
