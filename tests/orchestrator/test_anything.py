"""Anything that decodes is answered, and ends no part: events of gateway clients and commands of agents, drawn from
seeds, to the parts of a server, while some of them begin anew.

To hunt further: `ANYTHING_SEEDS=2000 pytest tests/orchestrator/test_anything.py`.
"""

import asyncio
import functools
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar, get_args

import msgspec
import pytest
from msgspec.structs import replace

from actors.archive.projection import project, runs
from actors.cells.loading import reached
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.archive.schema import TABLES
from orchestrator import bundles
from orchestrator.bundles import folder as bundles_folder
from orchestrator.cell_lines.questions import Reply
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts.front import Front
from orchestrator.policy.desk import PolicyDesk
from orchestrator.policy.first import set_up_of
from orchestrator.settings import GatewayAccount, Http, Limits, Placement, Settings
from protocol.commands import (
    SERVERS_OWN,
    AnyCommand,
    CloseIdentityReview,
    LinkIdentity,
    MergeCustomers,
    UnlinkIdentity,
    UnmergeCustomers,
)
from protocol.errors import Refusal
from protocol.ids import POLICY, REPORT, customer_of
from protocol.inbound import AnyData, InboundEvent, MessageArrived
from protocol.links import Answered, ReadCustomer
from tests.anything import Anything

NOW_MS = 1_800_000_000_000
CORE: dict[Placement, tuple[str, ...]] = {
    "pooled": ("journal", "archive", "cell-0"),
    "dedicated": ("journal", "archive", "cell-0", "cell-1", "usher"),
}
SEEDS = int(os.environ.get("ANYTHING_SEEDS", "6"))
INPUTS = 250
"""Of one seed."""
WITHIN_S = 30.0
"""Each is answered: with what it did, or with why not."""
COMMANDS = [each for each in get_args(AnyCommand) if each not in SERVERS_OWN]
OF_A_CUSTOMER = (LinkIdentity, UnlinkIdentity, CloseIdentityReview, MergeCustomers, UnmergeCustomers)
IDENTITIES = [
    "user:ann", "user:bob", "user:cid", "tel:+14155550100", "tel:+14155550101", "mailto:a@example.org",
    "mailto:b@example.org",
]  # fmt: skip
ACCOUNTS = {"chat": "chat", "phone": "phone", "sms": "sms", "mail": "email"}
WORD = re.compile(r"[a-z][a-z0-9_.-]{2,}")
"""Of a bundle: a topic, a team, a key, or nothing that means anything."""
LOOK_EVERY_S = 0.01
PAUSES_MS = (10, 10, 1_000, 60_000, 3_600_000, 86_400_000)

T = TypeVar("T")
_event = msgspec.json.Decoder(InboundEvent).decode
_command = msgspec.json.Decoder(AnyCommand).decode


class Crowd:
    """Everybody who asks something of one server, by one seed."""

    def __init__(self, running: InProcess, front: Front, seed: int, words: list[str]) -> None:
        self.running = running
        self.front = front
        self.doors = [front]
        """What takes an event or a command in: any of these."""
        self.now_ms = NOW_MS
        self.answers: Counter[str] = Counter()
        self._random = Random(seed)
        self._door = Random(seed)
        self._number = 0
        self.conversations: list[str] = []
        """The newest that somebody may know."""
        self._customers: list[str] = []
        self._known: list[str] = [*IDENTITIES]
        names = ("topic", "intent", "kind", "queue", "channel", "to", "key", "status", "evidence", "product_line")
        meant = dict.fromkeys(names, words) | {"other": self._customers, "identity": IDENTITIES}
        self._anything = Anything(self._random, meant=meant, strings=self._known)

    async def ask(self, count: int) -> None:
        """So many at once, each answered; then time goes on."""
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(*(self._one() for _ in range(count)))
        self.now_ms += self._random.choice(PAUSES_MS)
        for name, part in self.running._running.items():
            assert not part.done(), f"{name} has ended: {part.exception()!r}"

    async def _one(self) -> None:
        self._number += 1
        says = not self.conversations or self._random.random() < 0.5
        try:
            answered = await (self._say() if says else self._command())
        except Refusal as refusal:
            self.answers[refusal.code.name] += 1
        else:
            self.answers[answered.status] += 1

    async def _say(self) -> Answered:
        event = self._decodable(self._event, _event)
        answered = await self._door.choice(self.doors).intake.submit(event)
        self._learn(answered.stream)
        return answered

    async def views(self) -> dict[str, Reply]:
        """The customers of whom somebody may read now, as their cell has them."""
        customers = {customer_of(stream) for stream in self._known if customer_of(stream)}
        asked = {each: functools.partial(lambda ref, of: ReadCustomer(ref, of), of=each) for each in sorted(customers)}
        return {each: replace(await self.front.cells.call(each, make), ref=0) for each, make in asked.items()}

    async def settled(self) -> dict[str, Reply]:
        """The views once nobody's time has come any more, and they stay as they are: what is sent is answered."""
        async with asyncio.timeout(WITHIN_S):
            while await self._is_due():  # noqa: ASYNC110 - parts away
                await asyncio.sleep(LOOK_EVERY_S)
            while (seen := await self.views()) != await self.views():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)
        return seen

    async def _is_due(self) -> bool:
        """Whether time or an answer makes something happen now. What is queued behind another waits for that one."""
        archive = archive_of(self.running)
        await reached(archive, await self.front.journal.position())
        timers = {(stream, kind): due_ms for stream, kind, _, _, due_ms, _ in await archive.rows("timer")}
        waits = {(row[1], f"delivery:{row[0]}") for row in await archive.rows("outbox") if row[7] == "queued"}
        return any(due_ms <= self.now_ms for timer, due_ms in timers.items() if timer not in waits)

    def _event(self) -> InboundEvent:
        random = self._random
        account = random.choice([*ACCOUNTS] * 5 + ["nobodys"])
        return InboundEvent(
            id=random.choice([f"e{self._number}", f"e{self._number // 2}", self._anything.string()]),
            source="test",
            account=account,
            channel=ACCOUNTS.get(account, "") if random.random() < 0.8 else self._anything.string(),
            time_ms=self.now_ms - random.choice([0] * 20 + [5_000, 86_400_000, self.now_ms]),
            identities=random.sample(
                IDENTITIES if random.random() < 0.9 else self._known, random.choice([0, 1, 1, 1, 2])
            ),
            data=self._anything.of(MessageArrived) if random.random() < 0.6 else self._anything.one_of(AnyData),
            raw=self._anything.of(dict[str, Any]),
        )

    async def _command(self) -> Answered:
        random = self._random
        command = self._decodable(lambda: self._anything.of(random.choice(COMMANDS)), _command)
        of = random.choice(self.conversations)
        strange = random.choice([*self._known, POLICY, REPORT, "", "-1"])
        conversation, customer = ("", customer_of(of)) if isinstance(command, OF_A_CUSTOMER) else (of, "")
        if random.random() < 0.1:
            conversation, customer = random.choice([(strange, ""), ("", strange)])
        return await self._door.choice(self.doors).intake.command(
            actor=random.choice(["agent:al", "agent:ben", "operator:olga"]),
            id=f"c{random.choice([self._number, self._number // 2])}",
            command=command,
            conversation=conversation,
            customer=customer,
        )

    def _decodable(self, draw: Callable[[], Any], decode: Callable[[bytes], T]) -> T:
        """As it comes from outside; what a type's own bounds refuse never gets here."""
        while True:
            with suppress(msgspec.ValidationError):
                return decode(msgspec.json.encode(draw()))

    def _learn(self, stream: str) -> None:
        if stream not in self._known and len(self._known) < 60:
            self._known += [stream, f"{stream}.2"]
        if customer := customer_of(stream):
            self.conversations = [*self.conversations, stream][-30:]
            self._customers[:] = list(dict.fromkeys([*self._customers, customer, stream]))[-12:]


def archive_of(running: InProcess) -> MemoryArchive:
    """The one archive."""
    archive = running.surroundings("test").storage.archive()
    assert isinstance(archive, MemoryArchive)
    return archive


async def assert_projected(running: InProcess) -> None:
    """The archive is what the journal makes of it, row by row; what retention dropped is dropped again."""
    journal, followed = running.surroundings("test").storage.journal_reader(), archive_of(running)
    records, there = await journal.read(0, 100_000), -1
    while there != records[-1].position:  # A report may be made meanwhile, by the system's clock.
        records = await journal.read(0, 100_000)
        await reached(followed, records[-1].position)
        anew = await followed.copy()
        rows = {table: await followed.rows(table) for table in ("event", *TABLES)}
        there = await journal.position()
    await anew.reset()
    for run in runs(records):
        await anew.apply(project(run))
    await anew.redrop()
    for table, known in rows.items():
        assert await anew.rows(table) == known, table


@asynccontextmanager
async def crowd(folder: Path, placement: Placement, bundle: str, seed: int) -> AsyncIterator[Crowd]:
    """A server under a shipped bundle, with room for few in memory, so that most are loaded again and again. Its
    gateway answers for the deliveries, of which nobody takes any."""
    settings = Settings(
        data=str(folder),
        store="memory",
        cells=1,
        placement=placement,
        limits=Limits(live_journeys_max=5, dedicated_max=4, dedicated_warm=2),
        http=Http(port=0),
        accounts=[
            GatewayAccount(name=name, channel=channel, trusted=name != "sms") for name, channel in ACCOUNTS.items()
        ],
    )
    files = bundles_folder.read_folder(Path(bundles.__file__).parent / bundle)[0]
    now: list[Crowd] = []
    parts = (*CORE[placement], "gateway")
    async with in_process(settings, folder, now_ms=lambda: now[0].now_ms if now else NOW_MS, only=parts) as running:
        front = Front(running.surroundings("channels"))
        await front.start()
        desk = PolicyDesk(set_up_of(settings), front.in_force, front.cells.deciders, front.intake, front.archive)
        await desk.apply(files, actor="operator:olga", id="first")
        now.append(Crowd(running, front, seed, sorted(set(WORD.findall(" ".join(files.values()))))))
        yield now[0]
        await front.stop()


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_it_is_answered_and_ends_nothing(tmp_path: Path, seed: int) -> None:
    """Each by itself, or many at once; a part begins anew now and then, and loads what was decided."""
    random = Random(f"anything {seed}")
    placement: Placement = "dedicated" if seed % 2 else "pooled"
    cells = [name for name in CORE[placement] if name.startswith("cell")]
    async with crowd(tmp_path, placement, random.choice(["insurer", "utility"]), seed) as asking:
        asked = 0
        while asked < INPUTS:
            count = random.choice([1, 3, 10, 30])
            await asking.ask(count)
            asked += count
            if random.random() < 0.05:
                await asking.running.restart(random.choice(CORE[placement]))
        before = await asking.settled()
        for name in cells:
            await asking.running.restart(name)
        assert await asking.settled() == before, "another life has it otherwise"
        await assert_projected(asking.running)
        assert asking.answers.total() == asked
        assert asking.answers["committed"] > INPUTS / 20, asking.answers
