"""`recovery`: `kill -9` of each part of a server that is full of live conversations, and how long that shows.

    server → filled → watched → for each part: archive level → killed → a stranger's event and one for each watched
    conversation are sent at once → first ack, last ack, every watched conversation seen, archive level

The times count from just before the kill. Clients are the SDK's: they reconnect with its jitter, as they would.
"""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Sequence

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.figures import cautions, disk
from benchmarks.figures.percentiles import Percentiles
from benchmarks.figures.phases import Phases
from benchmarks.figures.processes import role_of
from benchmarks.figures.setting import Setting, setting
from benchmarks.load.filling import SHAPE, Filled, Filling, fill, named, pace_s
from benchmarks.load.pushing import Shape
from benchmarks.load.resident import limits
from benchmarks.load.server import LiveServer, NotServing, Setup, serving
from benchmarks.load.watchers import Seen, Sender, conversations_of, watching
from benchmarks.scenarios import sustained
from orchestrator.client import GatewayClient

PARTS = ("cell", "journal", "gateway", "archive")
GIVE_UP_S = 60.0
CALM_S = 2.0
"""Between two kills, beside everything being level again."""
FILL_SHARE = 0.5
"""Of a run's seconds: what filling may take of them, so that there is time for a kill."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    setup: Setup
    filling: Filling
    watched: int = 2000
    agents: int = 20
    parts: Sequence[str] = PARTS
    rounds: int = 1
    seconds: float | None = None
    """No kill begins later than this, except the first."""
    shape: Shape = SHAPE


class Killed(Struct, frozen=True, kw_only=True):
    """One part, killed once. Milliseconds from just before the kill; None where it took longer than `GIVE_UP_S`."""

    part: str
    processes: int
    first_ack_ms: float | None
    all_acked_ms: float | None
    resumed_ms: float | None
    """Every watched conversation showed an event that was sent after the kill."""
    archive_level_ms: float | None


class Result(Struct, frozen=True, kw_only=True):
    """All kills; the flat fields are the medians of the cell's."""

    recovery_ms: float | None
    """First ack of a new event after the cell was killed."""
    resumed_ms: float | None
    conversations: int
    """That were filled in: all that were asked for, unless their time was up."""
    conversations_asked: int
    watched: int
    kills: list[Killed]
    kills_asked: int
    fsync_ms: Percentiles | None
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does."""
    under = disk.probed(plan.setup.folder)
    phases.begin("starting a server", 10.0)
    with serving(replace(plan.setup, more=limits(plan.filling.conversations))) as server:
        came = uvloop.run(_measure(plan, server, phases))
    cells = [kill for kill in came.kills if kill.part == "cell"]
    kills_asked = plan.rounds * len(plan.parts)
    return Result(
        recovery_ms=_median([kill.first_ack_ms for kill in cells]),
        resumed_ms=_median([kill.resumed_ms for kill in cells]),
        conversations=came.filled.conversations,
        conversations_asked=plan.filling.conversations,
        watched=came.watched,
        kills=came.kills,
        kills_asked=kills_asked,
        fsync_ms=under.fsync_ms,
        faults=came.faults,
        cautions=cautions.of_filling(came.filled) + cautions.of_kills(len(came.kills), kills_asked),
        setting=setting(
            under.kind, messages=plan.filling.messages, text_bytes=plan.filling.text_bytes, agents=plan.agents
        ),
    )


class _Came(Struct, frozen=True):
    """What came of it."""

    filled: Filled
    watched: int
    kills: list[Killed]
    faults: list[str]


async def _measure(plan: Plan, server: LiveServer, phases: Phases) -> _Came:
    until_s = time.perf_counter() + (plan.seconds or float("inf"))
    filling, fill_s = named(plan.filling), plan.seconds and FILL_SHARE * plan.seconds
    phases.begin(f"{filling.conversations:,} conversations", pace_s(filling, fill_s))
    filled = await fill(server, filling, plan.shape, on_progress=phases.reach, seconds=fill_s)
    customers = range(min(plan.watched, filled.conversations))
    phases.begin(f"watching {len(customers):,}", 5.0)
    watched = await conversations_of(server, [filling.event(customer)["identities"][0] for customer in customers])
    seen, kills = Seen(filling), list[Killed]()
    async with watching(server, watched, plan.agents, seen), GatewayClient(server.url, server.gateway_token) as gateway:
        sender = Sender(gateway)
        trial = _Trial(server, sender, seen, filling, len(customers))
        for number, part in enumerate(part for _ in range(plan.rounds) for part in plan.parts):
            if kills and time.perf_counter() > until_s:
                break
            phases.begin(f"kill -9 of the {part}", 10.0)
            kills.append(await trial.run(part, number))
    return _Came(filled, len(customers), kills, _faults(kills, sender, seen))


class _Trial:
    def __init__(self, server: LiveServer, sender: Sender, seen: Seen, filling: Filling, watched: int) -> None:
        self._server = server
        self._sender = sender
        self._seen = seen
        self._filling = filling
        self._watched = watched

    async def run(self, part: str, number: int) -> Killed:
        """Kills the part's processes and watches what comes after."""
        assert self._server.data is not None
        await sustained.level(self._server.data)
        await asyncio.sleep(CALM_S)
        stranger = replace(self._filling, conversations=1, run=secrets.token_hex(4))
        first = (self._filling.messages + number) * self._filling.conversations
        victims = [p for p in self._server.processes().values() if role_of(p.cmdline()) == part]
        if not victims:
            raise NotServing(f"there is no process of the {part}")
        began_s = time.perf_counter()
        for victim in victims:
            victim.kill()
        acked = asyncio.Event()
        # Ids are numbers of their filling: the stranger's are below zero, so that none is one of the others'.
        self._sender.send(stranger, -1 - number, then=acked.set)
        ids = [self._sender.send(self._filling, first + customer) for customer in range(self._watched)]
        first_ack, all_acked, resumed = await asyncio.gather(
            _until(acked.wait(), began_s),
            _until(self._sender.all_answered(), began_s),
            _until(self._seen.all_of(ids), began_s),
        )
        level_s = await sustained.level(self._server.data)
        level = None if level_s is None else round(1000 * (time.perf_counter() - began_s), 1)
        return Killed(
            part=part, processes=len(victims), first_ack_ms=first_ack, all_acked_ms=all_acked, resumed_ms=resumed,
            archive_level_ms=level,
        )  # fmt: skip


async def _until(something: Awaitable[object], began_s: float) -> float | None:
    """Milliseconds until it has happened."""
    try:
        async with asyncio.timeout(GIVE_UP_S):
            await something
    except TimeoutError:
        return None
    return round(1000 * (time.perf_counter() - began_s), 1)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 1) if known and len(known) == len(values) else None


def _faults(kills: Sequence[Killed], sender: Sender, seen: Seen) -> list[str]:
    never = [
        f"{kill.part}: not all was acknowledged, shown and archived within {GIVE_UP_S:.0f} s"
        for kill in kills
        if None in (kill.first_ack_ms, kill.all_acked_ms, kill.resumed_ms, kill.archive_level_ms)
    ]
    counted = [
        (seen.twice, "events were shown twice"),
        (len(sender.refused), f"events were refused; the newest: {sender.refused[-1:]}"),
    ]
    return never + [f"{number} {what}" for number, what in counted if number]
