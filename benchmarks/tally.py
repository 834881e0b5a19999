"""What the stores hold of a run, read from their files: an acknowledgement counts only with its row."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from protocol.journal import Entry


class Tally(Struct, frozen=True):
    """Customers' messages in both stores."""

    journaled: int
    journaled_twice: int
    """Must be 0: the same (source, id) had two effects."""
    archived: int


class _Fact(Struct):
    """What of a journal event matters here."""

    type: str
    source: str = ""
    id: str = ""


_entries = msgspec.msgpack.Decoder(list[Entry])
_fact = msgspec.msgpack.Decoder(_Fact)


def tally(data: Path, source: str) -> Tally:
    """Counts the messages of `source` in the journal, and all inbound ones of the archive."""
    seen: set[str] = set()
    total = 0
    for fact in _facts(data / "journal.sqlite"):
        if fact.type == "MessageReceived" and fact.source == source:
            total += 1
            seen.add(fact.id)
    with closing(_open(data / "archive.sqlite")) as archive:
        archived: int = archive.execute("SELECT count(*) FROM message WHERE direction = 'inbound'").fetchone()[0]
    return Tally(journaled=len(seen), journaled_twice=total - len(seen), archived=archived)


def behind(data: Path) -> int:
    """How many commit units the archive is behind the journal."""
    with closing(_open(data / "journal.sqlite")) as journal:
        head: int = journal.execute("SELECT coalesce(max(position), 0) FROM unit").fetchone()[0]
    with closing(_open(data / "archive.sqlite")) as archive:
        position: int = archive.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()[0]
    return head - position


def _facts(journal: Path) -> Iterator[_Fact]:
    with closing(_open(journal)) as db:
        for (body,) in db.execute("SELECT body FROM unit ORDER BY position"):
            for entry in _entries.decode(body):
                yield _fact.decode(entry.event)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
