"""Where a person stands in the archive: in streams of their own, and in what others' say of them. For who forgets them.

Each runs in a read transaction (`connection.read`), so that all it reads is of one state.
"""

import base64
import re
import sqlite3
from collections.abc import Callable, Iterable
from unicodedata import normalize

from protocol.archive import StoredEvent
from protocol.identities import is_caseless, spellings_of

ADDRESS_MIN = 5
"""Characters of an address that is looked for within other texts: a shorter one is in too many by chance."""
HASH = re.compile(rb'"([0-9a-f]{64})"')
"""Names of files within quarantined input, which is JSON wherever it names any."""
_ELSEWHERE = re.compile(rb'\{"message_sha256":"([0-9a-f]{64})"')
"""How the input begins that has a mail in a file (`adapters.channels.email.taking`)."""
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
"""A letter as JSON may write it (RFC 8259 §7)."""


def streams_of(db: sqlite3.Connection, customer: str) -> tuple[set[str], set[str]]:
    """All streams of a customer, and the files that their messages and quarantined inputs name."""
    own = db.execute("SELECT conversation FROM conversation WHERE customer = ?", (customer,))
    streams = {customer, *(conversation for (conversation,) in own)}
    files: set[str] = set()
    for stream in streams:
        named = db.execute("SELECT sha256 FROM attachment WHERE conversation = ? AND sha256 <> ''", (stream,))
        files.update(name for (name,) in named)
        for (raw,) in db.execute("SELECT raw FROM quarantine WHERE stream = ?", (stream,)):
            files.update(name.decode() for name in HASH.findall(raw))
    return streams, files


def mentions_of(db: sqlite3.Connection, customer: str, file: Callable[[str], bytes]) -> list[StoredEvent]:
    """Events in others' streams that name the customer: a conflict over an identity of theirs, what an account
    quarantined that has one of their addresses in it, and of who was merged with them: the merge, its undoing, and what
    they said in that one's conversations meanwhile, whether it was moved out of them or was over for too long.

    `file` is what a file holds, by its SHA-256: a large mail is quarantined as one."""
    places = db.execute(
        "SELECT stream, seq FROM action WHERE kind = 'identity_conflict' AND stream <> ?1 "
        "AND substr(detail, -length(?1)) = ?1",
        (customer,),
    ).fetchall()
    places += _merges_with(db, customer)
    names = names_of(db, customer)
    elsewhere = db.execute(_MOVED_HERE, (customer,)).fetchall()
    for (conversation,) in db.execute(_UNMOVED, {"customer": customer}).fetchall():
        contacts = db.execute(_CONTACTS, (conversation,)).fetchall()
        elsewhere += [(conversation, number) for number, identity in contacts if identity in names]
    for conversation, number in elsewhere:
        places += db.execute(_SAID, (conversation, number)).fetchall()
        if number == 1:
            places.append((conversation, 1))  # Its subject is theirs.
    places += _quarantined_with(db, names, file)
    found = [
        db.execute("SELECT position, stream, seq, body FROM event WHERE stream = ? AND seq = ?", place).fetchone()
        for place in dict.fromkeys(places)
    ]
    return [StoredEvent(position, stream, seq, body.encode()) for position, stream, seq, body in filter(None, found)]


def _quarantined_with(db: sqlite3.Connection, names: set[str], file: Callable[[str], bytes]) -> list[tuple[str, int]]:
    """All facts of what accounts quarantined that has one of the addresses in it, in whatever spelling it came; or in
    what somebody edited it to."""
    exact = _looked_for(names)
    caseless = {_lowered(each) for each in _looked_for(filter(is_caseless, names))}
    if not exact:
        return []
    places: list[tuple[str, int]] = []
    for (stream,) in db.execute("SELECT DISTINCT stream FROM quarantine WHERE stream LIKE 'account:%'").fetchall():
        facts = db.execute(_QUARANTINED, (stream,)).fetchall()
        found = {
            quarantine
            for quarantine, _, raw in facts
            if raw and _has_any(_text_of(_whole(base64.b64decode(raw), file)), exact, caseless)
        }
        places += [(stream, seq) for quarantine, seq, _ in facts if quarantine in found]
    return places


_QUARANTINED = """
    SELECT body ->> '$.quarantine', seq, body ->> '$.raw' FROM event WHERE stream = ? AND type IN
        ('InputQuarantined', 'ReplayBegun', 'ReplayRefused', 'QuarantineReplayed') ORDER BY seq"""


def _whole(raw: bytes, file: Callable[[str], bytes]) -> bytes:
    elsewhere = _ELSEWHERE.match(raw)
    return file(elsewhere[1].decode()) if elsewhere else raw


def _looked_for(names: Iterable[str]) -> set[str]:
    return {each for name in names for each in spellings_of(name) if len(each) >= ADDRESS_MIN}


def _has_any(text: str, exact: set[str], caseless: set[str]) -> bool:
    lowered = _lowered(text) if caseless else ""
    return any(each in text for each in exact) or any(each in lowered for each in caseless)


def _lowered(text: str) -> str:
    return normalize("NFC", text.lower())


def _text_of(raw: bytes) -> str:
    """What was quarantined, with the letters that JSON may have escaped."""
    text = raw.decode("utf-8", "replace")
    if "\\u" not in text:
        return text
    text = ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    # Letters beyond the first 65,536 are escaped as two halves (RFC 8259 §7).
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def names_of(db: sqlite3.Connection, customer: str) -> set[str]:
    """The identities that are the customer's, or were, and are nobody else's now."""
    names = {identity for (identity,) in db.execute(_EVER_LINKED, {"customer": customer})}
    names |= {identity for (identity,) in db.execute("SELECT identity FROM identity WHERE customer = ?", (customer,))}
    others = "SELECT identity FROM identity WHERE identity = ? AND customer <> ?"
    return {name for name in names if name and db.execute(others, (name, customer)).fetchone() is None}


_EVER_LINKED = """
    SELECT body ->> '$.identity' FROM event WHERE stream = :customer AND type = 'IdentityLinked'
    UNION SELECT link.value ->> '$.identity' FROM event, json_each(body, '$.links') AS link
          WHERE stream = :customer AND event.type = 'CustomerReturned'"""


def _merges_with(db: sqlite3.Connection, customer: str) -> list[tuple[str, int]]:
    """Facts of those that the customer was ever a member of, also through others: of the merges and their undoing, and
    of its identities meanwhile."""
    found: list[tuple[str, int]] = db.execute(_MERGES, {"customer": customer}).fetchall()
    names = names_of(db, customer) if found else set()
    for stream in {stream for stream, _ in found}:
        for name in names:
            found += db.execute(_NAMED, {"stream": stream, "name": name}).fetchall()
    return found


_MERGES = """
    SELECT action.stream, action.seq FROM action JOIN event USING (stream, seq)
    WHERE kind IN ('merged', 'released') AND action.stream <> :customer
      AND EXISTS (SELECT 1 FROM json_each(body, '$.members') AS member WHERE member.value = :customer)"""
_UNMOVED = """
    SELECT DISTINCT left.value FROM action JOIN event USING (stream, seq), json_each(body, '$.unmoved') AS left
    JOIN conversation ON conversation.conversation = left.value
    WHERE kind = 'released' AND conversation.customer <> :customer
      AND EXISTS (SELECT 1 FROM json_each(body, '$.members') AS member WHERE member.value = :customer)"""
_CONTACTS = "SELECT interaction, identity FROM interaction WHERE conversation = ?"
_NAMED = """
    SELECT stream, seq FROM event WHERE stream = :stream
      AND (type IN ('IdentityLinked', 'IdentityUnlinked') AND body ->> '$.identity' = :name
           OR type = 'CustomerReturned'
              AND EXISTS (SELECT 1 FROM json_each(body, '$.links') AS l WHERE l.value ->> '$.identity' = :name))"""
_SAID = """
    SELECT stream, seq FROM event WHERE stream = ?1
      -- Where it was on its way only, it was taken in with a number of there.
      AND (body ->> '$.interaction' = ?2 OR type = 'InteractionReceived' AND body ->> '$.interaction.number' = ?2)"""
_MOVED_HERE = """
    SELECT origin, origin_interaction FROM moved
    WHERE conversation > ?1 || '-' AND conversation < ?1 || '.' AND NOT (origin > ?1 || '-' AND origin < ?1 || '.')"""
