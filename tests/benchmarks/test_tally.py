"""Counting what the stores hold, on real files."""

import sqlite3
from pathlib import Path

import msgspec

from adapters.stores.archive_schema import ARCHIVE
from adapters.stores.sqlite_journal import SqliteJournal
from benchmarks.tally import Tally, behind, tally
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
    """Of the journal only this run's messages, each once; of the archive the inbound ones."""
    journal = SqliteJournal(tmp_path / "journal.sqlite", new_generation=lambda: "g1")
    await journal.open()
    await journal.raise_fences(["shard:1"])
    await journal.commit([unit(1, message("1"), message("2", "other"), message("3")), unit(2, message("1"))])
    archive = sqlite3.connect(tmp_path / "archive.sqlite")
    for step in ARCHIVE.steps[0]:
        archive.execute(step)
    archive.execute("UPDATE meta SET value = 1 WHERE key = 'position'")
    columns = "conversation, seq, interaction, direction, channel, identity, author, automatic, at_ms, subject, text, "
    for seq, direction in enumerate(("inbound", "outbound", "inbound"), 1):
        row = ("cu1-1", seq, 1, direction, "chat", "chat:a", "", 0, 1, "", "x", "", 1)
        archive.execute(f"INSERT INTO message ({columns} reference, position) VALUES ({','.join('?' * 13)})", row)
    archive.commit()
    archive.close()
    assert tally(tmp_path, "benchmark:run") == Tally(journaled=2, journaled_twice=1, archived=2)
    assert behind(tmp_path) == 1
    await journal.close()
