"""Emptying: what goes of a conversation that retention drops, as far as it was at a position; and what stays.

A conversation that goes on afterwards keeps what was said since: each row is asked for its position.
"""

# ruff: noqa: S608 - tables are the schema's own words; every value is bound.

import sqlite3
from collections.abc import Sequence

from adapters.stores.archive import search, snapshots


def empty(db: sqlite3.Connection, gone: Sequence[tuple[str, int]], once_keys_ms: int) -> None:
    """Takes the words of conversations, each as far as it was at a position; a once-key since `once_keys_ms` stays. In
    the caller's transaction."""
    db.execute("UPDATE meta SET value = max(value, 1) WHERE key = 'pruned_before_ms'")
    for conversation, _ in gone:
        search.forget(db, conversation)
    named = [{"conversation": id, "position": position, "once": once_keys_ms} for id, position in gone]
    for sql in _EMPTY:
        db.executemany(sql, named)
    snapshots.forget(db, [id for id, _ in gone])


SAID_SINCE = """
    SELECT max(event.at_ms) FROM event JOIN dropped ON dropped.kind = 'conversation' AND dropped.id = event.stream
    WHERE event.stream = conversation.conversation AND event.position > dropped.position"""
"""When the newest fact was since a conversation was dropped."""

_NEWEST = "SELECT max(seq) FROM event AS newest WHERE newest.stream = :conversation AND newest.position <= :position"
_EMPTY = (
    *(
        f"DELETE FROM {table} WHERE conversation = :conversation AND position <= :position"
        for table in (
            "interaction_key",
            "relation",
            "correction",
            "repeat_contact",
            "attachment",
            "context_item",
            "context_value",
            "context_withheld",
            "channel_switch",
            "handoff",
        )
    ),
    # A later fact about a contact changes its row, and does not bring it back; another conversation's does, which moved
    # one here since.
    """DELETE FROM interaction WHERE conversation = :conversation AND NOT EXISTS (
        SELECT 1 FROM event WHERE stream = :conversation AND position > :position AND type = 'InteractionReceived'
        AND body ->> '$.interaction.number' = interaction.interaction)""",
    # Its row stays, empty of words but those said since: a load finds the streams of a customer by it. Without a time
    # of closing it is not looked at again; where something was said since, as of then.
    """UPDATE conversation SET owner = '', subject = coalesce((
        SELECT body ->> '$.subject' FROM event WHERE stream = :conversation AND position > :position
        AND type IN ('MessageReceived', 'AutomaticReplyReceived') AND body ->> '$.subject' <> ''
        ORDER BY seq LIMIT 1), '') WHERE conversation = :conversation""",
    f"UPDATE conversation SET closed_at_ms = ({SAID_SINCE}) WHERE conversation = :conversation",
    "DELETE FROM moved WHERE origin = :conversation AND position <= :position",
    *(f"DELETE FROM {table} WHERE stream = :conversation AND position <= :position" for table in ("action", "timer")),
    # A merge changed a row that would have been gone by then: its position is that of no fact of the conversation. Only
    # of contacts there may be any: whatever else has a timer keeps a conversation from closing.
    """DELETE FROM timer WHERE stream = :conversation AND kind > 'rest:' AND kind < 'rest;' AND NOT EXISTS (
        SELECT 1 FROM event WHERE stream = :conversation AND event.position = timer.position)""",
    # Deliveries' ids begin with their conversation's, and end with the number by which they were queued there: what a
    # person says later of one that is held changes its row, and does not bring it back.
    """DELETE FROM outbox WHERE delivery > :conversation || '.' AND delivery < :conversation || '/' AND NOT EXISTS (
        SELECT 1 FROM event WHERE stream = :conversation AND position > :position AND type = 'MessageQueued'
        AND seq = CAST(substr(delivery, length(:conversation) + 2) AS INTEGER))""",
    """UPDATE event SET type = 'FactDropped', actor = '',
        body = json_object('type', 'FactDropped', 'at_ms', at_ms, 'once', json(body -> '$.once'))
    WHERE stream = :conversation AND position <= :position AND at_ms >= :once
    AND type NOT IN ('ConversationOpened', 'ConversationClosed') AND body -> '$.once' IS NOT NULL""",
    # The newest of them stays as well, though it came after the closing: whoever loads the stream counts on from it.
    f"""UPDATE event SET type = 'FactDropped', actor = '',
        body = json_object('type', 'FactDropped', 'at_ms', at_ms)
    WHERE stream = :conversation AND type NOT IN ('ConversationOpened', 'ConversationClosed', 'FactDropped')
    AND seq = ({_NEWEST})""",
    f"""DELETE FROM event WHERE stream = :conversation AND position <= :position
    AND type NOT IN ('ConversationOpened', 'ConversationClosed')
    AND NOT (type = 'FactDropped' AND (body -> '$.once' IS NOT NULL OR seq = ({_NEWEST})))""",
    """UPDATE event SET body = json_remove(body, '$.subject', '$.carried')
    WHERE stream = :conversation AND type = 'ConversationOpened'""",
)
