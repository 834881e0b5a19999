"""The world of one run: the server, the people around it, the clock, and what is broken.

Everything here that draws, draws from one `Random`; everything that waits, waits on one virtual loop.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from protocol.inbound import InboundEvent
from protocol.links import AnyLink, Updated
from tests.simulation.agents import Agent, Asked
from tests.simulation.disks import Disks
from tests.simulation.folds import Folds
from tests.simulation.importing import Importing
from tests.simulation.pace import Pace
from tests.simulation.plan import SOURCES, Plan
from tests.simulation.provider import Provider
from tests.simulation.replaying import Replaying
from tests.simulation.reporting import Reporting
from tests.simulation.rules import Owner
from tests.simulation.server import Server
from tests.simulation.sources import Book, GatewayClient, MailRoom
from tests.simulation.virtual_loop import VirtualLoop
from tests.simulation.wires import Exchange
from tests.simulation.witness import Witness

if TYPE_CHECKING:
    from tests.simulation.promises.erased import Forgotten

T = TypeVar("T")

BEGIN_MS = 1_760_000_000_000
"""The server's clock when a run begins."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise did not hold."""

    promise: str
    text: str


class World:
    """See the module. `say` gets each line of the trace, where somebody reads it."""

    def __init__(self, plan: Plan, loop: VirtualLoop, say: Callable[[str], None] | None) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.loop = loop
        self.random = Random(plan.seed)
        self.failures: list[Broken] = []
        self._say = say
        self._hash = blake2b(digest_size=16)
        self._clock_offset_ms = 0
        self._latest_ms = 0
        self._all_tasks: list[asyncio.Task[Any]] = []
        self.slow_readers = False
        self.moved_over = 0
        """How often a client went on at another gateway than before."""
        self.on_update: Callable[[str], None] | None = None
        """Hears which cell it is that next tells of what it has committed, as that leaves it."""
        self.pace = Pace(self.random)
        self.disks = Disks(self.pace, self.broken)
        self.ledger = self.disks.ledger
        self.folds = Folds(self.ledger)
        self.witness = Witness(self.ledger, self.folds, self.broken)
        self.exchange = Exchange(self.pace, self._heard, unacked_bytes_max=plan.unacked_bytes_max)
        self.provider = Provider(self.random, self.witness.attempted)
        self.book = Book(self)
        self.asked: dict[str, Asked] = {}
        self.people = [_identities(n) for n in range(plan.people)]
        self.identities = [identity for person in self.people for identity in person.values()]
        self.server = Server(self)
        self.agent_names = [f"agent{n}" for n in range(plan.agents)]
        self.agents = [Agent(self, name) for name in self.agent_names]
        self.sources = {account: GatewayClient(self, account) for account in SOURCES}
        self.mail_room = MailRoom(self)
        self.owner = Owner(self)
        self.replaying = Replaying(self)
        self.reporting = Reporting(self)
        self.importing = Importing(self)
        self.forgotten: dict[str, Forgotten] = {}
        """By customer: who was erased."""

    # Time

    def now_ms(self) -> int:
        """The machine's clock."""
        now_ms = BEGIN_MS + round(self.loop.time() * 1000) + self._clock_offset_ms
        self._latest_ms = max(self._latest_ms, now_ms)
        return now_ms

    def jump(self, ms: int) -> None:
        """Somebody sets the clock."""
        self._clock_offset_ms += ms

    def set_clock_right(self) -> None:
        """The clock goes to the latest time it ever showed."""
        self.jump(max(0, self._latest_ms - self.now_ms()))

    # What happens

    def new_customer(self) -> str:
        """An id nobody has."""
        return f"cu{self.random.getrandbits(64):016x}"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it beside everything else; what it raises is broken."""
        task = self.loop.create_task(work)
        task.add_done_callback(self._spawned)

    def kept_task(
        self, loop: asyncio.AbstractEventLoop, work: Generator[Any, None, T] | Coroutine[Any, Any, T], **options: Any
    ) -> asyncio.Task[T]:
        """Makes every task of a run, and keeps it: what a killed process left behind is not the collector's to end."""
        task = asyncio.Task(work, loop=loop, **options)
        self._all_tasks.append(task)
        return task

    def trace(self, what: str, **of: object) -> None:
        """One line of what happened: it goes into the run's hash."""
        self._write_down(f"{what} {' '.join([f'{name}={value}' for name, value in of.items()])}")

    def _write_down(self, what: str) -> None:
        line = f"{self.loop.time():10.4f} {what}"
        self._hash.update(line.encode())
        if self._say is not None:
            self._say(line)

    def broken(self, promise: str, text: str) -> None:
        """A promise did not hold."""
        self.trace("BROKEN", promise=promise, text=text)
        self.failures.append(Broken(promise, text))

    @property
    def digest(self) -> str:
        """The same for the same seed, always."""
        return self._hash.hexdigest()

    def _spawned(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (exc := task.exception()):
            self.broken("alive", f"the simulation itself broke: {type(exc).__name__}: {exc}")

    def _heard(self, sender: str, receiver: str, blob: bytes) -> None:
        messages: list[AnyLink] = self.witness.heard(sender, receiver, blob)
        if self.on_update is not None and any(isinstance(message, Updated) for message in messages):
            on_update, self.on_update = self.on_update, None
            # Behind the turn in which the cell says it.
            self.loop.call_soon(on_update, sender)
        names = ",".join([type(message).__name__ for message in messages])
        # Most lines are of this kind.
        self._write_down(f"blob way={sender}→{receiver} bytes={len(blob)} messages={names}")


def _identities(n: int) -> dict[str, str]:
    """One person's address on each account."""
    return {
        "chat": f"chat:person{n}",
        "messenger": f"messenger:person{n}",
        "mail": f"mailto:person{n}@example.org",
        "sms": f"tel:+4477009001{n:02d}",
    }


def offered(world: World, event: InboundEvent) -> None:
    """Offers an event at its account's door."""
    offer = world.book.add(event)
    world.trace("offer", id=event.id, account=event.account)
    source = world.sources.get(event.account)
    if source is not None:
        source.offer(offer)
    else:
        world.mail_room.offer(offer)
