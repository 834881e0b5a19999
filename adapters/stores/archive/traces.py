"""Where a person stands in the archive: in streams of their own, and in what others' say of them. For who forgets them.

Each runs in a read transaction (`connection.read`), so that all it reads is of one state.
"""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

import base64
import re
import sqlite3
from collections.abc import Callable, Sequence, Set

import msgspec

from adapters.naming import Naming
from protocol.archive import StoredEvent

HASH = re.compile(rb'"([0-9a-f]{64})"')
"""Names of files within quarantined input, which is JSON wherever it names any."""
_ELSEWHERE = re.compile(rb'\{"message_sha256":"([0-9a-f]{64})"')
"""How the input begins that has a mail in a file (`adapters.channels.email.taking`)."""


def streams_of(db: sqlite3.Connection, customer: str) -> set[str]:
    """All streams of a customer."""
    own = db.execute("SELECT conversation FROM conversation WHERE customer = ?", (customer,))
    return {customer, *(conversation for (conversation,) in own)}


def mentions_of(
    db: sqlite3.Connection,
    customer: str,
    file: Callable[[str], bytes],
    region: str,
    contacts: Set[tuple[str, int]] = frozenset(),
    quarantined: Set[str] = frozenset(),
) -> list[StoredEvent]:
    """Events in others' streams that name the customer: a conflict over an identity of theirs, also one found before it
    was theirs, and what was said of it; what an account quarantined that names them; and of who was merged with them,
    or into them: the merge, its undoing, and what they said in that one's conversations meanwhile, whether it was moved
    out of them or was over for too long.

    `file` is what a file holds, by its SHA-256: a large mail is quarantined as one. `region` (ISO 3166) is whose
    national phone numbers the server reads. `contacts` of theirs, by conversation and number there, and `quarantined`
    inputs that name them are what the journal knows, where retention took from here what tells of them."""
    names = names_of(db, customer)
    reviewed = db.execute(_REVIEWED, (customer,))
    places = [(stream, seq) for stream, seq, identity, other in reviewed if other == customer or identity in names]
    places += _merges_with(db, customer)
    places += db.execute(_GIVEN_TO, (customer,)).fetchall()
    elsewhere = {*contacts, *db.execute(_MOVED_HERE, {"customer": customer})}
    for (conversation,) in db.execute(_UNMOVED, {"customer": customer}).fetchall():
        for number, identity in db.execute(_CONTACTS, (conversation,)).fetchall():
            if identity in names:
                elsewhere |= {(conversation, number), *db.execute(_WHERE_IT_WAS, (conversation, number))}
    for conversation, number in sorted(elsewhere):
        places += db.execute(_SAID, {"stream": conversation, "number": number}).fetchall()
        if number == 1:
            places.append((conversation, 1))  # Its subject is theirs.
    places += _quarantined_with(db, names, file, region, quarantined)
    found = [
        db.execute("SELECT position, stream, seq, body FROM event WHERE stream = ? AND seq = ?", place).fetchone()
        for place in dict.fromkeys(places)
    ]
    return [StoredEvent(position, stream, seq, body.encode()) for position, stream, seq, body in filter(None, found)]


def _quarantined_with(
    db: sqlite3.Connection, names: set[str], file: Callable[[str], bytes], region: str, gone: Set[str]
) -> list[tuple[str, int]]:
    """All facts of what accounts quarantined that names one of these; or of which what somebody edited it to does."""
    naming = Naming(names, region=region)
    if not naming:
        return []
    places: list[tuple[str, int]] = []
    for (stream,) in db.execute(_ACCOUNTS).fetchall():
        # One input in memory at a time, and afterwards the ids of those that were found.
        found = gone | {
            quarantine
            for quarantine, raw, told in db.execute(_QUARANTINED, (stream,))
            if naming.is_in_text(told) or (raw and naming.is_in(whole(base64.b64decode(raw), file)))
        }
        if found:
            places += [(stream, seq) for quarantine, seq in db.execute(_FACTS, (stream,)) if quarantine in found]
    return places


_ACCOUNTS = "SELECT DISTINCT stream FROM event WHERE stream > 'account:' AND stream < 'account;'"
_OF_QUARANTINE = "type IN ('InputQuarantined', 'ReplayBegun', 'ReplayRefused', 'QuarantineReplayed', 'InputErased')"
_QUARANTINED = f"""
    SELECT body ->> '$.quarantine', body ->> '$.raw', json_remove(body, '$.raw') FROM event
    WHERE stream = ? AND {_OF_QUARANTINE}"""
_FACTS = f"SELECT body ->> '$.quarantine', seq FROM event WHERE stream = ? AND {_OF_QUARANTINE} ORDER BY seq"


def facts_of_quarantined(db: sqlite3.Connection, stream: str, quarantine: str) -> list[StoredEvent]:
    """All facts of one input that an account refused."""
    found = db.execute(_FACTS_OF, (stream, quarantine))
    return [StoredEvent(position, stream, seq, body.encode()) for position, seq, body in found]


_FACTS_OF = f"""
    SELECT position, seq, body FROM event
    WHERE stream = ? AND {_OF_QUARANTINE} AND body ->> '$.quarantine' = ? ORDER BY seq"""


def whole(raw: bytes, file: Callable[[str], bytes]) -> bytes:
    """A refused input as it came, also where that lies in a file."""
    elsewhere = _ELSEWHERE.match(raw)
    return file(elsewhere[1].decode()) if elsewhere else raw


def names_of(db: sqlite3.Connection, customer: str) -> set[str]:
    """The identities that are the customer's, or were, and are nobody else's now."""
    names = ever_of(db, customer)
    names |= {identity for (identity,) in db.execute("SELECT identity FROM identity WHERE customer = ?", (customer,))}
    others = "SELECT identity FROM identity WHERE identity = ? AND customer <> ?"
    return {name for name in names if name and db.execute(others, (name, customer)).fetchone() is None}


def ever_of(db: sqlite3.Connection, customer: str) -> set[str]:
    """The identities that were ever the customer's, with those that came back to it with others."""
    return {identity for (identity,) in db.execute(_EVER_LINKED, {"customer": customer}) if identity}


def brought_to(db: sqlite3.Connection, customer: str) -> set[tuple[str, int, str]]:
    """Identity, time and actor of each unlinking in the customer's stream that ended what had come to it with whoever
    was merged into it, and not what it had linked itself since."""
    return set(db.execute(_BROUGHT, {"customer": customer}).fetchall())


def links_of_others(
    db: sqlite3.Connection, customer: str, mentions: Sequence[StoredEvent]
) -> set[tuple[str, int, str]]:
    """Identity, time and actor of the links by which identities of the customer were others', before it or since, and
    are told to have been: those that are not among what names the customer."""
    gone = {(mention.stream, mention.seq) for mention in mentions}
    names = msgspec.json.encode(sorted(names_of(db, customer) | ever_of(db, customer))).decode()
    linked = db.execute(_LINKED_ELSEWHERE, (names, customer))
    return {(name, at_ms, actor) for stream, seq, name, at_ms, actor in linked if (stream, seq) not in gone}


# All names at once: no index has them, and each look goes through the whole table.
_LINKED_ELSEWHERE = """
    SELECT stream, seq, detail, at_ms, actor FROM action
    WHERE kind = 'identity_linked' AND detail IN (SELECT value FROM json_each(?)) AND stream <> ?"""
_EVER_LINKED = """
    SELECT body ->> '$.identity' FROM event WHERE stream = :customer AND type = 'IdentityLinked'
    UNION SELECT link.value ->> '$.identity' FROM event, json_each(body, '$.links') AS link
          WHERE stream = :customer AND event.type = 'CustomerReturned'"""
_BROUGHT = """
    SELECT gone.body ->> '$.identity' AS identity, gone.at_ms, gone.actor FROM event AS gone
    WHERE gone.stream = :customer AND gone.type = 'IdentityUnlinked' AND EXISTS (
        SELECT 1 FROM event AS came WHERE came.stream = :customer AND came.seq < gone.seq
          AND came.type = 'CustomerMerged'
          AND EXISTS (SELECT 1 FROM json_each(came.body, '$.identities') AS i WHERE i.value = identity)
          AND NOT EXISTS (
              SELECT 1 FROM event AS again WHERE again.stream = :customer AND again.type = 'IdentityLinked'
                AND again.seq > came.seq AND again.seq < gone.seq AND again.body ->> '$.identity' = identity))"""


def _merges_with(db: sqlite3.Connection, customer: str) -> list[tuple[str, int]]:
    """Facts of those that the customer was ever a member of, also through others: of the merges and their undoing, and
    of its identities meanwhile."""
    found: list[tuple[str, int]] = db.execute(_MERGES, {"customer": customer}).fetchall()
    names = names_of(db, customer) if found else set()
    for stream in {stream for stream, _ in found}:
        for name in names:
            found += db.execute(_NAMED, {"stream": stream, "name": name, "customer": customer}).fetchall()
    return found


_REVIEWED = """
    SELECT action.stream, action.seq, body ->> '$.identity', body ->> '$.other'
    FROM action JOIN event USING (stream, seq)
    WHERE kind IN ('identity_conflict', 'identity_review_closed') AND action.stream <> ?"""
_MERGES = """
    SELECT action.stream, action.seq FROM action JOIN event USING (stream, seq)
    WHERE kind IN ('merged', 'released') AND action.stream <> :customer
      AND EXISTS (SELECT 1 FROM json_each(body, '$.members') AS member WHERE member.value = :customer)"""
_GIVEN_TO = "SELECT stream, seq FROM action WHERE kind = 'given' AND detail = ?"
_UNMOVED = """
    SELECT DISTINCT left.value FROM action JOIN event USING (stream, seq), json_each(body, '$.unmoved') AS left
    JOIN conversation ON conversation.conversation = left.value
    WHERE kind = 'released' AND conversation.customer <> :customer
      AND EXISTS (SELECT 1 FROM json_each(body, '$.members') AS member WHERE member.value = :customer)"""
_CONTACTS = "SELECT interaction, identity FROM interaction WHERE conversation = ?"
_WHERE_IT_WAS = "SELECT origin, origin_interaction FROM moved WHERE conversation = ? AND interaction = ?"
# What went of another member's is that one's affair: their link is told, and a rebuild must hear of its end.
_NAMED = """
    SELECT stream, seq FROM event WHERE stream = :stream
      AND (type = 'IdentityLinked' AND body ->> '$.identity' = :name
           OR type = 'IdentityUnlinked' AND body ->> '$.identity' = :name AND NOT EXISTS (
              SELECT 1 FROM event AS came WHERE came.stream = :stream AND came.seq < event.seq
                AND came.type = 'CustomerMerged'
                AND EXISTS (SELECT 1 FROM json_each(came.body, '$.identities') AS i WHERE i.value = :name)
                AND NOT EXISTS (SELECT 1 FROM json_each(came.body, '$.members') AS m WHERE m.value = :customer)
                AND NOT EXISTS (
                    SELECT 1 FROM event AS again WHERE again.stream = :stream AND again.type = 'IdentityLinked'
                      AND again.seq > came.seq AND again.seq < event.seq
                      AND again.body ->> '$.identity' = :name))
           OR type = 'CustomerReturned'
              AND EXISTS (SELECT 1 FROM json_each(body, '$.links') AS l WHERE l.value ->> '$.identity' = :name))"""
_SAID = """
    SELECT stream, seq FROM event WHERE stream = :stream
      -- Where it was on its way only, it was taken in with a number of there.
      AND (body ->> '$.interaction' = :number
           OR type = 'InteractionReceived' AND body ->> '$.interaction.number' = :number)"""
_MOVED_HERE = """
    SELECT origin, origin_interaction FROM moved
    WHERE conversation > :customer || '-' AND conversation < :customer || '.'
      AND NOT (origin > :customer || '-' AND origin < :customer || '.')"""
