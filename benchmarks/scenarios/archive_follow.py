"""`archive`: what following costs the archive, alone: no gateway, no cell and no journal at work beside it.

a journal of real decisions → an empty archive follows it, in batches of each size → its busiest journeys are loaded

An event is one of a channel, as in `throughput`: a stranger's first message is one, though it makes four facts. The
processor's time is what counts, of all threads: the archive shares its cores with those whom somebody waits for. Under
a bundle, what became of each message that answers an event is in the journal too, as a record of its own.
"""

import asyncio
import gc
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from actors.archive.projection import project
from actors.cells.loading import load
from actors.rules.policy import Policy
from adapters.stores.archive.sqlite import SqliteArchive, SqliteArchiveReader
from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from benchmarks.figures import cautions, disk
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.inputs.bundle import policy_of
from benchmarks.inputs.decided import Made, make_journal
from orchestrator.cluster.host import COLLECTED_AFTER
from protocol.links import TailIs

LOADS = 500
MAKING = 0.5
"""Of a run's seconds: what the journal may take to make; each size of batch has its part of the rest."""
PER_S = 20_000
"""A guess at the bar's pace."""


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    folder: Path
    events: int = 200_000
    batches: Sequence[int] = (200, 2000, 8000)
    customers: int = 2000
    text_bytes: int = 160
    bundle: str = ""
    """The policy that they are decided by; empty: the settings'."""
    seconds: float | None = None
    """How long it may take in all."""


class Followed(Struct, frozen=True, kw_only=True):
    """One way through the journal, in batches of so many events."""

    batch: int
    events: int
    """How far it came: through all of it, unless its time was up."""
    cpu_us_per_event: float
    kernel_us_per_event: float
    """Of it."""
    events_per_s: float
    file_bytes_per_event: float


class Loads(Struct, frozen=True, kw_only=True):
    """Journeys loaded without a snapshot, the busiest ones."""

    cpu_ms: float
    events: float
    """Of one journey."""


class Result(Struct, frozen=True, kw_only=True):
    """All of it."""

    events: int
    """Of the journal: all that were asked for, unless their time was up."""
    events_asked: int
    facts: int
    followed: list[Followed]
    loads: Loads
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises `disk.NoDisk` or `NoBundle`."""
    kind = disk.check(plan.folder)
    policy = policy_of(plan.bundle) if plan.bundle else Policy()
    data = Path(tempfile.mkdtemp(prefix="throughline-archive-", dir=plan.folder))
    # As every process of the server does once it has started.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    try:
        return asyncio.run(_measure(plan, policy, data, phases, kind))
    finally:
        shutil.rmtree(data)


async def _measure(plan: Plan, policy: Policy, data: Path, phases: Phases, kind: str) -> Result:
    phases.begin("making a journal", plan.events / PER_S)
    began_s, seconds = time.perf_counter(), plan.seconds or float("inf")
    made = await make_journal(
        data / JOURNAL_FILE, events=plan.events, customers=plan.customers, text_bytes=plan.text_bytes,
        policy=policy, until_s=began_s + MAKING * seconds,
    )  # fmt: skip
    share_s = (began_s + seconds - time.perf_counter()) / len(plan.batches)
    followed, faults = list[Followed](), list[str]()
    for batch in plan.batches:
        phases.begin(f"batches of {batch:,}", made.events / PER_S)
        each, facts = await _follow(data, made, batch, until_s=time.perf_counter() + share_s)
        followed.append(each)
        if (archived := _archived(data)) != facts:
            faults.append(f"{facts - archived} facts are not in the archive after batches of {batch}")
        if each.events == made.events and facts != made.facts:
            faults.append(f"{made.facts - facts} facts were not read from the journal in batches of {batch}")
    phases.begin("loading journeys", 1.0)
    return Result(
        events=made.events,
        events_asked=plan.events,
        facts=made.facts,
        followed=followed,
        loads=await _load(data),
        faults=faults,
        cautions=cautions.of_following([made.events, *(each.events for each in followed)], plan.events),
        setting=setting(kind, customers=plan.customers, text_bytes=plan.text_bytes, bundle=plan.bundle or "none"),
    )


async def _follow(data: Path, made: Made, batch: int, *, until_s: float) -> tuple[Followed, int]:
    """An archive follows from nothing, by the steps that `Archive` takes; the facts that it was given stand beside."""
    _remove_archive(data)
    journal, archive = SqliteJournalReader(data / JOURNAL_FILE), SqliteArchive(data / ARCHIVE_FILE)
    await journal.open()
    await archive.open()
    position, facts = await archive.adopt(await journal.generation()), 0
    began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    while (not position or time.perf_counter() < until_s) and (records := await journal.read(position, batch)):
        await archive.apply(project(records))
        position = records[-1].position
        facts += sum(record.entries for record in records)
    after, took_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began_s
    await archive.close()
    await journal.close()
    kernel_s, events = after.ru_stime - before.ru_stime, made.events_through(position)
    followed = Followed(
        batch=batch,
        events=events,
        cpu_us_per_event=round(1e6 * (after.ru_utime - before.ru_utime + kernel_s) / events, 1),
        kernel_us_per_event=round(1e6 * kernel_s / events, 1),
        events_per_s=round(events / took_s),
        file_bytes_per_event=round((data / ARCHIVE_FILE).stat().st_size / events),
    )
    return followed, facts


async def _load(data: Path) -> Loads:
    customers = _rows(data, "SELECT customer, sum(head) FROM conversation GROUP BY customer ORDER BY 2 DESC")[:LOADS]
    reader = SqliteArchiveReader(data / ARCHIVE_FILE)
    await reader.open()
    began_s = time.process_time()
    for customer, _ in customers:
        await load(customer, reader, _nothing_newer)
    took_s = time.process_time() - began_s
    await reader.close()
    events = sum(head for _, head in customers)
    return Loads(cpu_ms=round(1e3 * took_s / len(customers), 3), events=round(events / len(customers), 1))


def _remove_archive(data: Path) -> None:
    for file in data.glob(f"{ARCHIVE_FILE}*"):
        file.unlink()


async def _nothing_newer(customer: str) -> TailIs:
    return TailIs(0, 0, [])


def _archived(data: Path) -> int:
    return int(_rows(data, "SELECT count(*), 0 FROM event")[0][0])


def _rows(data: Path, sql: str) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(f"{(data / ARCHIVE_FILE).absolute().as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()
