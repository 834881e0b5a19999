"""`throughput`: how many events a second go all the way in, down and out, beside a relay that only hands them on.

    sync probe → relay → server on a past: live conversations → warm-up → measured window → everything settles
    → archive level → (sustained rate) → counts compared → relay again

An event counts when it is both acknowledged, which means synced, and shown to an agent.
"""

import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path

import uvloop
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.figures import cautions, disk, tally
from benchmarks.figures.lag import Lag, watching
from benchmarks.figures.own_cpu import Own, OwnCpu
from benchmarks.figures.percentiles import Percentiles
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.inputs.past import Past, past_of
from benchmarks.inputs.preload import preloaded
from benchmarks.inputs.traffic import NEW_EVERY, Traffic
from benchmarks.load.loads import LoadPlan, load_of, probed
from benchmarks.load.relay_load import Relayed, load_relay
from benchmarks.load.server import LiveServer, serving
from benchmarks.load.server_load import ServerLoad
from benchmarks.scenarios import sustained
from benchmarks.scenarios.sustained import Sustained

WARM_UP_S = 2.0
"""Connections, caches and the first checkpoint come before the window."""
PRELOAD_PER_S = 6000
"""A guess at the bar's pace."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    load: LoadPlan
    seconds: float = 10.0
    new_every: int = NEW_EVERY
    """Every so many events one is of a stranger; 0: none."""
    rate: float = 0.0
    """Offered events a second; 0: as many as are answered."""
    preload: int = 0
    """Events that journal and archive hold before the server starts."""
    kept: Path | None = None
    """Where a preload is kept for the next run."""
    sustained: float = 0.0
    """Also whether this rate can be sustained."""
    search: bool = False
    """Also which rate can."""
    trial_s: float = 20.0
    """How long each of those rates is offered."""


class Result(Struct, frozen=True, kw_only=True):
    """What came of it; the fields of `--json`. None where it cannot be known, or was not asked for."""

    events_per_s: float
    """Acknowledged and pushed, inside the window."""
    relay_per_s: float
    ratio: float
    offered_per_s: float | None
    """None in a closed loop, which offers whatever is taken."""
    sustained_per_s: float | None
    sustained_trials: list[sustained.Trial]
    ack_ms: Percentiles
    push_ms: Percentiles
    fsync_ms: Percentiles | None
    cpu_us_per_event: float | None
    """Of all of the server's processes, the archive's part included."""
    cpu_us_by_process: dict[str, float] | None
    """The same by process; Ray's own and the others that no event passes through included."""
    generator_us_per_event: float
    generator: Own
    generator_is_the_limit: bool
    relay_generator_cpu: Own
    """The same while it loaded the relay, the busier of the two times: its limit there raises `ratio`."""
    others_cores: float | None
    """What neither the server nor the load generator used of the machine: above 0.1 the figures are too low."""
    archive_lag_s: Lag | None
    archive_level_after_s: float | None
    seconds: float
    preloaded: int
    """Events that were there before."""
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
    cautions: list[str]
    """What makes the figures mean less than they seem to."""
    events_by_second: list[int]
    archive_lag_by_sample_s: list[float]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises `disk.NoDisk`,
    `server.NotServing`, and an `ExceptionGroup` of `wire.Refused` and lost connections."""
    under = probed(plan.load, phases)
    now_ms = time.time_ns() // 1_000_000
    past = past_of(plan.preload, text_bytes=plan.load.text_bytes)
    traffic = Traffic(
        secrets.token_hex(4),
        customers=plan.load.customers,
        account=plan.load.account,
        text_bytes=plan.load.text_bytes,
        began_ms=now_ms,
        past=past,
        new_every=plan.new_every,
    )
    phases.begin("relay", plan.seconds / 2)
    relays = [uvloop.run(load_relay(traffic, plan.load.shape, seconds=plan.seconds / 2))]

    def fill(data: Path) -> None:
        phases.begin(f"preloading {past.events:,} events", past.events / PRELOAD_PER_S)
        preloaded(data, past, kept=plan.kept, at_ms=now_ms, on_progress=phases.reach)
        phases.begin("starting a server", 10.0)

    phases.begin("starting a server", 10.0)
    setup = replace(plan.load.setup, fill=fill if past.customers else None)
    with serving(setup) if plan.load.server is None else nullcontext(plan.load.server) as at:
        measured = uvloop.run(_measure(plan, at, traffic, phases))
    # Half of it before and half after, so that a machine whose speed drifts weighs on both sides of the ratio.
    phases.begin("relay", plan.seconds / 2)
    relays.append(uvloop.run(load_relay(traffic, plan.load.shape, seconds=plan.seconds / 2)))
    return _result(plan, measured, under, relays, past)


class _Measured(Struct, frozen=True, kw_only=True):
    """What one run on the server gave. The window's figures are read before another one begins."""

    load: ServerLoad
    rate: float
    ack_ms: Percentiles
    push_ms: Percentiles
    by_second: list[int]
    events: int
    """All that were sent in the measured phase."""
    server_cpu_s: dict[str, float]
    own: Own
    others_cores: float | None
    lag: Lag | None
    lag_samples_s: list[float]
    level_after_s: float | None
    sustained: Sustained | None
    tally: tally.Tally | None


async def _measure(plan: Plan, server: LiveServer, traffic: Traffic, phases: Phases) -> _Measured:
    load = load_of(plan.load, traffic)
    after = tally.head(server.data) if server.data else 0
    async with load.open(server):
        phases.begin("making live conversations", 2.0)
        await load.prepare()
        phases.begin("load", WARM_UP_S + plan.seconds)
        async with AsyncExitStack() as stack:
            watch = await stack.enter_async_context(watching(server.data)) if server.data else None
            server_began, own, sent_before = server.used(), OwnCpu(), load.ledger.sent
            await load.run(seconds=plan.seconds, warm_up_s=WARM_UP_S, rate=plan.rate)
            used, ledger = own.so_far(), load.ledger
            window = (ledger.rate(), ledger.ack_ms(), ledger.push_ms(), ledger.by_second, ledger.sent - sent_before)
            phases.begin("archive", 5.0)
            level_after_s = await sustained.level(server.data) if server.data else None
        spent = server.used().since(server_began)
        others = own.others_cores(sum(spent.values())) if server.data else None
        held = await _sustain(plan, load, server.data, window[0], phases) if server.data else None
        phases.begin("counting", 2.0)
        counts = tally.tally(server.data, traffic.source, after=after) if server.data else None
    rate, ack_ms, push_ms, by_second, events = window
    return _Measured(
        load=load,
        rate=rate,
        ack_ms=ack_ms,
        push_ms=push_ms,
        by_second=by_second,
        events=events,
        server_cpu_s=spent,
        own=used,
        others_cores=others,
        lag=watch.lag() if watch else None,
        lag_samples_s=watch.samples_s if watch else [],
        level_after_s=level_after_s,
        sustained=held,
        tally=counts,
    )


async def _sustain(plan: Plan, load: ServerLoad, data: Path, reached: float, phases: Phases) -> Sustained | None:
    async def attempt(rate: float) -> sustained.Trial:
        phases.begin(f"sustaining {rate:,.0f}/s", sustained.WARM_UP_S + plan.trial_s)
        return await sustained.attempt(load, data, rate, seconds=plan.trial_s)

    if plan.sustained:
        held = sustained.sustained([await attempt(plan.sustained)])
    elif plan.search:
        held = await sustained.search(attempt, highest=reached)
    else:
        return None
    await sustained.level(data)
    return held


def _result(plan: Plan, measured: _Measured, under: disk.Disk, relays: Sequence[Relayed], past: Past) -> Result:
    ledger, counts, held = measured.load.ledger, measured.tally, measured.sustained
    relay_per_s = sum(relay.per_s for relay in relays) / len(relays)
    at_relay = max((relay.generator for relay in relays), key=lambda own: own.cores + own.waiting)
    by_process = _us_per_event(measured.server_cpu_s, measured.events) if plan.load.server is None else None
    return Result(
        events_per_s=round(measured.rate, 1),
        relay_per_s=round(relay_per_s, 1),
        ratio=round(measured.rate / relay_per_s, 3) if relay_per_s else 0.0,
        offered_per_s=plan.rate or None,
        sustained_per_s=held.per_s if held else None,
        sustained_trials=held.trials if held else [],
        ack_ms=measured.ack_ms,
        push_ms=measured.push_ms,
        fsync_ms=under.fsync_ms,
        cpu_us_per_event=round(sum(by_process.values()), 1) if by_process else None,
        cpu_us_by_process=by_process,
        generator_us_per_event=round(1e6 * measured.own.cpu_s / max(1, measured.events), 1),
        generator=measured.own,
        generator_is_the_limit=measured.own.limits,
        relay_generator_cpu=at_relay,
        others_cores=measured.others_cores,
        archive_lag_s=measured.lag,
        archive_level_after_s=None if measured.level_after_s is None else round(measured.level_after_s, 2),
        seconds=plan.seconds,
        preloaded=past.events,
        sent=ledger.sent,
        acked=ledger.acked,
        pushed=ledger.pushed,
        journaled=counts.journaled if counts else None,
        archived=counts.archived if counts else None,
        repeats_sent=ledger.repeats_sent,
        repeats_answered=ledger.repeats_answered,
        faults=_faults(measured),
        cautions=[
            *cautions.of_machine(generator_is_the_limit=measured.own.limits, others_cores=measured.others_cores),
            *cautions.of_relay(at_relay),
            *cautions.of_stores(measured.lag, past.events),
        ],
        events_by_second=measured.by_second,
        archive_lag_by_sample_s=[round(sample, 3) for sample in measured.lag_samples_s],
        setting=setting(
            under.kind,
            new_every=plan.new_every,
            **plan.load.told(),
        ),
    )


def _us_per_event(cpu_s: dict[str, float], events: int) -> dict[str, float]:
    return {role: round(1e6 * seconds / max(1, events), 1) for role, seconds in cpu_s.items()}


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
