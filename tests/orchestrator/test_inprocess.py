"""The parts together, in one loop: an event goes in, is committed, is archived, and survives every part's restart."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from actors.cells.loading import reached
from orchestrator import inprocess
from orchestrator.cluster.part import Part
from orchestrator.inprocess import InProcess, in_process
from orchestrator.parts.building import part_of
from orchestrator.parts.front import Front
from orchestrator.parts.surroundings import Surroundings
from orchestrator.settings import EmailAccount, GatewayAccount, Http, Limits, Placement, Settings, Store
from orchestrator.tokens import Tokens
from protocol.errors import Code, Refusal
from protocol.inbound import InboundEvent, MessageArrived

NOW_MS = 1_800_000_000_000
CORE = ("journal", "archive", "cell-0", "cell-1")
PLACEMENTS: dict[Placement, tuple[str, ...]] = {"pooled": CORE, "dedicated": (*CORE, "usher")}
"""By placement, the parts between an entrance and the disk."""
RESTARTS = [(placement, name) for placement, core in PLACEMENTS.items() for name in core]

_number = itertools.count(1)


def arrival(
    text: str = "hello", *, id: str = "", identity: str = "mailto:ann@example.org", at_ms: int = NOW_MS
) -> InboundEvent:
    """A message as a gateway client would bring it."""
    return InboundEvent(
        id=id or f"e{next(_number)}",
        source="test",
        account="chat",
        channel="chat",
        time_ms=at_ms,
        identities=[identity],
        data=MessageArrived(text=text),
    )


@asynccontextmanager
async def server(folder: Path, store: Store, placement: Placement = "pooled") -> AsyncIterator[tuple[InProcess, Front]]:
    """Stores, journal, archive and two cells, and a front such as a gateway has. Dedicated, two seats are all."""
    settings = Settings(
        data=str(folder),
        store=store,
        cells=2,
        placement=placement,
        limits=Limits(dedicated_max=2, dedicated_warm=2),
        http=Http(port=0),
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )
    async with in_process(settings, folder, now_ms=lambda: NOW_MS, only=PLACEMENTS[placement]) as running:
        front = Front(running.surroundings("gateway"))
        await front.start()
        yield running, front
        await front.stop()


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_an_event_is_committed_and_archived(tmp_path: Path, store: Store, placement: Placement) -> None:
    """The answer names a position, and the archive that has reached it has the conversation."""
    async with server(tmp_path, store, placement) as (_, front):
        answered = await front.intake.submit(arrival())
        await reached(front.archive, answered.position)
        [row] = await front.archive.conversations(list="queue:default")
        assert row.conversation == answered.stream
        events = await front.archive.events_of_stream(row.conversation, 0, 100)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(("placement", "name"), RESTARTS)
async def test_a_conversation_goes_on_after_a_restart(
    tmp_path: Path, store: Store, placement: Placement, name: str
) -> None:
    """Whichever part is replaced, the next word of the customer continues the conversation, once."""
    async with server(tmp_path, store, placement) as (running, front):
        first = await front.intake.submit(arrival(id="one"))
        await running.restart(name)
        second = await front.intake.submit(arrival(id="two"))
        again = await front.intake.submit(arrival(id="two"))
        assert second.stream == first.stream
        assert second.seq > first.seq
        assert (again.status, again.stream, again.seq) == ("repeat", second.stream, second.seq)


@pytest.mark.parametrize("before", PLACEMENTS)
@pytest.mark.parametrize("after", PLACEMENTS)
async def test_a_stop_loses_nothing(tmp_path: Path, before: Placement, after: Placement) -> None:
    """What was answered before a stop is there after the next start, also where that one places otherwise."""
    async with server(tmp_path, "sqlite", before) as (_, front):
        events = [arrival(identity=f"mailto:{n}@example.org") for n in range(20)]
        answers = [await front.intake.submit(event) for event in events]
    async with server(tmp_path, "sqlite", after) as (_, front):
        archived = {row.conversation for row in await front.archive.conversations(list="queue:default")}
        assert archived == {answer.stream for answer in answers}
        again = [await front.intake.submit(event) for event in events]
        assert [(a.stream, a.seq) for a in again] == [(a.stream, a.seq) for a in answers]


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_retention_reaches_the_journal_and_conversations_go_on(
    tmp_path: Path, store: Store, placement: Placement
) -> None:
    """What is old leaves it within the hour, over every part's restart the customer's conversation goes on."""
    now_ms = NOW_MS
    settings = Settings(
        data=str(tmp_path),
        store=store,
        cells=2,
        placement=placement,
        retention_days=1,
        accounts=[GatewayAccount(name="chat", trusted=True)],
    )
    async with in_process(settings, tmp_path, now_ms=lambda: now_ms, only=PLACEMENTS[placement]) as running:
        front = Front(running.surroundings("gateway"))
        await front.start()
        old = await front.intake.submit(arrival("old"))
        now_ms += 2 * 86_400_000
        young = await front.intake.submit(arrival("young", identity="mailto:bob@example.org", at_ms=now_ms))
        async with asyncio.timeout(10):
            while await front.journal.first_position() == 1:  # noqa: ASYNC110 - two parts away, which tell no test
                await asyncio.sleep(0.01)
        assert await front.journal.first_position() == old.position + 1 == young.position
        for name in PLACEMENTS[placement]:
            await running.restart(name)
        more = await front.intake.submit(arrival("more", at_ms=now_ms))
        assert (more.stream, more.position) == (old.stream, young.position + 1)
        await front.stop()


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_all_parts_serve_in_one_loop(tmp_path: Path, placement: Placement) -> None:
    """Gateway and channel host too: over HTTP the server says that it is ready, and its SMTP port greets."""
    mail = EmailAccount(name="mail", address="support@throughline.example", listen="127.0.0.1:0")
    settings = Settings(
        data=str(tmp_path), store="memory", cells=2, placement=placement, http=Http(port=0), accounts=[mail]
    )
    text, _ = Tokens(tmp_path / "tokens.json", now_ms=lambda: NOW_MS).create(["operator"], "olga")
    async with in_process(settings, tmp_path) as server:
        url = f"http://127.0.0.1:{server.facts['gateway']['port']}/readyz"
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {text}"}) as http:
            assert (await http.get(url)).json() == {"ready": True, "reasons": []}
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.facts["channels"]["smtp:mail"]))
        assert (await reader.readline()).startswith(b"220 ")
        writer.close()
        await writer.wait_closed()


async def test_a_seat_that_is_just_starting_is_stopped_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits for its start: half started it would be nobody's to stop, and would keep its files open."""
    starting, may_go_on, stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def slow(name: str, surroundings: Surroundings) -> Part:
        part = part_of(name, surroundings)
        if name == "cell-2":
            start, stop = part.start, part.stop

            async def held() -> dict[str, str | int]:
                starting.set()
                await may_go_on.wait()
                return await start()

            async def told() -> None:
                await stop()
                stopped.set()

            monkeypatch.setattr(part, "start", held)
            monkeypatch.setattr(part, "stop", told)
        return part

    monkeypatch.setattr(inprocess, "part_of", slow)
    settings = Settings(
        data=str(tmp_path),
        store="memory",
        placement="dedicated",
        limits=Limits(dedicated_max=3, dedicated_warm=3),
        http=Http(port=0),
    )
    async with in_process(settings, tmp_path, now_ms=lambda: NOW_MS, only=PLACEMENTS["dedicated"]):
        await starting.wait()
        asyncio.get_running_loop().call_later(0.05, may_go_on.set)
    assert stopped.is_set()


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_an_accounts_quarantine_goes_on_after_a_restart(tmp_path: Path, placement: Placement) -> None:
    """Whatever the account is called: its stream may look as a conversation's, and is loaded as what it is."""
    refusal = Refusal(Code.NO_IDENTITY, "nobody's")
    async with server(tmp_path, "memory", placement) as (running, front):
        kept = []
        for id in ("one", "two", "one"):
            kept.append(await front.intake.quarantine(account="chat-2", source="s", id=id, refusal=refusal, raw=b"{}"))
            for cell in ("cell-0", "cell-1"):
                await running.restart(cell)
        assert [(each.stream, each.seq) for each in kept] == [("account:chat-2", seq) for seq in (1, 2, 1)]
