"""A policy that an earlier program accepted and this one does not: said before a start, and borne where it is over."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.archive.archive import Archive
from actors.archive.projection import project
from actors.archive.retention import Retention
from actors.rules.policies import Policies, packed, still_accepted
from actors.rules.policy import Policy
from adapters.attachments import AttachmentStore
from adapters.stores.archive.memory import MemoryArchive
from adapters.stores.errors import StoreFailed
from adapters.stores.folder import JOURNAL_FILE
from adapters.stores.journal.schema import JOURNAL
from adapters.stores.journal.sqlite import SqliteJournal
from adapters.stores.journal.sqlite_reader import SqliteJournalReader
from adapters.stores.migrations import Schema, migrate
from orchestrator.policy.kept import check_policy, kept_accounts
from protocol.events import PolicyApplied
from protocol.ids import POLICY
from protocol.journal import Entry, Unit
from protocol.shards import scope_of

GOOD = packed(Policy(queue_default="bills"))


def with_(**changes: Any) -> bytes:
    """A policy's bytes as a program wrote them that looked at less."""
    return msgspec.msgpack.encode(msgspec.msgpack.decode(GOOD) | changes)


OUT_OF_BOUNDS = with_(queue_default="")
UNREADABLE_RULE = with_(
    taxonomy={"topics": {"claim": {"taggers": [{"rule": "text.no_such_function()"}]}}},
)


async def journal(folder: Path, *versions: bytes) -> None:
    """A journal with these as its versions 2, 3 …, closed."""
    store = SqliteJournal(folder / JOURNAL_FILE, new_generation=lambda: "g1")
    await store.open()
    scope = scope_of(POLICY)
    [fence] = await store.raise_fences([scope])
    for n, body in enumerate(versions, start=1):
        event = PolicyApplied(at_ms=0, version=n + 1, files={}, body=body)
        entries = msgspec.msgpack.encode([Entry(POLICY, n, msgspec.Raw(msgspec.msgpack.encode(event)))])
        await store.commit([Unit(scope, fence.epoch, n, POLICY, 0, [], 1, entries)])
    await store.close()


def made_by(folder: Path, steps: int) -> None:
    """A journal of a program that knew so many of the schema's steps; none: one that was killed as it first began."""
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as db:
        migrate(db, Schema("journal", JOURNAL.application_id, JOURNAL.steps[:steps]))


@pytest.mark.parametrize("steps", [0, 1])
async def test_a_journal_from_before_there_were_policies_has_none(tmp_path: Path, steps: int) -> None:
    """It is looked at before it is migrated: no reason not to start, nor to refuse a token."""
    made_by(tmp_path, steps)
    check_policy(tmp_path)
    assert kept_accounts(tmp_path) == set()
    await journal(tmp_path, GOOD)
    check_policy(tmp_path)


@pytest.mark.parametrize(
    ("body", "why"),
    [(OUT_OF_BOUNDS, "queue_default"), (UNREADABLE_RULE, "there is no function no_such_function")],
    ids=["a value out of its bounds", "a rule that cannot be read"],
)
async def test_one_in_force_is_named_before_anything_starts(tmp_path: Path, body: bytes, why: str) -> None:
    """With what is wrong, and what to do; nothing is said of one that is over, nor where there is none."""
    check_policy(tmp_path)
    await journal(tmp_path, GOOD, body)
    with pytest.raises(StoreFailed, match=rf"version 3 of the policy is in force.*{why}.*apply a bundle"):
        check_policy(tmp_path)


async def test_one_that_is_over_is_no_matter(tmp_path: Path) -> None:
    """A cell leaves it out."""
    await journal(tmp_path, OUT_OF_BOUNDS, GOOD)
    check_policy(tmp_path)
    assert still_accepted(2, OUT_OF_BOUNDS) is None
    known = Policies(Policy())
    told = [(2, OUT_OF_BOUNDS), (3, GOOD)]
    assert known.learn(told)
    assert not known.learn(told), "a journal that comes back says the same"
    assert (known.newest.version, known.newest.queue_default) == (3, "bills")


async def test_an_archive_that_has_one_begins_all_the_same(tmp_path: Path) -> None:
    """The journal may have a newer one, to which it comes as it follows."""
    await journal(tmp_path, OUT_OF_BOUNDS, GOOD)
    reader, store = SqliteJournalReader(tmp_path / JOURNAL_FILE), MemoryArchive()
    await reader.open()
    kept = Retention(reader, store, AttachmentStore(tmp_path / "files"), kept_ms=0, trims=False, now_ms=lambda: 0)
    await store.open()
    await store.adopt(await reader.generation())
    await store.apply(project((await reader.read(0, 1))[:1]))
    await store.sync()
    await store.close()
    await Archive(reader, store, gather_s=0, retention=kept).start()
    assert kept.status()["policy"] == 3
    await reader.close()
