"""The kept policy: whether the version that is in force is one that this program can decide by.

What was accepted once may be refused by a later program, which knows what it leads to. Its cells could not begin: that
is said before anything is started, with what to do, and not by each of them again and again.
"""

import sqlite3
from pathlib import Path

import msgspec

from actors.rules.policies import still_accepted, unpacked
from actors.rules.policy import Policy
from actors.rules.taxonomy import DIMENSIONS
from actors.tags.taggers import ReadTagger
from adapters.stores.connection import look_at
from adapters.stores.errors import StoreFailed
from adapters.stores.folder import JOURNAL_FILE
from adapters.stores.journal.reads import policies
from protocol.events import AnyEvent, PolicyApplied
from protocol.journal import Entry

_entries = msgspec.msgpack.Decoder(list[Entry]).decode
_event = msgspec.msgpack.Decoder(AnyEvent).decode


def check_policy(data: Path) -> None:
    """Reads the newest version that the journal in the folder has; none is fine. Raises `StoreFailed`."""
    newest = _newest(data)
    if newest is None:
        return
    try:
        _read(unpacked(newest.version, newest.body))
    except (msgspec.ValidationError, ValueError) as exc:
        raise StoreFailed(
            f"version {newest.version} of the policy is in force, and this program does not accept it: {exc}. Start "
            "the program that did, apply a bundle that says it otherwise, and then start this one"
        ) from exc


def kept_accounts(data: Path) -> set[str]:
    """The accounts of the newest version that the journal in the folder has, which no server may have open. Raises
    `StoreFailed`."""
    newest = _newest(data)
    policy = still_accepted(newest.version, newest.body) if newest is not None else None
    return set(policy.accounts) if policy is not None else set()


def _newest(data: Path) -> PolicyApplied | None:
    path = data / JOURNAL_FILE
    kept = look_at(path, _kept) if path.exists() else []
    applied = [
        event for body in kept for entry in _entries(body) if isinstance(event := _event(entry.event), PolicyApplied)
    ]
    return applied[-1] if applied else None


def _kept(db: sqlite3.Connection) -> list[bytes]:
    # Nothing has migrated the file yet: an early program's has no such table, nor has one left empty by a first start.
    return policies(db) if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'policy'").fetchone() else []


def _read(policy: Policy) -> None:
    """What a cell reads at the first event, and what would end it. Raises `ValueError`."""
    for dimension in DIMENSIONS:
        for label in policy.taxonomy.labels(dimension).values():
            for tagger in label.taggers:
                ReadTagger(tagger)
