"""`latency`: how long an event takes to its acknowledgement and to its agent, at rates that are offered by the clock.

    sync probe → server → nothing at all for a while: the idle server's CPU → live conversations → each rate in turn

Every event has a time when it is due, and its latency counts from then, whatever the answers before it did.
"""

import time
from collections.abc import Sequence

import uvloop
from msgspec import Struct

from benchmarks.figures import cautions
from benchmarks.figures.own_cpu import Own, OwnCpu
from benchmarks.figures.percentiles import Percentiles
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.load.loads import LoadPlan, load_of, probed, server_of, traffic_of
from benchmarks.load.server import LiveServer
from benchmarks.load.server_load import ServerLoad
from benchmarks.scenarios import sustained

WARM_UP_S = 2.0
IDLE_S = 10.0
SETTLE_S = 2.0
"""Between the server's start and what is called idle."""
OFFERED_MIN = 0.95
"""Of a rate: what was completed of it, or the server did not keep up and the latencies are those of a queue."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    load: LoadPlan
    rates: Sequence[float] = (100.0, 1000.0, 5000.0)
    seconds: float = 10.0
    """Of each rate, its warm-up not counted."""
    idle_s: float = IDLE_S


class AtRate(Struct, frozen=True, kw_only=True):
    """One rate's figures."""

    offered_per_s: float
    events_per_s: float
    ack_ms: Percentiles
    push_ms: Percentiles
    push_after_ack_ms: Percentiles
    late_ms: Percentiles
    """What of it is the load generator's own: how late it sent."""
    cpu_us_per_event: float | None
    server_cores: float | None
    generator: Own
    others_cores: float | None
    """As `throughput`'s."""
    curves_ms: dict[str, list[tuple[float, float]]]


class Result(Struct, frozen=True, kw_only=True):
    """All rates; the flat fields are the highest one's."""

    offered_per_s: float
    events_per_s: float
    ack_ms: Percentiles
    push_ms: Percentiles
    fsync_ms: Percentiles | None
    cpu_us_per_event: float | None
    idle_percent_of_a_core: float | None
    idle_percent_by_process: dict[str, float] | None
    generator_is_the_limit: bool
    rates: list[AtRate]
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does."""
    under = probed(plan.load, phases)
    with server_of(plan.load, phases) as server:
        idle = _idle(plan, server, phases)
        rates, faults = uvloop.run(_measure(plan, server, phases))
    others = [rate.others_cores for rate in rates if rate.others_cores is not None]
    is_the_limit = any(rate.generator.limits for rate in rates)
    highest = max(rates, key=lambda rate: rate.offered_per_s)
    return Result(
        offered_per_s=highest.offered_per_s,
        events_per_s=highest.events_per_s,
        ack_ms=highest.ack_ms,
        push_ms=highest.push_ms,
        fsync_ms=under.fsync_ms,
        cpu_us_per_event=highest.cpu_us_per_event,
        idle_percent_of_a_core=round(sum(idle.values()), 2) if idle else None,
        idle_percent_by_process=idle,
        generator_is_the_limit=is_the_limit,
        rates=rates,
        faults=faults,
        cautions=cautions.of_machine(generator_is_the_limit=is_the_limit, others_cores=max(others, default=None)),
        setting=setting(
            under.kind,
            seconds=plan.seconds,
            **plan.load.told(),
        ),
    )


def _idle(plan: Plan, server: LiveServer, phases: Phases) -> dict[str, float] | None:
    """Percent of a core by process, of a server that nobody asks anything; None for somebody else's."""
    if server.data is None or not plan.idle_s:
        return None
    phases.begin("nothing at all", SETTLE_S + plan.idle_s)
    time.sleep(SETTLE_S)
    before, began_s = server.used(), time.perf_counter()
    time.sleep(plan.idle_s)
    spent = server.used().since(before)
    took_s = time.perf_counter() - began_s
    return {role: round(100 * cpu_s / took_s, 2) for role, cpu_s in spent.items()}


async def _measure(plan: Plan, server: LiveServer, phases: Phases) -> tuple[list[AtRate], list[str]]:
    load = load_of(plan.load, traffic_of(plan.load))
    rates: list[AtRate] = []
    async with load.open(server):
        phases.begin("making live conversations", 2.0)
        await load.prepare()
        for rate in plan.rates:
            if server.data is not None:
                await sustained.level(server.data)
            phases.begin(f"{rate:,.0f} events/s", WARM_UP_S + plan.seconds)
            rates.append(await _at_rate(plan, server, load, rate))
    return rates, _faults(load, rates)


async def _at_rate(plan: Plan, server: LiveServer, load: ServerLoad, rate: float) -> AtRate:
    before, own, began_s, sent = server.used(), OwnCpu(), time.perf_counter(), load.ledger.sent
    await load.run(seconds=plan.seconds, warm_up_s=WARM_UP_S, rate=rate)
    used, took_s, ledger = own.so_far(), time.perf_counter() - began_s, load.ledger
    spent_s = sum(server.used().since(before).values()) if server.data else None
    return AtRate(
        offered_per_s=rate,
        events_per_s=round(ledger.rate(), 1),
        ack_ms=ledger.ack_ms(),
        push_ms=ledger.push_ms(),
        push_after_ack_ms=ledger.push_after_ack_ms(),
        late_ms=ledger.late_ms(),
        cpu_us_per_event=None if spent_s is None else round(1e6 * spent_s / max(1, ledger.sent - sent), 1),
        server_cores=None if spent_s is None else round(spent_s / took_s, 2),
        generator=used,
        others_cores=None if spent_s is None else own.others_cores(spent_s),
        curves_ms=ledger.curves_ms(),
    )


def _faults(load: ServerLoad, rates: Sequence[AtRate]) -> list[str]:
    ledger = load.ledger
    checks = [
        (ledger.open, "events were not acknowledged and shown"),
        (ledger.refused, f"events were refused; the newest: {ledger.refusal}"),
        (ledger.pushed_twice, "events were shown twice"),
        (load.gaps, "updates left a gap"),
    ]
    fell_behind = [
        f"of {rate.offered_per_s:,.0f} events/s {rate.events_per_s:,.0f} were done: the latencies are a queue's"
        for rate in rates
        if rate.events_per_s < OFFERED_MIN * rate.offered_per_s
    ]
    return [f"{number} {what}" for number, what in checks if number] + fell_behind
