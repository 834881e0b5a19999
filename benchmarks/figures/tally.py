"""What the stores hold of a run, read from their files: an acknowledgement counts only with its row."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.inputs import past
from protocol.journal import Entry


class Tally(Struct, frozen=True):
    """Customers' messages in both stores."""

    journaled: int
    journaled_twice: int
    """Must be 0: the same (source, id) had two effects; so did an event of the past that came again."""
    archived: int


class _Fact(Struct):
    """What of a journal event matters here."""

    type: str
    source: str = ""
    id: str = ""


_entries = msgspec.msgpack.Decoder(list[Entry])
_fact = msgspec.msgpack.Decoder(_Fact)


def tally(data: Path, source: str, *, after: int = 0) -> Tally:
    """Counts the messages of `source` in the journal, and all inbound ones of the archive, behind position `after`."""
    seen: set[str] = set()
    total = again = 0
    for fact in _facts(data / "journal.sqlite", after):
        if fact.type != "MessageReceived":
            continue
        if fact.source == source:
            total += 1
            seen.add(fact.id)
        again += fact.source == past.SOURCE
    with closing(open_store(data / "archive.sqlite")) as archive:
        sql = "SELECT count(*) FROM message WHERE direction = 'inbound' AND position > ?"
        archived: int = archive.execute(sql, (after,)).fetchone()[0]
    return Tally(journaled=len(seen), journaled_twice=total - len(seen) + again, archived=archived)


def head(data: Path) -> int:
    """The journal's newest position."""
    with closing(open_store(data / "journal.sqlite")) as journal:
        newest: int = journal.execute("SELECT coalesce(max(position), 0) FROM unit").fetchone()[0]
    return newest


def behind(data: Path) -> int:
    """How many commit units the archive is behind the journal."""
    newest = head(data)
    with closing(open_store(data / "archive.sqlite")) as archive:
        position: int = archive.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()[0]
    return newest - position


def _facts(journal: Path, after: int) -> Iterator[_Fact]:
    with closing(open_store(journal)) as db:
        for (body,) in db.execute("SELECT body FROM unit WHERE position > ? ORDER BY position", (after,)):
            for entry in _entries.decode(body):
                yield _fact.decode(entry.event)


def open_store(file: Path) -> sqlite3.Connection:
    """A reader of one of the server's files."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
