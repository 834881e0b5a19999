"""`merge`: how long a merge of two customers with many events each takes, and what the others notice of it.

server → pairs of customers with many messages each → others' events by the clock → merge, unmerge beside them
"""

import asyncio
import time

import httpx
import uvloop
from msgspec import Struct

from benchmarks.figures import cautions, disk
from benchmarks.figures.own_cpu import Own, OwnCpu
from benchmarks.figures.percentiles import Percentiles, percentiles_ms
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.load.filling import SHAPE, Filling, fill, named, pace_s
from benchmarks.load.loads import LoadPlan, load_of, probed, server_of, traffic_of
from benchmarks.load.server import LiveServer
from benchmarks.load.server_load import ServerLoad
from benchmarks.load.wire import Refused

WARM_UP_S = 2.0
BETWEEN_S = 1.0
"""Before the first merge, and between two: what one leaves behind is not the next one's."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    load: LoadPlan
    events: int = 10_000
    """Of each of the two."""
    merges: int = 3
    """Each of two customers of its own."""
    rate: float = 1000.0
    """Events a second of others."""


class Result(Struct, frozen=True, kw_only=True):
    """Times are from the command to its answer, when both customers' cells have committed their part."""

    events_each: int
    merge_ms: Percentiles
    unmerge_ms: Percentiles
    others_offered_per_s: float
    others_per_s: float
    ack_ms: Percentiles
    """Of others' events, while customers were merged and unmerged beside them; `max` is their longest pause."""
    quiet_ack_ms: Percentiles
    """Of others' events before, while nobody was."""
    late_ms: Percentiles
    """What of it is the load generator's own: how late it sent, beside the merges."""
    generator: Own
    generator_is_the_limit: bool
    fsync_ms: Percentiles | None
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises as `throughput.run` does."""
    under = probed(plan.load, phases)
    with server_of(plan.load, phases) as server:
        return uvloop.run(_measure(plan, server, under, phases))


async def _measure(plan: Plan, server: LiveServer, under: disk.Disk, phases: Phases) -> Result:
    pairs = named(Filling(conversations=2 * plan.merges, messages=plan.events, account=plan.load.account))
    phases.begin(f"{pairs.events:,} events of those to be merged", pace_s(pairs))
    filled = await fill(server, pairs, SHAPE, on_progress=phases.reach)
    own = OwnCpu()
    quiet = await _load(plan, server, phases, None)
    both = _Merging(plan, server, pairs)
    busy = await _load(plan, server, phases, both)
    used = own.so_far()
    faults = [
        f"{load.ledger.refused} events were refused: {load.ledger.refusal}"
        for load in (quiet, busy)
        if load.ledger.refused
    ]
    if not filled.is_whole:
        faults.append(f"{filled.events} of {pairs.events} events of those to be merged were taken")
    return Result(
        events_each=plan.events,
        merge_ms=percentiles_ms(both.merge_s),
        unmerge_ms=percentiles_ms(both.unmerge_s),
        others_offered_per_s=plan.rate,
        others_per_s=round(busy.ledger.rate(), 1),
        ack_ms=busy.ledger.ack_ms(),
        quiet_ack_ms=quiet.ledger.ack_ms(),
        late_ms=busy.ledger.late_ms(),
        generator=used,
        generator_is_the_limit=used.limits,
        fsync_ms=under.fsync_ms,
        faults=faults,
        cautions=cautions.of_machine(generator_is_the_limit=used.limits, others_cores=None),
        setting=setting(
            under.kind,
            merges=plan.merges,
            **plan.load.told(),
        ),
    )


async def _load(plan: Plan, server: LiveServer, phases: Phases, merging: "_Merging | None") -> ServerLoad:
    """Others' events by the clock, for as long as the merges take."""
    load = load_of(plan.load, traffic_of(plan.load))
    seconds = 2 * BETWEEN_S * plan.merges + BETWEEN_S
    async with load.open(server):
        phases.begin("making live conversations", 2.0)
        await load.prepare()
        phases.begin("others alone" if merging is None else "others, and merges", WARM_UP_S + seconds)
        tasks = [load.run(seconds=seconds, warm_up_s=WARM_UP_S, rate=plan.rate)]
        await asyncio.gather(*tasks, *([merging.run()] if merging is not None else []))
    return load


class _Merging:
    """Merges each pair, and takes it apart again."""

    def __init__(self, plan: Plan, server: LiveServer, pairs: Filling) -> None:
        self._plan = plan
        self._server = server
        self._pairs = pairs
        self.merge_s: list[float] = []
        self.unmerge_s: list[float] = []

    async def run(self) -> None:
        """Raises `Refused`."""
        headers = {"Authorization": f"Bearer {self._server.agent_token}"}
        # Made before the warm-up is over: it reads the machine's certificates, and the load generator stands still.
        async with httpx.AsyncClient(base_url=self._server.url, headers=headers, timeout=60) as http:
            await asyncio.sleep(WARM_UP_S + BETWEEN_S)
            for pair in range(self._plan.merges):
                keeps, other = [await self._customer(http, 2 * pair + each) for each in (0, 1)]
                self.merge_s.append(await self._timed(http, keeps, other, "merge_customers"))
                await asyncio.sleep(BETWEEN_S)
                self.unmerge_s.append(await self._timed(http, keeps, other, "unmerge_customers"))
                await asyncio.sleep(BETWEEN_S / 2)

    async def _customer(self, http: httpx.AsyncClient, number: int) -> str:
        identity = f"chat:{self._pairs.run}-{number}"
        response = await http.get("/v1/context", params={"identity": identity})
        if response.status_code != 200:
            raise Refused(f"context of {identity}: {response.text}")
        return str(response.json()["customer"])

    async def _timed(self, http: httpx.AsyncClient, keeps: str, other: str, what: str) -> float:
        began_s = time.perf_counter()
        response = await http.post(f"/v1/customers/{keeps}/commands", json={"command": {"do": what, "other": other}})
        took_s = time.perf_counter() - began_s
        if response.status_code != 200:
            raise Refused(f"{what}: {response.text}")
        return took_s
