"""`throughput`: how many events a second go all the way in, down and out, beside a relay that only hands them on.

    sync probe → relay → server: live conversations → warm-up → measured window → everything settles → counts compared

An event counts when it is both acknowledged, which means synced, and shown to an agent.
"""

import asyncio
import os
import platform
import secrets
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path

import uvloop
from msgspec import Struct
from msgspec.structs import asdict

from benchmarks import disk, tally
from benchmarks.ledger import Percentiles
from benchmarks.pushing import Shape
from benchmarks.relay_load import relay_rate
from benchmarks.server import ACCOUNT, QUEUE, LiveServer, serving
from benchmarks.server_load import ServerLoad
from benchmarks.traffic import Traffic

WARM_UP_S = 2.0
"""Connections, caches and the first checkpoint come before the window."""
ARCHIVE_TIMEOUT_S = 60.0
_POLL_S = 0.05
BUSY = 0.9
"""Of a core: a load generator that used more may itself have been the limit."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run. With a `server`, that one is loaded; otherwise one of the run's own, below `folder`."""

    folder: Path
    seconds: float = 10.0
    customers: int = 2000
    shape: Shape = Shape()
    rate: float = 0.0
    """Offered events a second; 0: as many as are answered."""
    text_bytes: int = 160
    cells: int = 0
    keep: bool = False
    server: LiveServer | None = None
    account: str = ACCOUNT
    queue: str = QUEUE


class Result(Struct, frozen=True, kw_only=True):
    """What came of it; the fields of `--json`. None where it cannot be known of somebody else's server."""

    events_per_s: float
    """Acknowledged and pushed, inside the window."""
    relay_per_s: float
    ratio: float
    offered_per_s: float | None
    """None in a closed loop, which offers whatever is taken."""
    ack_ms: Percentiles
    push_ms: Percentiles
    fsync_ms: Percentiles
    cpu_us_per_event: float | None
    """Of all of the server's processes, the archive's part included."""
    cpu_us_by_process: dict[str, float] | None
    """The same by process; Ray's own and the others that no event passes through included."""
    generator_cpu: float
    """Cores that the load generator used."""
    generator_us_per_event: float
    generator_is_the_limit: bool
    archive_level_after_s: float | None
    seconds: float
    sent: int
    """Different events, those that made the live conversations included; the counts below are of these."""
    acked: int
    pushed: int
    journaled: int | None
    archived: int | None
    repeats_sent: int
    repeats_answered: int
    faults: list[str]
    """Empty where every count agrees."""
    setting: dict[str, str | int | float]


def run(plan: Plan, *, phase: Callable[[str, float], None]) -> Result:
    """Runs it; `phase` is told each phase's name and how many seconds it should take. Raises `disk.NoDisk`,
    `server.NotServing`, and an `ExceptionGroup` of `wire.Refused` and lost connections."""
    kind = disk.check(plan.folder)
    phase("syncing pages", 1.0)
    fsync_ms = disk.fsync_ms(plan.folder)
    traffic = Traffic(
        secrets.token_hex(4),
        customers=plan.customers,
        account=plan.account,
        text_bytes=plan.text_bytes,
        began_ms=time.time_ns() // 1_000_000,
    )
    phase("relay", plan.seconds)
    relay_per_s = uvloop.run(relay_rate(traffic, plan.shape, seconds=plan.seconds))
    phase("starting a server", 10.0)
    with (
        serving(plan.folder, cells=plan.cells, keep=plan.keep)
        if plan.server is None
        else nullcontext(plan.server) as at
    ):
        measured = uvloop.run(_measure(plan, at, traffic, phase))
    return _result(plan, measured, fsync_ms, relay_per_s, kind)


class _Measured(Struct, frozen=True):
    """What one run on the server gave."""

    load: ServerLoad
    server_cpu_s: dict[str, float]
    generator_cpu: float
    generator_cpu_s: float
    archive_level_after_s: float | None
    tally: tally.Tally | None


async def _measure(plan: Plan, server: LiveServer, traffic: Traffic, phase: Callable[[str, float], None]) -> _Measured:
    load = ServerLoad(traffic, plan.shape, queue=plan.queue)
    async with load.open(
        server.url,
        agent_token=server.agent_token,
        gateway_token=server.gateway_token,
    ):
        phase("making live conversations", 2.0)
        await load.prepare()
        phase("load", WARM_UP_S + plan.seconds)
        server_began, began_s, cpu_began_s = server.used(), time.perf_counter(), time.process_time()
        await load.run(seconds=plan.seconds, warm_up_s=WARM_UP_S, rate=plan.rate)
        generator_cpu_s = time.process_time() - cpu_began_s
        generator_cpu = generator_cpu_s / (time.perf_counter() - began_s)
        phase("archive", 5.0)
        level_after_s = await _archive_level(server.data) if server.data else None
        server_cpu_s = server.used().since(server_began)
        phase("counting", 2.0)
        counts = tally.tally(server.data, traffic.source) if server.data else None
    return _Measured(load, server_cpu_s, generator_cpu, generator_cpu_s, level_after_s, counts)


async def _archive_level(data: Path) -> float | None:
    """Seconds until the archive has all that the journal has; None where it takes too long."""
    began_s = time.perf_counter()
    while (took_s := time.perf_counter() - began_s) < ARCHIVE_TIMEOUT_S:
        if tally.behind(data) <= 0:
            return took_s
        await asyncio.sleep(_POLL_S)
    return None


def _result(plan: Plan, measured: _Measured, fsync_ms: Percentiles, relay_per_s: float, kind: str) -> Result:
    ledger, counts = measured.load.ledger, measured.tally
    measured_events = ledger.sent - plan.customers
    rate = ledger.rate()
    by_process = _us_per_event(measured.server_cpu_s, measured_events) if counts and measured_events else None
    return Result(
        events_per_s=round(rate, 1),
        relay_per_s=round(relay_per_s, 1),
        ratio=round(rate / relay_per_s, 3) if relay_per_s else 0.0,
        offered_per_s=plan.rate or None,
        ack_ms=ledger.ack_ms(),
        push_ms=ledger.push_ms(),
        fsync_ms=fsync_ms,
        cpu_us_per_event=round(sum(by_process.values()), 1) if by_process else None,
        cpu_us_by_process=by_process,
        generator_cpu=round(measured.generator_cpu, 2),
        generator_us_per_event=round(1e6 * measured.generator_cpu_s / max(1, measured_events), 1),
        generator_is_the_limit=measured.generator_cpu > BUSY,
        archive_level_after_s=measured.archive_level_after_s and round(measured.archive_level_after_s, 2),
        seconds=plan.seconds,
        sent=ledger.sent,
        acked=ledger.acked,
        pushed=ledger.pushed,
        journaled=counts.journaled if counts else None,
        archived=counts.archived if counts else None,
        repeats_sent=ledger.repeats_sent,
        repeats_answered=ledger.repeats_answered,
        faults=_faults(measured),
        setting={
            "customers": plan.customers,
            **asdict(plan.shape),
            "text_bytes": plan.text_bytes,
            "cores": os.cpu_count() or 0,
            "file_system": kind,
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "ray": version("ray"),
            "websockets": version("websockets"),
        },
    )


def _us_per_event(cpu_s: dict[str, float], events: int) -> dict[str, float]:
    return {role: round(1e6 * seconds / events, 1) for role, seconds in cpu_s.items()}


def _faults(measured: _Measured) -> list[str]:
    """Everything that does not add up, in words."""
    ledger, counts = measured.load.ledger, measured.tally
    checks = [
        (ledger.sent - ledger.acked, "events were never acknowledged"),
        (ledger.sent - ledger.pushed, "events were never shown to an agent"),
        (ledger.refused, f"events were refused; the newest: {ledger.refusal}"),
        (ledger.repeats_sent - ledger.repeats_answered, "repeats were not answered as repeats"),
        (ledger.pushed_twice, "events were shown twice"),
        (measured.load.gaps, "updates left a gap"),
    ]
    if counts is not None:
        checks += [
            (ledger.acked - counts.journaled, "acknowledged events are not in the journal"),
            (counts.journaled_twice, "events are in the journal twice"),
            (counts.journaled - counts.archived, "journaled events are not in the archive"),
        ]
    return [f"{number} {what}" for number, what in checks if number]
