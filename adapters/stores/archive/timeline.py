"""A customer's timeline: what happened in all their streams, the newest first, filtered and searched by words."""

# ruff: noqa: S608 - what is put together are this file's own words; every value is bound.

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from adapters.stores.archive.pages import Page, paged
from adapters.stores.archive.queries import members_of, root_of
from adapters.stores.connection import row_as_dict

Before = tuple[int, int, int]
"""`happened_at_ms`, `position` and `n` of a page's last entry."""


class Wanted(Struct, kw_only=True, frozen=True):
    """Which entries; nothing said is nothing asked of them. Times are from `from_ms` to before `until_ms`."""

    channel: str = ""
    types: Sequence[str] = ()
    q: str = ""
    """Words that all must occur, in any form of letters; `"a phrase"`, and `begin*`; in messages, notes, subjects."""
    from_ms: int = 0
    until_ms: int = 0


def timeline(
    db: sqlite3.Connection, customer: str, wanted: Wanted, *, limit: int, before: Before | None
) -> Page[dict[str, Any]] | None:
    """A page of entries, each with its place, its `event`, and `found`, the words around what was searched for. What
    came in late, such as refused input that was replayed, stands where it happened (`happened_at_ms`).

    None for a customer there is not. Reads all events of the customer: tens of thousands take some 100 ms.
    """
    if not db.execute("SELECT 1 FROM customer WHERE customer = ?", (customer,)).fetchone():
        return None
    streams = members_of(db, root_of(db, customer))
    root = streams[0]
    where, values, found = ["1"], list[Any](), "''"
    of_streams, stream_values = _streams(len(streams)), [*streams, root]
    if crossed := bool(db.execute(_CROSSED, {"customer": root}).fetchone()[0]):
        of_streams, stream_values = f"(SELECT stream FROM {of_streams} UNION {_ORIGINS})", [*stream_values, root]
    source = f"{of_streams} CROSS JOIN event AS e USING (stream)"
    if wanted.q:
        where, values, found = ["search MATCH ?"], [fts_query(wanted.q)], "snippet(search, 0, '[', ']', '…', 16)"
        if "*" in wanted.q:
            source, where = _WORDS_FIRST, [f"stream IN {of_streams}", *where]
        else:
            source += _WORDS_LAST
    if crossed:
        where, values = [*where, f"{_WHOSE} = ?"], [*values, root, root]
    if wanted.channel:
        where, values = [*where, f"{_CHANNEL} = ?"], [*values, wanted.channel]
    if wanted.types:
        where, values = [*where, f"e.type IN ({', '.join('?' * len(wanted.types))})"], [*values, *wanted.types]
    if wanted.from_ms:
        where, values = [*where, f"{_HAPPENED} >= ?"], [*values, wanted.from_ms]
    if wanted.until_ms:
        where, values = [*where, f"{_HAPPENED} < ?"], [*values, wanted.until_ms]
    if before is not None:
        where, values = [*where, f"({_HAPPENED}, e.position, e.n) < (?, ?, ?)"], [*values, *before]
    cursor = db.execute(
        f"SELECT e.position, e.n, stream, seq, e.type, e.at_ms, {_HAPPENED} AS happened_at_ms, e.actor, "
        f"coalesce({_CHANNEL}, '') AS channel, "
        f"{found} AS found, {_TOLD} AS event FROM {source} "
        f"WHERE {' AND '.join(where)} ORDER BY happened_at_ms DESC, e.position DESC, e.n DESC LIMIT ?",
        (*stream_values, *values, limit),
    )
    # Its body is a row's last column.
    rows = paged(cursor, limit, lambda row: len(row[-1]))
    entries = (row_as_dict(cursor, row) for row in rows)
    return Page((entry | {"event": msgspec.json.decode(entry["event"])} for entry in entries), more=rows.more)


_WORDS_LAST = " CROSS JOIN searchable USING (stream, seq) CROSS JOIN search ON search.rowid = searchable.id"
"""The customer's own messages are asked for the words, not the words for all customers."""
_WORDS_FIRST = """search CROSS JOIN searchable ON searchable.id = search.rowid
    CROSS JOIN event AS e USING (stream, seq)"""
"""But for those of which the beginning is given: each time that it is asked, FTS5 gathers all words of all customers
that begin so, and a customer's hundreds of messages would hold every other read for seconds."""


def _streams(own: int) -> str:
    own_streams = " UNION ALL ".join(["SELECT ? AS stream", *["SELECT ?"] * (own - 1)])
    return f"({own_streams} UNION ALL SELECT conversation FROM conversation WHERE customer = ?)"


_MOVES = "moved JOIN conversation AS t USING (conversation) JOIN conversation AS o ON o.conversation = moved.origin"
_CROSSED = f"""SELECT EXISTS (SELECT 1 FROM {_MOVES} WHERE t.customer = :customer AND o.customer <> :customer)
    OR EXISTS (SELECT 1 FROM {_MOVES} WHERE o.customer = :customer AND t.customer <> :customer)"""
"""Whether a contact came from another customer's conversation, or went to one: as good as never, and then each event is
to be asked whose it is."""
_ORIGINS = "SELECT moved.origin FROM moved JOIN conversation AS t USING (conversation) WHERE t.customer = ?"
_WHOSE = """coalesce((
    SELECT t.customer FROM moved JOIN conversation AS t USING (conversation)
    WHERE moved.origin = stream AND moved.origin_interaction = json_extract(e.body, '$.interaction')
    AND e.type IN ('MessageReceived', 'AutomaticReplyReceived', 'MessageQueued', 'ActivitySeen',
        'InteractionStarted', 'InteractionEnded')
), (SELECT customer FROM conversation WHERE conversation.conversation = stream), ?)"""
"""Whose an event is: of what happened in a contact, whose that is by now; else whose the conversation is, or whose own
stream it stands in."""


def searched(db: sqlite3.Connection) -> int:
    """The journal's position up to which the full text is indexed."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'searched'").fetchone()[0])


def fts_query(q: str) -> str:
    """What a person typed, as FTS5's expression: each word and each phrase in quotes has to occur. Whatever was typed
    is words: nothing of it is an operator but the quotes and a star at a word's end."""
    terms = []
    for phrase, word in _TERMS.findall(q.replace("\0", " ")):
        text, star = (phrase, "") if phrase else (word.rstrip("*"), "*" if word.endswith("*") else "")
        if any(letter.isalnum() for letter in text):
            quoted = text.replace('"', '""')
            terms.append(f'"{quoted}"{star}')
    # A query of no words finds nothing; FTS5 would call the empty text a fault.
    return " ".join(dict.fromkeys(terms)) or '""'


_TERMS = re.compile(r'"([^"]+)"|([^\s"]+)')
_TOLD = "CASE e.type WHEN 'InputQuarantined' THEN json_remove(e.body, '$.raw') ELSE e.body END"
"""Refused input itself is an operator's to look at, in quarantine."""
_CHANNEL = """coalesce(json_extract(e.body, '$.channel'), (
    SELECT interaction.channel FROM interaction
    WHERE interaction.conversation = stream AND interaction.interaction = json_extract(e.body, '$.interaction')))"""
"""An event's own channel, or the one of the contact that it is part of."""
LATE_MS = 5 * 60_000
"""So much before it came in, a contact's time by its channel's clock is no matter of clocks that differ."""
_HAPPENED = f"""CASE WHEN e.type IN ('MessageReceived', 'AutomaticReplyReceived', 'ActivitySeen')
    AND json_extract(e.body, '$.provider_ms') BETWEEN 1 AND e.at_ms - {LATE_MS}
    THEN json_extract(e.body, '$.provider_ms') ELSE e.at_ms END"""
