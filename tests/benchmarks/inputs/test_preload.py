"""A preload is what a server would have written."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from actors.cells import snapshots
from actors.decisions import deciding
from actors.rules.policy import Policy
from adapters.stores.archive.sqlite import SqliteArchiveReader
from benchmarks.inputs import preload as preloads
from benchmarks.inputs.past import EVENTS_EACH, MESSAGES, Past, customer_id, identity_of, past_of
from benchmarks.inputs.preload import preloaded
from orchestrator.way_in.once_keys import digest_of, once_key
from protocol.links import Input

PAST = Past(customers=3, text_bytes=40)


@pytest.fixture
def small_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that three customers take two of them."""
    monkeypatch.setattr(preloads, "WAVE", 2)


def count(store: Path, sql: str) -> int:
    """A number out of a store."""
    with closing(sqlite3.connect(store)) as db:
        number: int = db.execute(sql).fetchone()[0]
    return number


def test_a_past_has_at_least_the_events_asked_for() -> None:
    """Whole customers only."""
    assert past_of(2_000_000, text_bytes=160).events == 2_000_000
    assert past_of(41, text_bytes=160) == Past(2, 160)
    assert past_of(0, text_bytes=160).messages == 0


@pytest.mark.usefixtures("small_waves")
async def test_the_stores_hold_it_all(tmp_path: Path) -> None:
    """Every event in both, every message one commit, and a snapshot from which its old events are known as repeats."""
    await preloads.preload(tmp_path, PAST, at_ms=1000, on_progress=lambda done, of: None)
    assert count(tmp_path / "journal.sqlite", "SELECT sum(entries) FROM unit") == PAST.events == 3 * EVENTS_EACH
    assert count(tmp_path / "journal.sqlite", "SELECT max(position) FROM unit") == PAST.messages
    assert count(tmp_path / "archive.sqlite", "SELECT count(*) FROM event") == PAST.events
    assert count(tmp_path / "archive.sqlite", "SELECT count(*) FROM message WHERE direction = 'inbound'") == 111
    reader = SqliteArchiveReader(tmp_path / "archive.sqlite")
    await reader.open()
    stored = (await reader.stored(customer_id(2))).snapshot
    await reader.close()
    assert stored is not None
    state = snapshots.thaw(stored.body)
    assert state is not None
    event = PAST.arrived(2 * MESSAGES + 5, 999_999)
    key = once_key(event.account, event.source, event.id)
    given = Input(1, state.customer, False, event, [identity_of(2)], [], key, digest_of(event.data))
    assert deciding.decide(state, given, Policy(), 5000).status == "repeat"


@pytest.mark.usefixtures("small_waves")
def test_what_is_kept_is_copied_and_made_once(tmp_path: Path) -> None:
    """The second run only copies; a kept one that is not whole is made anew."""
    made: list[int] = []

    def reach(done: int, of: int) -> None:
        made.append(done)

    kept = tmp_path / "kept"
    preloaded(tmp_path / "a", PAST, kept=kept, at_ms=1000, on_progress=reach)
    assert made == [2 * EVENTS_EACH, 3 * EVENTS_EACH]
    preloaded(tmp_path / "b", PAST, kept=kept, at_ms=1000, on_progress=reach)
    assert len(made) == 2
    for data in (tmp_path / "a", tmp_path / "b"):
        assert count(data / "archive.sqlite", "SELECT count(*) FROM event") == PAST.events
    (manifest,) = kept.glob("*/complete.json")
    manifest.write_bytes(msgspec.json.encode({"customers": 3}))
    preloaded(tmp_path / "c", PAST, kept=kept, at_ms=1000, on_progress=reach)
    assert len(made) == 4
