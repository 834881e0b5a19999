"""The evidence: after a campaign, what the stores of the stopped server must show."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from actors.archive.archive import rebuild
from adapters.stores.archive.sqlite import SqliteArchive
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from protocol.events import MessageQueued, MessageReceived, NoteAdded
from tests.faults.traffic import Record
from tests.faults.truth import Truth, archived, opened


def words_kept(record: Record, truth: Truth) -> list[str]:
    """Acked ⊆ journal, each word once, and each customer's chat in its order."""
    heard = [event for _, _, event in truth.events() if isinstance(event, MessageReceived)]
    counts = Counter(event.text.strip() for event in heard)
    place = {event.text.strip(): index for index, event in enumerate(heard) if event.channel == "chat"}
    faults = [f"{word!r} was acked and is not in the journal" for word in record.acked if not counts[word]]
    faults += [f"{word!r} is in the journal {count} times" for word, count in counts.items() if count > 1]
    faults += [f"{word!r} is in the journal and nobody said it" for word in counts if word not in record.sent]
    for said in record.said.values():
        kept = [word for word in said if word in place]
        if sorted(kept, key=place.__getitem__) != kept:
            faults.append(f"the chat of {said[0].split()[0]} is not in its order")
    return faults


def commands_kept(record: Record, truth: Truth) -> list[str]:
    """Each command that was answered stands where its result says, and each happened once."""
    found = [
        (event.text, stream, seq)
        for stream, seq, event in truth.events()
        if isinstance(event, MessageQueued | NoteAdded)
    ]
    counts = Counter(word for word, _, _ in found)
    places = {word: (stream, seq) for word, stream, seq in found}
    faults = [f"{word!r} happened {count} times" for word, count in counts.items() if count > 1]
    faults += [f"{word!r} happened and nobody asked for it" for word in counts if word not in record.asked]
    for word, result in record.results.items():
        stream, seq = places.get(word, ("", 0))
        # A result names the command's first event; the words may stand behind the beginning of a contact.
        if stream != result.conversation or seq < result.seq:
            faults.append(
                f"{word!r} was answered as {result.conversation} {result.seq} and is at {stream or 'no place'} {seq}"
            )
    return faults


async def archive_follows(data: Path, truth: Truth, folder: Path) -> list[str]:
    """Archive = journal: the same position, and every row as a rebuild from the journal, made in `folder`, makes it."""
    if (position := archived(data)) != truth.position:
        return [f"the archive is at {position}, the journal at {truth.position}"]
    reader, anew = SqliteJournalReader(data / "journal.sqlite"), SqliteArchive(folder / "anew.sqlite")
    await reader.open()
    await anew.open()
    try:
        await rebuild(reader, anew, lambda position, head: None)
    finally:
        await anew.close()
        await reader.close()
    with closing(opened(data / "archive.sqlite")) as was, closing(opened(folder / "anew.sqlite")) as made:
        tables = _tables(made)
        if _tables(was) != tables:
            return [f"the archive has the tables {_tables(was)}"]
        faults = [
            f"the archive's table {table} is not what the journal makes of it"
            for table in tables
            if _rows(was, table) != _rows(made, table)
        ]
        if was.execute(_INDEXED_OF_NOTHING).fetchone():
            faults.append("the full text has words of an event that is not there")
        return faults


NOT_OF_THE_JOURNAL = {"snapshot", "meta"}
"""What the archive keeps of its own; its position was looked at before."""
FULL_TEXT = "search"
"""What its tables' names begin with: an index that is made behind everything else, as far as time allows."""
_INDEXED_OF_NOTHING = """
    SELECT 1 FROM searchable LEFT JOIN event USING (stream, seq) WHERE event.seq IS NULL LIMIT 1"""


def _tables(db: sqlite3.Connection) -> list[str]:
    """By the file itself, so that none is forgotten here."""
    named = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    return [name for (name,) in named if name not in NOT_OF_THE_JOURNAL and not name.startswith(FULL_TEXT)]


def _rows(db: sqlite3.Connection, table: str) -> list[str]:
    return sorted(map(repr, db.execute(f"SELECT * FROM {table}")))
