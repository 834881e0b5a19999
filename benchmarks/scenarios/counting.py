"""`report`: what the report on lost context costs, alone, over an archive of a service desk's half year.

the desk's journal (`desk.py`) → an archive that follows it → each measure over a week, and over all there is

The processor's time is what counts, of a second reading: the first one finds the file wherever it is.
"""

import asyncio
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from actors.archive.projection import project
from adapters.stores.archive import losses as archive_losses
from adapters.stores.archive.losses import LossesWanted
from adapters.stores.archive.measures import MEASURES
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from benchmarks.figures import disk
from benchmarks.figures.phases import Phases
from benchmarks.figures.setting import Setting, setting
from benchmarks.inputs import desk
from benchmarks.inputs.bundle import policy_of
from benchmarks.inputs.decided import BEGAN_MS

BATCH = 8000
PER_S = 5_000
"""A guess at the bar's pace: deciding, committing and following."""
WEEK_MS = 7 * desk.DAY_MS


class Plan(Struct, frozen=True, kw_only=True):
    """What to run."""

    folder: Path
    events: int = 300_000
    each: int = 1
    """Conversations of a customer, at least."""
    bundle: str = "insurer"


class Counted(Struct, frozen=True, kw_only=True):
    """One measure."""

    measure: str
    losses: int
    """Of all time."""
    week_s: float
    all_s: float


class Result(Struct, frozen=True, kw_only=True):
    """All of it. Seconds are the processor's."""

    events: int
    customers: int
    conversations: int
    week_s: float
    all_s: float
    measures: list[Counted]
    faults: list[str]
    cautions: list[str]
    setting: Setting


def run(plan: Plan, *, phases: Phases) -> Result:
    """Runs it. Raises `disk.NoDisk` or `NoBundle`."""
    kind = disk.check(plan.folder)
    data = Path(tempfile.mkdtemp(prefix="throughline-report-", dir=plan.folder))
    try:
        phases.begin("a desk's half year", plan.events / PER_S)
        written = asyncio.run(_past(plan, data, phases))
        phases.begin("counting", 1.0)
        with closing(sqlite3.connect(f"{(data / ARCHIVE_FILE).absolute().as_uri()}?mode=ro", uri=True)) as db:
            measures = _counted(db)
            (archived,) = db.execute("SELECT count(*) FROM event").fetchone()
            (conversations,) = db.execute("SELECT count(*) FROM conversation").fetchone()
    finally:
        shutil.rmtree(data)
    return Result(
        events=written.facts,
        customers=written.customers,
        conversations=conversations,
        week_s=round(sum(each.week_s for each in measures), 3),
        all_s=round(sum(each.all_s for each in measures), 3),
        measures=measures,
        faults=[] if archived == written.facts else [f"{written.facts - archived} events are not in the archive"],
        cautions=[],
        setting=setting(kind, conversations_of_a_customer=plan.each, bundle=plan.bundle),
    )


async def _past(plan: Plan, data: Path, phases: Phases) -> desk.Written:
    written = await desk.write(
        data / JOURNAL_FILE, events=plan.events, each=plan.each, policy=policy_of(plan.bundle),
        on_progress=phases.reach,
    )  # fmt: skip
    journal, archive = SqliteJournalReader(data / JOURNAL_FILE), SqliteArchive(data / ARCHIVE_FILE)
    await journal.open()
    await archive.open()
    position, followed = await archive.adopt(await journal.generation()), 0
    phases.begin("the archive follows", written.facts / PER_S)
    while records := await journal.read(position, BATCH):
        await archive.apply(project(records))
        position = records[-1].position
        followed += sum(record.entries for record in records)
        phases.reach(followed, written.facts)
    await archive.close()
    await journal.close()
    return written


def _counted(db: sqlite3.Connection) -> list[Counted]:
    middle_ms = BEGAN_MS + desk.SPAN_MS // 2
    week, everything = LossesWanted(from_ms=middle_ms, until_ms=middle_ms + WEEK_MS), LossesWanted()
    counted = list[Counted]()
    for measure in MEASURES:
        archive_losses.losses(db, everything, [measure])
        began_s = time.process_time()
        rows = archive_losses.losses(db, everything, [measure])
        all_s, began_s = time.process_time() - began_s, time.process_time()
        archive_losses.losses(db, week, [measure])
        week_s = time.process_time() - began_s
        losses = sum(row["count"] for row in rows)
        counted.append(Counted(measure=measure.name, losses=losses, week_s=round(week_s, 3), all_s=round(all_s, 3)))
    return counted
