"""What people and programs ask the archive for: the named queries, each one short step on a connection.

Those of several statements run in a read transaction (`connection.read`), so that all see one state. Rows for programs
come as the structs of `protocol/`; those for people, as dicts of JSON values named as the columns.
"""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from adapters.stores.archive.pages import Page, paged
from adapters.stores.connection import marks, row_as_dict
from protocol.archive import StoredVersion
from protocol.ids import POLICY

Row = dict[str, Any]


def conversation(db: sqlite3.Connection, conversation: str) -> Row | None:
    """A conversation's row with its parts: `interactions`, `context`, `deliveries` and the others of `_PARTS`."""
    row = next(_rows(db, "SELECT * FROM conversation WHERE conversation = ?", conversation), None)
    return None if row is None else row | _parts(db, conversation)


def messages_of(
    db: sqlite3.Connection,
    conversation: str,
    interaction: int,
    *,
    limit: int = 1000,
    after: tuple[int, int, str] | None = None,
) -> Page[Row] | None:
    """What was said in an interaction, oldest first, wherever it is journaled; None where there is no such one. `after`
    is (`position`, `seq`, `conversation`) of a page's last message and asks for the page behind it."""
    exists = "SELECT 1 FROM interaction WHERE conversation = ? AND interaction = ?"
    if db.execute(exists, (conversation, interaction)).fetchone() is None:
        return None
    origins = "SELECT origin, origin_interaction FROM moved WHERE conversation = ? AND interaction = ?"
    places = [(conversation, interaction), *db.execute(origins, (conversation, interaction)).fetchall()]
    bounds = (*(after or (-1, 0, "")), limit)
    found = [_each(db.execute(_SAID, (*place, *bounds))) for place in places]
    merged = heapq.merge(*found, key=lambda row: (row["position"], row["seq"], row["conversation"]))
    return paged(merged, limit, lambda row: len(row["text"] or ""))


_SAID = """SELECT * FROM message
    WHERE conversation = ? AND interaction = ? AND (position, seq, conversation) > (?, ?, ?)
    ORDER BY position, seq LIMIT ?"""


def journey(
    db: sqlite3.Connection, customer: str, *, limit: int = 1000, after: tuple[int, str] | None = None
) -> Row | None:
    """A customer's row with `identities` and `conversations`, oldest first, each as `conversation` gives it, and the
    `members` that were merged into it. Of a merged one: of whom it was merged into. `after` is (`opened_at_ms`,
    `conversation`) of a page's last conversation and asks for the page behind it."""
    customer = root_of(db, customer)
    row = next(_rows(db, "SELECT * FROM customer WHERE customer = ?", customer), None)
    if row is None:
        return None
    row["members"] = members_of(db, customer)[1:]
    identities = _rows(db, "SELECT * FROM identity WHERE customer = ? ORDER BY position", customer)
    own = _rows(db, _OWN, customer, *(after or (-1, "")), limit)
    every = [found | _parts(db, found["conversation"]) for found in own]
    return row | {"identities": [*identities], "conversations": every}


_OWN = """SELECT * FROM conversation WHERE customer = ? AND (opened_at_ms, conversation) > (?, ?)
    ORDER BY opened_at_ms, conversation LIMIT ?"""


def root_of(db: sqlite3.Connection, customer: str) -> str:
    """Whose the customer's affairs are: its own, or of whom it was merged into."""
    row = db.execute("SELECT merged_into FROM customer WHERE customer = ?", (customer,)).fetchone()
    return customer if row is None or not row[0] else str(row[0])


def members_of(db: sqlite3.Connection, customer: str) -> list[str]:
    """The customers whose affairs are this one's, itself the first."""
    merged = db.execute(
        "SELECT customer FROM customer WHERE merged_into = ? AND merged_into <> '' ORDER BY customer", (customer,)
    )
    return [customer, *(member for (member,) in merged)]


def policy_versions(db: sqlite3.Connection, after_seq: int, limit: int) -> list[StoredVersion]:
    """At most `limit` versions of the policy that events after a seq of its stream made, ascending. What is not shown
    stays in SQLite: the texts and rules of one have up to a megabyte."""
    rows = db.execute(
        "SELECT json_extract(body, '$.version'), at_ms, actor, coalesce(json_extract(body, '$.note'), '') FROM event "
        "WHERE stream = ? AND seq > ? AND type = 'PolicyApplied' ORDER BY seq LIMIT ?",
        (POLICY, after_seq, limit),
    )
    return [StoredVersion(*row) for row in rows]


def handoffs(db: sqlite3.Connection, conversation: str) -> list[Row]:
    """A conversation's handoffs, the oldest first, each with the `package` its offer carried."""
    sql = """
        SELECT handoff.*, json_extract(event.body, '$.package') AS package
        FROM handoff LEFT JOIN event ON event.stream = handoff.conversation AND event.seq = handoff.seq
        WHERE handoff.conversation = ? ORDER BY lease"""
    found = [*_rows(db, sql, conversation)]
    for row in found:
        row["missing"] = msgspec.json.decode(row["missing"])
        row["package"] = msgspec.json.decode(row["package"] or "null")
    return found


def identity_reviews(
    db: sqlite3.Connection,
    *,
    shared_after: int,
    limit: int = 100,
    before: tuple[int, str, str, str] | None = None,
) -> list[Row]:
    """Open reviews whose identity is not the customer's by now, the newest first, with whose it is and why.

    `kind` is what was found, but `shared` where more than `shared_after` customers claim the identity, and `conflict`
    in the place of `merge` where both customers' evidence is verified. `before` is a page's last row: (`found_at_ms`,
    `customer`, `identity`, `other`).
    """
    at_ms, customer, identity, other = before or (2**63 - 1, "", "", "")
    values = {"shared_after": shared_after, "limit": limit, "at": at_ms, "c": customer, "i": identity, "o": other}
    cursor = db.execute(_REVIEWS, values)
    return [row_as_dict(cursor, row) for row in cursor.fetchall()]


_REVIEWS = """
    SELECT r.customer, r.identity, r.other, r.evidence, r.verified, r.confidence, r.found_by, r.found_at_ms,
           r.claimants, coalesce(i.customer, '') AS owner, coalesce(i.evidence, '') AS owner_evidence,
           coalesce(i.verified, 0) AS owner_verified, coalesce(i.confidence, 0) AS owner_confidence,
           CASE WHEN r.claimants > :shared_after THEN 'shared'
                WHEN r.kind = 'merge' AND r.verified AND coalesce(i.verified, 0) THEN 'conflict'
                ELSE r.kind END AS kind,
           r.position
    FROM (SELECT *, (SELECT count(DISTINCT c.customer) FROM identity_review c WHERE c.identity = o.identity)
                    + (o.other <> '') AS claimants
          FROM identity_review o WHERE closed_at_ms IS NULL) r
    LEFT JOIN identity i ON i.identity = r.identity
    WHERE coalesce(i.customer, '') <> r.customer
      -- Nor whoever it was merged into.
      AND coalesce(i.customer, '') <> coalesce((SELECT nullif(merged_into, '') FROM customer AS c
                                                WHERE c.customer = r.customer), r.customer)
      AND (r.found_at_ms, r.customer, r.identity, r.other) < (:at, :c, :i, :o)
    ORDER BY r.found_at_ms DESC, r.customer DESC, r.identity DESC, r.other DESC LIMIT :limit"""


def outbox(db: sqlite3.Connection, states: Sequence[str], limit: int) -> list[Row]:
    """Deliveries in these states, the longest queued first."""
    # Said twice so that SQLite sees it may use the index, which is of the unsent ones alone.
    unsent = "" if "sent" in states else "AND state <> 'sent'"
    sql = f"SELECT * FROM outbox WHERE state IN ({marks(states)}) {unsent} ORDER BY queued_at_ms, delivery LIMIT ?"
    return [*_rows(db, sql, *states, limit)]


def to_leave(db: sqlite3.Connection, deliveries: Iterable[str]) -> list[str]:
    """Those of the deliveries that still leave by themselves, in their order."""
    sql = "SELECT 1 FROM outbox WHERE delivery = ? AND state IN ('queued', 'attempting', 'waiting')"
    return [each for each in deliveries if db.execute(sql, (each,)).fetchone()]


def unsent(db: sqlite3.Connection) -> dict[str, int]:
    """Deliveries that have not left, by state. Cheap: an index has just these."""
    return dict(db.execute("SELECT state, count(*) FROM outbox WHERE state <> 'sent' GROUP BY state"))


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How much there is: events, customers, conversations, those in work, deliveries not sent, the dead and
    the held, quarantine."""
    meta: dict[str, int] = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('events', 'position')"))
    for name, sql in _COUNTS.items():
        meta[name] = db.execute(sql).fetchone()[0]
    return meta


_COUNTS = {
    "customers": "SELECT count(*) FROM customer",
    "conversations": "SELECT count(*) FROM conversation",
    "work": "SELECT count(*) FROM work WHERE status IN ('open', 'snoozed')",
    "outbox": "SELECT count(*) FROM outbox WHERE state <> 'sent'",
    "outbox_dead": "SELECT count(*) FROM outbox WHERE state = 'dead' AND state <> 'sent'",
    "outbox_uncertain": "SELECT count(*) FROM outbox WHERE state = 'uncertain' AND state <> 'sent'",
    "quarantine": "SELECT count(*) FROM quarantine WHERE replayed_at_ms IS NULL",
}
"""`events` is kept by the writer: counting that table reads all of it."""


_PARTS = {
    "interactions": "SELECT * FROM interaction WHERE conversation = ? ORDER BY interaction",
    "context": "SELECT * FROM context_item WHERE conversation = ? ORDER BY key",
    "context_values": "SELECT * FROM context_value WHERE conversation = ? ORDER BY key, version",
    "withheld": "SELECT * FROM context_withheld WHERE conversation = ? ORDER BY seq, key",
    "switches": "SELECT * FROM channel_switch WHERE conversation = ? ORDER BY seq",
    "missing": "SELECT * FROM missing_field WHERE conversation = ? ORDER BY seq",
    "relations": "SELECT * FROM relation WHERE conversation = ? ORDER BY earlier",
    "carried": "SELECT * FROM carry_over WHERE conversation = ?",
    "handoffs": "SELECT * FROM handoff WHERE conversation = ? ORDER BY lease",
    "keys": "SELECT * FROM interaction_key WHERE conversation = ? ORDER BY interaction, key",
    "moved": "SELECT * FROM moved WHERE conversation = ? ORDER BY interaction, at_ms",
    "corrections": "SELECT * FROM correction WHERE conversation = ? ORDER BY seq",
    "repeats": "SELECT * FROM repeat_contact WHERE conversation = ? ORDER BY seq",
    # A delivery's id is its conversation's, a full stop, and a number: the key's range finds them without an index.
    "deliveries": "SELECT outbox.* FROM (SELECT ? AS c) JOIN outbox "
    "ON delivery > c || '.' AND delivery < c || '/' ORDER BY queued_at_ms",
}


def _parts(db: sqlite3.Connection, conversation: str) -> Row:
    parts = {name: [*_rows(db, sql, conversation)] for name, sql in _PARTS.items()}
    for item in (*parts["context"], *parts["context_values"]):
        item["value"] = msgspec.json.decode(item["value"])
    for handoff in parts["handoffs"]:
        handoff["missing"] = msgspec.json.decode(handoff["missing"])
    for carried in parts["carried"]:
        carried |= {name: msgspec.json.decode(carried[name]) for name in ("actions", "left_behind")}
    for switched in parts["switches"]:
        switched |= {name: msgspec.json.decode(switched[name]) for name in ("required", "missing")}
    return parts


def _each(cursor: sqlite3.Cursor) -> Iterator[Row]:
    """Row by row: not all of them may be wanted."""
    return (row_as_dict(cursor, row) for row in cursor)


def _rows(db: sqlite3.Connection, sql: str, *values: Any) -> Iterator[Row]:
    cursor = db.execute(sql, values)
    return (row_as_dict(cursor, row) for row in cursor.fetchall())
