"""Retention: what was dropped, and how far each kind was."""

RETENTION = (
    "ALTER TABLE outbox ADD COLUMN dead_at_ms INTEGER",
    """UPDATE outbox SET dead_at_ms = (
        SELECT max(at_ms) FROM event WHERE event.stream = outbox.conversation AND type = 'DeliveryDead'
        AND body ->> '$.delivery' = outbox.delivery)
    WHERE state = 'dead'""",
    """CREATE TABLE IF NOT EXISTS dropped (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        policy INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (kind, id)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS retention (
        kind TEXT PRIMARY KEY,
        before_ms INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        policy INTEGER NOT NULL,
        dropped INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS dropped_by_time ON dropped (at_ms) WHERE kind <> 'conversation'",
    # What was dropped before it was noted.
    """INSERT OR IGNORE INTO dropped SELECT 'conversation', conversation, 0, 0, position
    FROM conversation WHERE status = 'closed' AND closed_at_ms IS NULL""",
    "CREATE INDEX event_dropped ON event (at_ms) WHERE type = 'FactDropped'",
)
REPLAYS = ("CREATE INDEX event_replay ON event (body ->> '$.quarantine') WHERE type = 'ReplayBegun'",)
CLOSED = (
    # For lists, and only of what is over: a live conversation costs this index nothing.
    "CREATE INDEX conversation_closed ON conversation (updated_at_ms) WHERE status = 'closed'",
)
NUMBERED = (
    # Of what was dropped before, the newest fact went as well, where that came after the closing.
    """INSERT INTO event SELECT c.position, 0, c.conversation, c.head, 'FactDropped', c.updated_at_ms, '',
        json_object('type', 'FactDropped', 'at_ms', c.updated_at_ms)
    FROM dropped JOIN conversation AS c ON c.conversation = dropped.id
    WHERE dropped.kind = 'conversation'
    AND c.head > (SELECT max(seq) FROM event WHERE event.stream = c.conversation)""",
)
KEYED = (
    # Only of those whose keys end: what stays for its number is not to be gone through each time.
    "DROP INDEX IF EXISTS event_dropped",
    "CREATE INDEX event_keyed ON event (at_ms) WHERE type = 'FactDropped' AND body -> '$.once' IS NOT NULL",
)
RETENTION_TABLES = ("dropped", "retention")
"""They say what there was, and stay when the archive is made anew."""
