"""The truth: what the journal's file holds, read by SQLite's own means from outside the server.

The file is opened anew for each look and only to read: whoever writes it may be killed, and replaced, at any moment.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from protocol.events import AnyEvent, Event
from protocol.journal import Entry

_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


class Unit(msgspec.Struct, array_like=True, frozen=True):
    """A commit unit as it lies in the file."""

    position: int
    scope: str
    epoch: int
    batch: int
    entries: int
    body: list[Entry]


class Truth:
    """The journal at `data`, as far as it was last `read`. `faults` are what no journal may ever show."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.position = 0
        self.streams: dict[str, list[AnyEvent]] = {}
        """The events of each stream; number n stands at n - 1."""
        self.faults: list[str] = []
        self._batches: dict[str, tuple[int, int]] = {}
        self._once: Counter[int] = Counter()

    def read(self) -> "Truth":
        """Reads on from where it was; returns itself."""
        for unit in self._units():
            if unit.position != self.position + 1:
                self.faults.append(f"position {unit.position} follows {self.position}")
            self.position = unit.position
            self._take(unit)
        return self

    @property
    def heads(self) -> dict[str, int]:
        """The newest number of each stream."""
        return {stream: len(events) for stream, events in self.streams.items()}

    @property
    def conversations(self) -> dict[str, list[AnyEvent]]:
        """The streams that agents watch: a customer's own has no number behind its id."""
        return {stream: events for stream, events in self.streams.items() if "-" in stream}

    def events(self) -> Iterator[tuple[str, int, AnyEvent]]:
        """All of them, with stream and number."""
        for stream, events in self.streams.items():
            for seq, event in enumerate(events, 1):
                yield stream, seq, event

    def _units(self) -> list[Unit]:
        query = "SELECT position, scope, epoch, batch, entries, body FROM unit WHERE position > ? ORDER BY position"
        with closing(opened(self._data / "journal.sqlite")) as db:
            rows = db.execute(query, (self.position,)).fetchall()
        return [msgspec.convert((*head, _entries(body)), Unit) for *head, body in rows]

    def _take(self, unit: Unit) -> None:
        self._check_order(unit)
        if unit.entries != len(unit.body):
            self.faults.append(f"unit {unit.position} says {unit.entries} events and has {len(unit.body)}")
        for entry in unit.body:
            stream = self.streams.setdefault(entry.stream, [])
            if entry.seq != len(stream) + 1:
                self.faults.append(f"{entry.stream}: number {entry.seq} follows {len(stream)}")
            event = _event(entry.event)
            stream.append(event)
            self._check_once(entry, event)

    def _check_order(self, unit: Unit) -> None:
        """One writer a scope: epochs never fall, and the batches of one count on without a gap."""
        epoch, batch = self._batches.get(unit.scope, (0, 0))
        if unit.epoch < epoch or (unit.epoch == epoch and unit.batch <= batch):
            self.faults.append(f"{unit.scope}: {unit.epoch}.{unit.batch} follows {epoch}.{batch}")
        self._batches[unit.scope] = (unit.epoch, unit.batch)

    def _check_once(self, entry: Entry, event: Event) -> None:
        if event.once is None:
            return
        self._once[event.once.key] += 1
        if self._once[event.once.key] > 1:
            self.faults.append(f"{entry.stream} {entry.seq}: a second effect of one input")


def archived(data: Path) -> int:
    """The position that the archive's file has come to."""
    with closing(opened(data / "archive.sqlite")) as db:
        return int(db.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()[0])


def opened(file: Path) -> sqlite3.Connection:
    """A store's file, to read only."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
