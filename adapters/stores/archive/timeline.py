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


class EntriesWanted(Struct, kw_only=True, frozen=True):
    """Which entries; nothing said is nothing asked of them. Times are from `from_ms` to before `until_ms`."""

    channel: str = ""
    types: Sequence[str] = ()
    q: str = ""
    """Words that all must occur, in any form of letters; `"a phrase"`, and `begin*`; in messages, notes, subjects."""
    from_ms: int = 0
    until_ms: int = 0


def timeline(
    db: sqlite3.Connection, customer: str, wanted: EntriesWanted, *, limit: int, before: Before | None
) -> Page[dict[str, Any]] | None:
    """A page of entries, each with its place, its `event`, and `found`, the words around what was searched for. What
    came in late, such as refused input that was replayed, stands where it happened (`happened_at_ms`).

    None for a customer there is not. Looks at all events of the customer, 200,000 in 0.3 s; reads the page's.
    """
    if not db.execute("SELECT 1 FROM customer WHERE customer = ?", (customer,)).fetchone():
        return None
    streams = members_of(db, root_of(db, customer))
    root = streams[0]
    where, values = ["1"], list[Any]()
    of_streams, stream_values = _streams(len(streams)), [*streams, root]
    if crossed := bool(db.execute(_CROSSED, {"customer": root}).fetchone()[0]):
        of_streams, stream_values = f"(SELECT stream FROM {of_streams} UNION {_ORIGINS})", [*stream_values, root]
    source, found = f"{of_streams} CROSS JOIN event AS e USING (stream)", None
    if wanted.q:
        found = _words(db, wanted.q, of_streams, stream_values)
        if found.first:
            source = _WORDS_FIRST
            where, values = [f"stream IN {of_streams}", "search.rowid BETWEEN ? AND ?"], [*found.span]
        else:
            source += _WORDS_LAST
        where, values = [*where, "search MATCH ?"], [*values, found.query]
    if crossed:
        where, values = [*where, f"{_WHOSE} = ?"], [*values, root, root]
    if wanted.channel:
        where, values = [*where, f"{_CHANNEL} = ?"], [*values, wanted.channel]
    if wanted.types:
        where, values = [*where, f"e.type IN ({', '.join('?' * len(wanted.types))})"], [*values, *wanted.types]
    if wanted.from_ms:
        # Said twice: nothing happened after it came in, and that is known without a look into the event.
        where, values = [*where, "e.at_ms >= ?", f"{_HAPPENED} >= ?"], [*values, wanted.from_ms, wanted.from_ms]
    if wanted.until_ms:
        where, values = [*where, f"{_HAPPENED} < ?"], [*values, wanted.until_ms]
    if before is not None:
        where, values = [*where, f"({_HAPPENED}, e.position, e.n) < (?, ?, ?)"], [*values, *before]
    places = db.execute(
        f"SELECT {_HAPPENED} AS happened_at_ms, e.rowid, {'search.rowid' if found else '0'} FROM {source} "
        f"WHERE {' AND '.join(where)} ORDER BY happened_at_ms DESC, e.position DESC, e.n DESC LIMIT ?",
        (*stream_values, *values, limit),
    ).fetchall()
    # Only now: of most events that were looked at, nothing else is wanted.
    page = paged((_entry(db, *place) for place in places), limit, lambda entry: len(entry["event"]))
    snippets = _snippets(db, found, [id for _, _, id in places[: len(page)]]) if found else {}
    for entry, (_, _, id) in zip(page, places, strict=False):
        entry |= {"found": snippets.get(id, ""), "event": msgspec.json.decode(entry["event"])}
    return page


class _Words(Struct, frozen=True):
    """What is looked for, and in which order: of all customers' messages in the `span` of ids those with the words
    `first`, or of the customer's messages each."""

    query: str
    span: tuple[int, int]
    first: bool


ASKED_AT_THE_COST_OF = 20
"""So many messages that have the words are gone through in the time in which one message is asked for them: 1 µs for
each, and 15 to 450 µs, measured with 400,000 messages."""


def _words(db: sqlite3.Connection, q: str, of_streams: str, stream_values: list[Any]) -> _Words:
    """A few of the customer's messages are asked for the words; where they are many, or the words are rare, those with
    the words are asked whose they are."""
    query = fts_query(q)
    count, *span = db.execute(
        f"SELECT count(*), coalesce(min(id), 0), coalesce(max(id), -1) FROM {of_streams} "
        "CROSS JOIN searchable USING (stream)",
        stream_values,
    ).fetchone()
    # Of those that begin so, FTS5 gathers all customers' words each time that it is asked.
    first = "*" in q or _matches(db, query, span, count * ASKED_AT_THE_COST_OF) < count * ASKED_AT_THE_COST_OF
    return _Words(query, (span[0], span[1]), first)


def _matches(db: sqlite3.Connection, query: str, span: Sequence[int], enough: int) -> int:
    sql = "SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?)"
    return int(db.execute(sql, (query, *span, enough)).fetchone()[0])


def _snippets(db: sqlite3.Connection, words: _Words, ids: Sequence[int]) -> dict[int, str]:
    """The words around what was found, by the ids of the page's entries."""
    if not ids:
        return {}
    # The plus: FTS5 goes through the span once, and does not look for each.
    by_id = "rowid BETWEEN ? AND ? AND +rowid" if words.first else "rowid"
    span = (min(ids), max(ids)) if words.first else ()
    rows = db.execute(
        f"SELECT rowid, snippet(search, 0, '[', ']', '…', 16) FROM search "
        f"WHERE search MATCH ? AND {by_id} IN (SELECT value FROM json_each(?))",
        (words.query, *span, msgspec.json.encode(ids).decode()),
    )
    return dict(rows.fetchall())


def _entry(db: sqlite3.Connection, happened_at_ms: int, rowid: int, _: int) -> dict[str, Any]:
    """One entry as it is shown; its `event` is JSON, and what was `found` is still to come."""
    cursor = db.execute(_ENTRY, (happened_at_ms, rowid))
    return row_as_dict(cursor, cursor.fetchone())


_WORDS_LAST = " CROSS JOIN searchable USING (stream, seq) CROSS JOIN search ON search.rowid = searchable.id"
_WORDS_FIRST = """search CROSS JOIN searchable ON searchable.id = search.rowid
    CROSS JOIN event AS e USING (stream, seq)"""


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
_ENTRY = f"""SELECT e.position, e.n, stream, seq, e.type, e.at_ms, ? AS happened_at_ms, e.actor,
    coalesce({_CHANNEL}, '') AS channel, '' AS found, {_TOLD} AS event FROM event AS e WHERE e.rowid = ?"""
