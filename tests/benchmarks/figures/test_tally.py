"""Counting what the stores hold, on real files."""

import sqlite3
from pathlib import Path

import msgspec

from adapters.stores.archive.schema import ARCHIVE
from adapters.stores.journal.sqlite import SqliteJournal
from benchmarks.figures.tally import Tally, behind, head, tally
from benchmarks.inputs.past import SOURCE
from protocol.events import MessageReceived
from protocol.journal import Entry, Unit


def message(id: str, source: str = "benchmark:run") -> msgspec.Raw:
    """A customer's message, as it is journaled."""
    event = MessageReceived(
        at_ms=1, interaction=1, channel="chat", identity="chat:a", source=source, id=id, provider_ms=1, text="x"
    )
    return msgspec.Raw(msgspec.msgpack.encode(event))


def unit(batch: int, *events: msgspec.Raw) -> Unit:
    """One journey's step."""
    entries = [Entry(stream="cu1-1", seq=number, event=event) for number, event in enumerate(events, 1)]
    return Unit("shard:1", 1, batch, "cu1", 1, [], len(entries), msgspec.msgpack.encode(entries))


async def test_both_stores_are_counted(tmp_path: Path) -> None:
    """Of the journal this run's messages, each once, and none of the past; of the archive the inbound ones."""
    journal = SqliteJournal(tmp_path / "journal.sqlite", new_generation=lambda: "g1")
    await journal.open()
    await journal.raise_fences(["shard:1"])
    await journal.commit([unit(1, message("1"), message("2", "other"), message("3")), unit(2, message("1"))])
    archive = sqlite3.connect(tmp_path / "archive.sqlite")
    for step in ARCHIVE.steps[0]:
        archive.execute(step)
    archive.execute("UPDATE meta SET value = 1 WHERE key = 'position'")
    for seq, type in enumerate(("MessageReceived", "MessageQueued", "MessageReceived"), 1):
        archive.execute("INSERT INTO event VALUES (1, ?, 'cu1-1', ?, ?, 1, '', '{}')", (seq, seq, type))
    archive.commit()
    archive.close()
    assert tally(tmp_path, "benchmark:run") == Tally(journaled=2, journaled_twice=1, archived=2)
    assert tally(tmp_path, "benchmark:run", after=1) == Tally(journaled=1, journaled_twice=0, archived=0)
    assert (behind(tmp_path), head(tmp_path)) == (1, 2)
    await journal.commit([unit(3, message("-1", SOURCE))])
    assert tally(tmp_path, "benchmark:run").journaled_twice == 2
    await journal.close()
