"""Whatever people and operators did before and between erasures: the archive has the rows that its journal makes, and
both say alike whose each address is. Histories are drawn from seeds; one that fails says its steps.

To hunt further: `ERASING_SEEDS=500 pytest tests/orchestrator/erasure/test_erasing_anything.py`.
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec
import pytest

from actors.archive.archive import Archive
from actors.cells.loading import reached
from orchestrator.parts.front import Front
from orchestrator.settings import PolicySettings, Settings
from orchestrator.storage import SqliteStorage
from protocol.commands import (
    AnyCommand,
    Join,
    LinkIdentity,
    MergeCustomers,
    ReplayDelivery,
    Reply,
    Resolve,
    SetContext,
    Split,
    UnlinkIdentity,
    UnmergeCustomers,
)
from protocol.errors import Refusal
from protocol.events import MessageQueued
from protocol.ids import customer_of
from protocol.inbound import REPORTED, DeliveryReport, InteractionBegan, MessageArrived
from protocol.links import CustomerRead, Outcome, ReadCustomer
from tests.orchestrator.erasure.test_erasing import (
    NOW_MS,
    arrival,
    check_against_rebuilt,
    dropped,
    erased,
    imported,
    rows,
    server,
    settings_of,
)

IDENTITIES = ("mailto:a@example.org", "user:b", "tel:+447700900123")
SEEDS = int(os.environ.get("ERASING_SEEDS", "6"))
STEPS = 60
"""Of one seed."""
OUTCOMES = ("sent", "refused", "uncertain", "failed")

T = TypeVar("T")
Step = tuple[str, int, int]
"""What is done, and two numbers that say to what: counted round, in what there is by then."""


class History:
    """What is done to one server, which an erasure stops."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._front: Front | None = None
        self._count = 0
        self._now_ms = NOW_MS
        self._bound_ms = 0
        """What was over before then is dropped; 0: nothing yet."""
        self._conversations: list[str] = []
        self._customers: list[str] = []
        self._merged: list[tuple[str, str]] = []
        self._deliveries: list[str] = []
        self.done: Counter[str] = Counter()
        self._verbs: dict[str, Callable[[int, int], Awaitable[object]]] = {
            "say": lambda a, b: self._say(f"word {self._count}", _identity(a)),
            "call": lambda a, b: self._say("", _identity(a)),
            "claim": lambda a, b: self._say("me", *dict.fromkeys((_identity(a), _identity(b)))),
            "contradict": lambda a, b: self._say(f"other {self._count}", _identity(a), id="same"),
            "import": lambda a, b: imported(self.front, f"past{self._count}", _identity(a), "past", days_ago=b),
            "link": lambda a, b: self._of(a, LinkIdentity(identity=_identity(b), evidence="agent")),
            "unlink": lambda a, b: self._unlink(_identity(a)),
            "merge": lambda a, b: self._merge(_of(self._customers, a), _of(self._customers, b)),
            "unmerge": lambda a, b: self._unmerge(*_of(self._merged, a)),
            "know": lambda a, b: self._in(a, SetContext(key=f"k{b % 2}", value=self._count)),
            "resolve": lambda a, b: self._in(a, Resolve()),
            "split": lambda a, b: self._in(a, Split(interactions=[1 + b % 3])),
            "join": lambda a, b: self._join(a, b),
            "reply": lambda a, b: self._in(a, Reply(text="answer", channel="chat")),
            "replay": lambda a, b: self._in(a, ReplayDelivery(delivery=_of(self._deliveries, b))),
            "outcome": self._outcome,
            "report": self._report,
            "erase": self._erase,
            "retain": self._retain,
        }  # fmt: skip

    @property
    def front(self) -> Front:
        assert self._front is not None
        return self._front

    async def do(self, step: Step) -> None:
        """One of them; what is refused is not done."""
        verb, a, b = step
        self._count += 1
        self._now_ms += 1000
        try:
            await self._verbs[verb](a, b)
        except (Refusal, NothingThere):
            self.done["refused"] += 1
        else:
            self.done[verb] += 1

    async def start(self) -> None:
        """As after an erasure."""
        self._stack = AsyncExitStack()
        _, self._front = await self._stack.enter_async_context(server(self._settings, lambda: self._now_ms))

    async def stop(self) -> None:
        """With all that was done in the archive."""
        await reached(self.front.archive, await self.front.journal.position())
        for customer in self._customers:
            await self._check_live(customer)
        await self.end()
        if self._bound_ms:  # Imported since, it is over already.
            await dropped(self._settings, self._bound_ms, at_ms=self._now_ms)

    async def end(self) -> None:
        """As it is; where it was stopped, nothing."""
        await self._stack.aclose()

    async def check(self) -> None:
        """What must hold of the stopped server's files."""
        storage = SqliteStorage(self._settings)
        journal, archive = storage.journal_reader(), storage.archive()
        await storage.open_readers()
        await Archive(journal, archive, gather_s=0).start()  # What a timer did as the server ended may be missing yet.
        shown = {identity: customer for identity, customer, *_ in await rows(archive, "identity")}
        owners = await journal.customers_of(IDENTITIES)
        await archive.close()
        await storage.close_readers()
        assert shown == owners, "the archive shows an address as another's than the journal has it"
        await check_against_rebuilt(self._settings)

    async def _check_live(self, customer: str) -> None:
        """Who has the customer in memory has the addresses and the subjects that the archive shows."""
        reply = await self.front.cells.call(customer, partial(ReadCustomer, customer=customer))
        if not isinstance(reply, CustomerRead) or reply.view is None:
            return  # It gave itself to another one, who is asked for both.
        journey = await self.front.archive.journey(customer)
        assert journey is not None
        assert {row["identity"] for row in journey["identities"]} == {*reply.view.identities}
        shown = {row["conversation"]: row["subject"] for row in journey["conversations"]}
        live = {view.conversation: view.subject for view in reply.view.open}
        assert shown == shown | live  # One that is closing may be so here already.

    async def _say(self, text: str, *identities: str, id: str = "") -> None:
        data = MessageArrived(text=text, subject=text) if text else InteractionBegan(session=f"s{self._count}")
        said = await self.front.intake.submit(arrival(id or f"e{self._count}", data, *identities))
        if "-" in said.stream and said.stream not in self._conversations:
            self._conversations.append(said.stream)
        self._customers = list(dict.fromkeys([*self._customers, *map(customer_of, self._conversations)]))

    async def _unlink(self, identity: str) -> None:
        owners = await self.front.journal.customers_of([identity])
        for owner in owners.values():
            await self._ask(UnlinkIdentity(identity=identity, reason="no"), customer=owner)

    async def _join(self, conversation: int, other: int) -> None:
        """Two that are one customer's by now."""
        rows = await self.front.archive.conversations(status="open")
        pairs = [
            (a.conversation, b.conversation) for a in rows for b in rows if a is not b and a.customer == b.customer
        ]
        into, gone = _of(pairs, conversation + other)
        await self._ask(Join(other=gone), conversation=into)

    async def _merge(self, customer: str, other: str) -> None:
        await self._ask(MergeCustomers(other=other), customer=customer)
        self._merged.append((customer, other))

    async def _unmerge(self, customer: str, other: str) -> None:
        await self._ask(UnmergeCustomers(other=other), customer=customer)
        self._merged.remove((customer, other))

    async def _of(self, customer: int, command: AnyCommand) -> None:
        await self._ask(command, customer=_of(self._customers, customer))

    async def _in(self, conversation: int, command: AnyCommand) -> None:
        await self._ask(command, conversation=_of(self._conversations, conversation))

    async def _ask(self, command: AnyCommand, *, conversation: str = "", customer: str = "") -> None:
        answered = await self.front.intake.command(
            actor="agent:bo", id=f"c{self._count}", command=command, conversation=conversation, customer=customer
        )
        if isinstance(command, Reply):
            await reached(self.front.archive, answered.position)
            events = await self.front.archive.events_of_stream(conversation, 0, 1000)
            queued = [event for event in events if b'"type":"MessageQueued"' in event.body]
            self._deliveries += [msgspec.json.decode(each.body, type=MessageQueued).delivery for each in queued[-1:]]

    async def _outcome(self, delivery: int, status: int) -> None:
        id = _of(self._deliveries, delivery)
        conversation = id.rpartition(".")[0]
        customer, said = customer_of(conversation), OUTCOMES[status % len(OUTCOMES)]
        await self.front.cells.call(
            customer, lambda ref: Outcome(ref, customer, conversation, id, 1 + status // len(OUTCOMES), said)
        )

    async def _report(self, delivery: int, status: int) -> None:
        report = DeliveryReport(delivery=_of(self._deliveries, delivery), status=REPORTED[status % len(REPORTED)])
        await self.front.intake.submit(arrival(f"e{self._count}", report))

    async def _erase(self, customer: int, _: int) -> None:
        whose = _of(self._customers, customer)
        await self.stop()
        try:
            await self.check()
            await erased(self._settings, whose, at_ms=self._now_ms)
            await self.check()
        except Refusal:
            await self.start()
            raise
        await self.start()

    async def _retain(self, steps: int, _: int) -> None:
        """What was over so many steps ago is dropped; the journal has it still."""
        await self.stop()
        await self.check()
        self._bound_ms = max(self._bound_ms, self._now_ms - 1000 * (steps % 20))
        await dropped(self._settings, self._bound_ms, at_ms=self._now_ms)
        await self.check()
        await self.start()


class NothingThere(Exception):
    """A step is about something of which there is none yet."""


def _identity(number: int) -> str:
    return IDENTITIES[number % len(IDENTITIES)]


def _of(known: Sequence[T], number: int) -> T:
    if not known:
        raise NothingThere
    return known[number % len(known)]


VERBS = (
    *("say", "claim", "link", "unlink", "merge", "unmerge") * 4,
    *("call", "contradict", "import", "know", "resolve", "split", "join", "join"),
    *("reply", "reply", "outcome", "outcome", "report", "replay", "erase", "erase", "erase"),
    *("retain", "retain"),
)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_archive_is_what_the_journal_makes_of_it(tmp_path: Path, seed: int) -> None:
    """Row by row, after each erasure and at the end."""
    random = Random(f"erasing {seed}")
    history = [
        ("say", 0, 0),
        ("say", 1, 0),
        *((random.choice(VERBS), _any(random), _any(random)) for _ in range(STEPS)),
    ]
    await lived(tmp_path, history)


async def lived(folder: Path, history: Sequence[Step]) -> History:
    """The history, once it was checked."""
    of = History(msgspec.structs.replace(settings_of(folder), policy=PolicySettings(close_after_resolved_s=0)))
    done: list[Step] = []
    await of.start()
    try:
        for step in history:
            done.append(step)
            await of.do(step)
        await of.stop()
        await of.check()
    except Exception as exc:
        exc.add_note(f"after {done}")
        raise
    finally:
        await of.end()
    return of


def _any(random: Random) -> int:
    return random.randrange(60)
