"""`policy`: new versions of the rules under a load of events: is one lost, and how long does the server pause?

    server with a bundle in force → live conversations → events by the clock, with nothing else
    → the same again, and meanwhile the bundle's next versions, one after the other → all settles → counts compared

A pause is the longest time in which no event was acknowledged. The one around a switch is of the time from asking for
it until a second after it was answered, and stands beside the longest one of the same time without any.
"""

import asyncio
import time

import uvloop
from msgspec import Struct

from benchmarks.figures import cautions, disk, tally
from benchmarks.figures.own_cpu import Own, OwnCpu
from benchmarks.figures.percentiles import Percentiles
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.inputs import bundle
from benchmarks.load.loads import LoadPlan, load_of, probed, server_of, traffic_of
from benchmarks.load.server import LiveServer
from benchmarks.load.server_load import ServerLoad

WARM_UP_S = 2.0
AFTER_S = 1.0
"""What of the time after a switch counts as around it."""
OFFERED_MIN = 0.95
"""Of a rate: what was done of it, or a pause is a queue's."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run. The setup names a bundle, whose versions these are."""

    load: LoadPlan
    rate: float = 5000.0
    """Events a second."""
    seconds: float = 10.0
    """Without a switch, and once more with them."""
    versions: int = 5


class Switch(Struct, frozen=True, kw_only=True):
    """One version that came into force."""

    version: int
    took_ms: float
    """From asking for it until every cell that runs decided by it."""
    pause_ms: float
    """The longest around it."""


class Result(Struct, frozen=True, kw_only=True):
    """Of both times, without switches and with them."""

    offered_per_s: float
    events_per_s: float
    """While there were switches."""
    switches: list[Switch]
    pause_ms: float
    """The longest around any switch."""
    pause_without_ms: float
    """The longest while there was none."""
    took_ms: float
    """The slowest switch."""
    lost: int
    """Events that were sent and are not in the journal."""
    ack_ms: Percentiles
    ack_without_ms: Percentiles
    seconds: float
    generator: Own
    generator_is_the_limit: bool
    fsync_ms: Percentiles | None
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does, and `NoBundle`."""
    under = probed(plan.load, phases)
    with server_of(plan.load, phases) as server:
        return uvloop.run(_measure(plan, server, under, phases))


async def _measure(plan: Plan, server: LiveServer, under: disk.Disk, phases: Phases) -> Result:
    traffic = traffic_of(plan.load)
    load = load_of(plan.load, traffic)
    assert server.data is not None
    after = tally.head(server.data)
    async with load.open(server):
        phases.begin("making live conversations", 2.0)
        await load.prepare()
        phases.begin(f"{plan.rate:,.0f} events/s", WARM_UP_S + plan.seconds)
        own, from_s = OwnCpu(), time.perf_counter() + WARM_UP_S
        await load.run(seconds=plan.seconds, warm_up_s=WARM_UP_S, rate=plan.rate)
        without, ack_without_ms = load.ledger.pause_s(from_s, from_s + plan.seconds), load.ledger.ack_ms()
        phases.begin(f"{plan.versions} versions", WARM_UP_S + plan.seconds)
        _, asked = await asyncio.gather(
            load.run(seconds=plan.seconds, warm_up_s=WARM_UP_S, rate=plan.rate), _switch(plan, server)
        )
        used = own.so_far()
        phases.begin("counting", 2.0)
        counts = tally.tally(server.data, traffic.source, after=after)
    ledger = load.ledger
    switches = [
        Switch(
            version=applied.version,
            took_ms=round(1000 * (to_s - at_s), 1),
            pause_ms=round(1000 * ledger.pause_s(at_s, to_s + AFTER_S), 1),
        )
        for applied, at_s, to_s in asked
    ]
    return Result(
        offered_per_s=plan.rate,
        events_per_s=round(ledger.rate(), 1),
        switches=switches,
        pause_ms=max(switch.pause_ms for switch in switches),
        pause_without_ms=round(1000 * without, 1),
        took_ms=max(switch.took_ms for switch in switches),
        lost=ledger.sent - counts.journaled,
        ack_ms=ledger.ack_ms(),
        ack_without_ms=ack_without_ms,
        seconds=plan.seconds,
        generator=used,
        generator_is_the_limit=used.limits,
        fsync_ms=under.fsync_ms,
        faults=_faults(plan, load, [applied for applied, _, _ in asked], counts),
        cautions=cautions.of_machine(generator_is_the_limit=used.limits, others_cores=None),
        setting=setting(
            under.kind,
            bundle=plan.load.setup.bundle,
            **plan.load.told(),
        ),
    )


async def _switch(plan: Plan, server: LiveServer) -> list[tuple[bundle.Applied, float, float]]:
    """Applies the versions, evenly over the measured time; each with when it was asked for and when it was answered."""
    files = bundle.read(plan.load.setup.bundle)
    began_s = time.perf_counter() + WARM_UP_S
    asked: list[tuple[bundle.Applied, float, float]] = []
    for number in range(plan.versions):
        due_s = began_s + (number + 0.5) * plan.seconds / plan.versions
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        at_s = time.perf_counter()
        applied = await asyncio.to_thread(
            bundle.apply, server.url, server.operator_token, bundle.next_of(files, number), "for a benchmark"
        )
        asked.append((applied, at_s, time.perf_counter()))
    return asked


def _faults(plan: Plan, load: ServerLoad, applied: list[bundle.Applied], counts: tally.Tally) -> list[str]:
    ledger = load.ledger
    checks = [
        (ledger.sent - ledger.acked, "events were never acknowledged"),
        (ledger.sent - ledger.pushed, "events were never shown to an agent"),
        (ledger.refused, f"events were refused; the newest: {ledger.refusal}"),
        (ledger.pushed_twice, "events were shown twice"),
        (load.gaps, "updates left a gap"),
        (ledger.acked - counts.journaled, "acknowledged events are not in the journal"),
        (counts.journaled_twice, "events are in the journal twice"),
        (sum(len(each.late) for each in applied), "cells were not reached by a version"),
    ]
    behind = ledger.answered_rate() < OFFERED_MIN * plan.rate
    words = f"of {plan.rate:,.0f} events/s {ledger.answered_rate():,.0f} were done: a pause is a queue's"
    return [f"{number} {what}" for number, what in checks if number] + ([words] if behind else [])
