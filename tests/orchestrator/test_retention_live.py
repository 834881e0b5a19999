"""Retention by policy through all parts: applied live, noted, and a repeat of what was dropped is still one."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest

from actors.rules.policies import packed
from actors.rules.policy import Policy
from actors.rules.retention import HOUR_MS, RetentionRules
from orchestrator.inprocess import in_process
from orchestrator.parts.front import Front
from orchestrator.policy.first import policy_of
from orchestrator.settings import GatewayAccount, PolicySettings, Settings
from protocol.archive import Dropped
from protocol.commands import ApplyPolicy, Resolve
from protocol.ids import POLICY, customer_of
from protocol.links import Answered
from tests.orchestrator.test_inprocess import CORE, NOW_MS, arrival

DAY_MS = 86_400_000
DEADLINE_S = 10.0


@asynccontextmanager
async def serving(folder: Path, now_ms: Callable[[], int]) -> AsyncIterator[Front]:
    """A server on disk, without retention in its settings."""
    settings = Settings(
        data=str(folder),
        store="sqlite",
        cells=2,
        accounts=[GatewayAccount(name="chat", trusted=True)],
        policy=PolicySettings(close_after_resolved_s=0),
    )
    async with in_process(settings, folder, now_ms=now_ms, only=CORE) as running:
        front = Front(running.surroundings("gateway"))
        await front.start()
        yield front
        await front.stop()


async def applied(front: Front, base: int, rules: RetentionRules) -> None:
    """The settings' policy with these rules of retention, as the version after `base`."""
    policy: Policy = msgspec.structs.replace(policy_of(Settings()), retention=rules)
    asked = ApplyPolicy(files={}, body=packed(policy), base=base)
    await front.intake.command(actor="operator:op", id=f"p{base}", command=asked, customer=POLICY)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Looks again and again: it happens in a part that tells no test."""
    async with asyncio.timeout(DEADLINE_S):
        while not await true():  # noqa: ASYNC110 - it tells no test
            await asyncio.sleep(0.01)


async def over(front: Front) -> Answered:
    """Ann said something twice, and it is done and closed. Returns what became of her second message."""
    await front.intake.submit(arrival("secret words"))
    said = await front.intake.submit(arrival("secret words again", id="second"))
    await front.intake.command(actor="agent:bo", id="r1", command=Resolve(), conversation=said.stream)

    async def closed() -> bool:
        row = await front.archive.conversation(said.stream)
        return row is not None and row["status"] == "closed"

    await until(closed)
    return said


async def dropped(front: Front, conversation: str) -> Dropped:
    """How it was, once it is."""

    async def gone() -> bool:
        return await front.archive.dropped("conversation", conversation) is not None

    await until(gone)
    found = await front.archive.dropped("conversation", conversation)
    assert found is not None
    return found


def without_snapshots(folder: Path) -> None:
    """As an upgrade does that reads no old ones: what is known of a customer is then what events say."""
    with closing(sqlite3.connect(folder / "archive.sqlite", isolation_level=None)) as db:
        db.execute("DELETE FROM snapshot")


async def test_a_shorter_time_holds_at_once_and_open_conversations_stay(tmp_path: Path) -> None:
    """The first version keeps for days, the second for an hour; which it was is said, and no word is left."""
    now_ms = NOW_MS
    async with serving(tmp_path, lambda: now_ms) as front:
        said = await over(front)
        live = await front.intake.submit(arrival("live", identity="mailto:bob@example.org"))
        now_ms += 2 * HOUR_MS
        await applied(front, 1, RetentionRules(closed_conversations_ms=10 * DAY_MS))
        await applied(front, 2, RetentionRules(closed_conversations_ms=HOUR_MS, journal_ms=0))
        assert await dropped(front, said.stream) == Dropped(now_ms, 3)
        assert await front.archive.dropped("conversation", live.stream) is None
        assert [row["kind"] for row in await front.archive.retained()] == ["closed_conversations", "once_keys"]
    with closing(sqlite3.connect(tmp_path / "archive.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM event WHERE body LIKE '%secret words%'").fetchone() == (0,)
    async with serving(tmp_path, lambda: now_ms) as front:
        more = await front.intake.submit(arrival("more", identity="mailto:bob@example.org", at_ms=now_ms))
        assert more.stream == live.stream


@pytest.mark.parametrize(("days", "known"), [(29, True), (31, False)])
async def test_a_repeat_of_what_was_dropped_is_known_to_the_edge_of_its_time(
    tmp_path: Path, days: int, known: bool
) -> None:
    """Over a restart without a snapshot: until `once_keys`, 30 days, and not after."""
    now_ms = NOW_MS
    async with serving(tmp_path, lambda: now_ms) as front:
        said = await over(front)
        now_ms += 2 * HOUR_MS
        await applied(front, 1, RetentionRules(closed_conversations_ms=HOUR_MS, journal_ms=0))
        await dropped(front, said.stream)
    without_snapshots(tmp_path)
    now_ms = NOW_MS + days * DAY_MS
    async with serving(tmp_path, lambda: now_ms) as front:

        async def as_it_should_be() -> bool:
            left = [event.body for event in await front.archive.events_of_customer(customer_of(said.stream), 0)]
            return any(b"FactDropped" in body for body in left) == known

        # The run that is due drops keys whose time is over, behind what comes in.
        await front.intake.submit(arrival("wakes the archive", identity="mailto:bob@example.org", at_ms=now_ms))
        await until(as_it_should_be)
        again = await front.intake.submit(arrival("secret words again", id="second"))
        assert (again.status == "repeat") == known
        assert ((again.stream, again.seq) == (said.stream, said.seq)) == known
