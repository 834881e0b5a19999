"""`context`: how long a machine waits for `GET /v1/context` beside a load of events.

    server → live conversations → events by the clock, and beside them questions by the clock, about those conversations

Every question has a time when it is due, and its latency counts from then.
"""

import asyncio
import secrets
import time

import uvloop
from msgspec import Struct

from benchmarks.figures import cautions, disk
from benchmarks.figures.own_cpu import Own, OwnCpu
from benchmarks.figures.percentiles import Percentiles, curve_ms, percentiles_ms
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.load.asking import Askers
from benchmarks.load.loads import LoadPlan, load_of, probed, server_of, traffic_of
from benchmarks.load.metronome import Metronome
from benchmarks.load.server import LiveServer
from benchmarks.load.server_load import ServerLoad

WARM_UP_S = 2.0
OFFERED_MIN = 0.95
"""Of a rate: what was done of it, or the latencies are those of a queue."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    load: LoadPlan
    reads: float = 200.0
    """Questions a second."""
    events: float = 2000.0
    """Events a second beside them."""
    seconds: float = 10.0


class Result(Struct, frozen=True, kw_only=True):
    """Of the time after the warm-up."""

    reads_offered_per_s: float
    reads_per_s: float
    read_ms: Percentiles
    late_ms: Percentiles
    """What of it is the load generator's own: how late it sent."""
    events_offered_per_s: float
    events_per_s: float
    ack_ms: Percentiles
    seconds: float
    answered: int
    server_cores: float | None
    generator: Own
    generator_is_the_limit: bool
    fsync_ms: Percentiles | None
    curve_ms: list[tuple[float, float]]
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does."""
    under = probed(plan.load, phases)
    with server_of(plan.load, phases) as server:
        return uvloop.run(_measure(plan, server, under, phases))


async def _measure(plan: Plan, server: LiveServer, under: disk.Disk, phases: Phases) -> Result:
    run_name = secrets.token_hex(4)
    load = load_of(plan.load, traffic_of(plan.load, run_name))
    askers = Askers(server.url, server.agent_token)
    identities = [f"chat:{run_name}-{customer}" for customer in range(plan.load.customers)]
    async with load.open(server), askers:
        phases.begin("making live conversations", 2.0)
        await load.prepare()
        phases.begin(f"{plan.reads:,.0f} reads/s", WARM_UP_S + plan.seconds)
        before, own, began_s = server.used(), OwnCpu(), time.perf_counter()
        async with Metronome() as metronome:
            times = {"seconds": plan.seconds, "warm_up_s": WARM_UP_S}
            await asyncio.gather(
                load.run(rate=plan.events, metronome=metronome, **times),
                askers.run(identities, rate=plan.reads, metronome=metronome, **times),
            )
        used, took_s = own.so_far(), time.perf_counter() - began_s
        spent_s = sum(server.used().since(before).values()) if server.data else None
    return _result(plan, load, askers, used, None if spent_s is None else spent_s / took_s, own, spent_s, under)


def _result(
    plan: Plan,
    load: ServerLoad,
    askers: Askers,
    used: Own,
    cores: float | None,
    own: OwnCpu,
    spent_s: float | None,
    under: disk.Disk,
) -> Result:
    reads_per_s, events_per_s = len(askers.took_s) / plan.seconds, load.ledger.rate()
    return Result(
        reads_offered_per_s=plan.reads,
        reads_per_s=round(reads_per_s, 1),
        read_ms=percentiles_ms(askers.took_s),
        late_ms=percentiles_ms(askers.late_s),
        events_offered_per_s=plan.events,
        events_per_s=round(events_per_s, 1),
        ack_ms=load.ledger.ack_ms(),
        seconds=plan.seconds,
        answered=askers.answered,
        server_cores=None if cores is None else round(cores, 2),
        generator=used,
        generator_is_the_limit=used.limits,
        fsync_ms=under.fsync_ms,
        curve_ms=curve_ms(askers.took_s),
        faults=_faults(plan, load, askers, reads_per_s, events_per_s),
        cautions=cautions.of_machine(
            generator_is_the_limit=used.limits, others_cores=None if spent_s is None else own.others_cores(spent_s)
        ),
        setting=setting(
            under.kind,
            seconds=plan.seconds,
            **plan.load.told(),
        ),
    )


def _faults(plan: Plan, load: ServerLoad, askers: Askers, reads_per_s: float, events_per_s: float) -> list[str]:
    ledger = load.ledger
    checks = [
        (ledger.open, "events were not acknowledged and shown"),
        (ledger.refused, f"events were refused; the newest: {ledger.refusal}"),
        (load.gaps, "updates left a gap"),
        (askers.wrong, f"questions had a wrong answer; the first: {askers.problem}"),
    ]
    behind = [
        f"of {offered:,.0f} {what}/s {done:,.0f} were done: the latencies are a queue's"
        for what, offered, done in (("reads", plan.reads, reads_per_s), ("events", plan.events, events_per_s))
        if done < OFFERED_MIN * offered
    ]
    return [f"{number} {what}" for number, what in checks if number] + behind
