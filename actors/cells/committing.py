"""Committing: a cell's side of its line to the journal. One append is under way at a time.

A journal that died and came back is asked again what it did not answer. It settles a resent append as it did before, by
scope, epoch and batch, so the cell need not know whether that commit had happened.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from actors.cells.live import Live
from actors.lines import Line
from protocol.journal import Fence, Unit, Verdict
from protocol.links import AnyLink, Append, FencesRaised, RaiseFences, ReadTail, Settled, TailIs

_encode = msgspec.msgpack.Encoder().encode


class Committer:
    """`on_settled` gets the journeys of an append, and a verdict for each, in order."""

    def __init__(self, on_settled: Callable[[list[Live], list[Verdict]], None]) -> None:
        self._on_settled = on_settled
        self._line: Line | None = None
        self._opened = asyncio.Event()
        self._ref = 0
        self._epochs: dict[str, int] = {}
        self._batches: dict[str, int] = {}
        """By scope: our fence's epoch, and the number of the newest unit under it."""
        self._over: list[Fence] = []
        """Fences that were given up, and that the journal has not been told of."""
        self._append: tuple[Append, list[Live]] | None = None
        self._asked: dict[int, tuple[RaiseFences | ReadTail, asyncio.Future[AnyLink]]] = {}

    @property
    def ready(self) -> bool:
        """Whether an append can be sent now."""
        return self._line is not None and self._append is None

    def opened(self, line: Line, *, fresh: bool) -> None:
        """The journal is there. One that is new gets all that its former life did not answer."""
        self._line = line
        self._opened.set()
        if fresh:
            for question, _ in self._asked.values():
                line.send(question)
            if self._append is not None:
                line.send(self._append[0])

    async def take(self, scopes: Sequence[str], *, void: str = "") -> FencesRaised:
        """Becomes the one writer of these scopes as well; waits for the journal to be there. Whoever else writes for a
        scope that begins with `void` is stale from then on, if it is not empty."""
        await self._opened.wait()
        over, self._over = self._over, []
        raised = await self._ask(lambda ref: RaiseFences(ref, list(scopes), over, void))
        assert isinstance(raised, FencesRaised)
        self._epochs |= {fence.scope: fence.epoch for fence in raised.fences}
        self._batches |= {fence.scope: fence.batch for fence in raised.fences}
        return raised

    def give_up(self, scope: str) -> None:
        """Writes for this scope no more; nothing of it may be under way. The journal forgets its fence with the next
        `take`."""
        epoch, batch = self._epochs.pop(scope, None), self._batches.pop(scope, 0)
        if epoch is not None:
            self._over.append(Fence(scope, epoch, batch))

    async def tail(self, customer: str) -> TailIs:
        """The customer's units that the archive may not have."""
        tail = await self._ask(lambda ref: ReadTail(ref, customer))
        assert isinstance(tail, TailIs)
        return tail

    def append(self, lives: list[Live]) -> None:
        """Sends the open steps of these journeys as one append; only when `ready`."""
        assert self._line is not None
        assert self._append is None
        self._ref += 1
        self._append = (Append(self._ref, [self._unit(live) for live in lives]), lives)
        self._line.send(self._append[0])

    def received(self, message: Settled | FencesRaised | TailIs) -> None:
        """An answer of the journal. A second one to the same question, from a journal that was asked again, is
        ignored."""
        if isinstance(message, Settled):
            if self._append is not None and self._append[0].ref == message.ref:
                # It stays under way until all its journeys are concluded: one of them that takes its next step
                # meanwhile must not start an append with the others' steps still in flight.
                self._on_settled(self._append[1], message.verdicts)
                self._append = None
            return
        _, future = self._asked.pop(message.ref, (None, None))
        if future is not None and not future.done():
            future.set_result(message)

    def _unit(self, live: Live) -> Unit:
        step, live.open = live.open, None
        # A bug met here ends the cell: each batch number that is given out must reach the journal.
        assert step is not None
        assert live.in_flight is None
        live.in_flight = step
        batch = self._batches[live.scope] = self._batches[live.scope] + 1
        return Unit(
            scope=live.scope,
            epoch=self._epochs[live.scope],
            batch=batch,
            customer=live.customer,
            at_ms=step.at_ms,
            identities=step.identities,
            entries=len(step.entries),
            body=_encode(step.entries),
            released=step.released,
            inherits=step.inherits,
            family=step.family,
        )

    async def _ask(self, make: Callable[[int], RaiseFences | ReadTail]) -> AnyLink:
        self._ref += 1
        question = make(self._ref)
        future: asyncio.Future[AnyLink] = asyncio.get_running_loop().create_future()
        self._asked[self._ref] = (question, future)
        if self._line is not None:
            self._line.send(question)
        return await future
