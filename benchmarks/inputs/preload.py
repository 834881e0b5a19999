"""Preloading: a past is written through the real stores, as a cell, a journal and an archive would write it.

Decisions are the journey's own, commits the journal's, rows the projection's; only pipes and processes are left out,
which makes it some ten times as fast as sending the events. A preload may be kept and copied for the next run.

    kept/past-<events>-<text bytes>/    journal.sqlite, archive.sqlite, complete.json (the last file to be there)
"""

import asyncio
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from zlib import crc32

import msgspec

from actors.archive.projection import project
from actors.cells import snapshots
from actors.decisions import deciding
from actors.rules.policy import Policy
from actors.state import journey as journeys
from actors.state.journey import Journey
from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.folder import ARCHIVE_FILE, JOURNAL_FILE
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.journal.sqlite import SqliteJournal
from benchmarks.inputs.past import EVENTS_EACH, MESSAGES, Past, customer_id, identity_of
from orchestrator.storage import new_generation
from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.events import AnyEvent
from protocol.journal import Committed, Entry, Fence, Record, Unit
from protocol.links import Input, SnapshotTaken
from protocol.shards import SHARDS, scope_of

WAVE = 1000
"""Customers whose messages interleave: one commit has one message of each."""
COMPLETE = "complete.json"

OnProgress = Callable[[int, int], None]
"""Gets the events written, and how many there will be."""

_encode = msgspec.msgpack.Encoder().encode


async def preload(data: Path, past: Past, *, at_ms: int, on_progress: OnProgress) -> None:
    """Makes the stores of `past` in the folder `data`, which is there."""
    journal = SqliteJournal(data / JOURNAL_FILE, new_generation=new_generation)
    archive = SqliteArchive(data / ARCHIVE_FILE)
    try:
        generation = (await journal.open()).generation
        await archive.open()
        await archive.adopt(generation)
        fences = await journal.raise_fences([f"shard:{shard}" for shard in range(SHARDS)])
        writer = _Writer(journal, archive, past, fences, at_ms=at_ms)
        for first in range(0, past.customers, WAVE):
            customers = range(first, min(first + WAVE, past.customers))
            await writer.write(customers)
            on_progress(customers.stop * EVENTS_EACH, past.events)
    finally:
        await archive.close()
        await journal.close()


def preloaded(data: Path, past: Past, *, kept: Path | None, at_ms: int, on_progress: OnProgress) -> None:
    """Makes the folder with the stores, by a copy of what `kept` has where it is given; made there first if need be."""
    data.mkdir(mode=0o700, parents=True)
    if kept is None:
        asyncio.run(preload(data, past, at_ms=at_ms, on_progress=on_progress))
        return
    source = kept / f"past-{past.events}-{past.text_bytes}"
    if not _complete(source, past):
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(mode=0o700, parents=True)
        asyncio.run(preload(source, past, at_ms=at_ms, on_progress=on_progress))
        (source / COMPLETE).write_bytes(msgspec.json.encode(_manifest(past)))
    for name in (JOURNAL_FILE, ARCHIVE_FILE):
        shutil.copyfile(source / name, data / name)


def _complete(source: Path, past: Past) -> bool:
    file = source / COMPLETE
    return file.exists() and msgspec.json.decode(file.read_bytes()) == _manifest(past)


def _manifest(past: Past) -> dict[str, int]:
    """What a kept preload must agree in. An older schema is not migrated here: what is measured is this version's."""
    return {
        "customers": past.customers,
        "text_bytes": past.text_bytes,
        "schemas": crc32(repr((JOURNAL, ARCHIVE)).encode()),
        "state": snapshots.STATE_VERSION,
    }


class _Writer:
    """Writes waves of customers; the archive takes one commit's rows while the next commit is decided."""

    def __init__(
        self, journal: SqliteJournal, archive: SqliteArchive, past: Past, fences: list[Fence], *, at_ms: int
    ) -> None:
        self._journal = journal
        self._archive = archive
        self._past = past
        self._epochs = {fence.scope: fence.epoch for fence in fences}
        self._batches = {fence.scope: fence.batch for fence in fences}
        self._at_ms = at_ms
        self._policy = Policy()

    async def write(self, customers: Iterable[int]) -> None:
        """All messages of these, then a snapshot of each, as if they had gone idle."""
        states = {customer: Journey(customer=customer_id(customer)) for customer in customers}
        applied: asyncio.Task[None] | None = None
        records: list[Record] = []
        for message in range(MESSAGES):
            units = [self._unit(state, customer, message) for customer, state in states.items()]
            records = _records(units, await self._journal.commit(units))
            changes = project(records)
            if applied is not None:
                await applied
            applied = asyncio.create_task(self._archive.apply(changes))
        assert applied is not None
        await applied
        positions = {record.customer: record.position for record in records}
        await self._archive.save_snapshots(
            [SnapshotTaken(s.customer, positions[s.customer], snapshots.freeze(s)) for s in states.values()]
        )

    def _unit(self, state: Journey, customer: int, message: int) -> Unit:
        """Decides one message, as `actors.cells.stepping` does."""
        index = customer * MESSAGES + message
        event = self._past.arrived(index, self._at_ms)
        key, digest = once_key(event.account, event.source, event.id), digest_of(event.data)
        input = Input(index, state.customer, message == 0, event, [identity_of(customer)], [], key, digest)
        decision = deciding.decide(state, input, self._policy, self._at_ms + message)
        entries: list[Entry] = []
        for stream, fact in decision.events:
            encoded = _encode(fact)
            assert isinstance(fact, AnyEvent)
            seq = journeys.evolve(state, stream, fact, encoded)
            entries.append(Entry(stream, seq, msgspec.Raw(encoded)))
        scope = scope_of(state.customer)
        self._batches[scope] += 1
        return Unit(
            scope, self._epochs[scope], self._batches[scope], state.customer, self._at_ms + message,
            decision.identities, len(entries), _encode(entries),
        )  # fmt: skip


def _records(units: list[Unit], verdicts: Iterable[object]) -> list[Record]:
    records: list[Record] = []
    for unit, verdict in zip(units, verdicts, strict=True):
        assert isinstance(verdict, Committed), verdict
        records.append(Record(verdict.position, unit.customer, unit.at_ms, unit.identities, unit.entries, unit.body))
    return records
