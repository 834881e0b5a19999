"""Context: handoffs, values with their sources, channel switches, and what a new conversation took along."""

HANDOFFS = (
    """CREATE TABLE handoff (
        conversation TEXT NOT NULL,
        lease INTEGER NOT NULL,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        giver TEXT NOT NULL,
        offered_to TEXT NOT NULL,
        continuity TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        items INTEGER NOT NULL,
        missing TEXT NOT NULL,
        seq INTEGER NOT NULL,
        offered_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        ended_at_ms INTEGER,
        ended_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        policy INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, lease)) WITHOUT ROWID""",
    # Of open ones alone: the lists of those whom something is offered to.
    "CREATE INDEX handoff_by_taker ON handoff (offered_to) WHERE state = 'offered'",
    "CREATE INDEX handoff_by_time ON handoff (offered_at_ms)",
)

CONTEXT = (
    # What stands, as before, and by which rule; what each source says stands beside it.
    "ALTER TABLE context_item RENAME TO context_item_1",
    """CREATE TABLE context_item (
        conversation TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        channel TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        sensitivity TEXT NOT NULL,
        version INTEGER NOT NULL,
        verified INTEGER NOT NULL,
        rule TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, key)) WITHOUT ROWID""",
    """INSERT INTO context_item
    SELECT conversation, key, value, channel, interaction, actor, at_ms, sensitivity, version, 0, '', position
    FROM context_item_1""",
    "DROP TABLE context_item_1",
    """CREATE TABLE context_value (
        conversation TEXT NOT NULL,
        key TEXT NOT NULL,
        channel TEXT NOT NULL,
        source TEXT NOT NULL,
        value TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        sensitivity TEXT NOT NULL,
        version INTEGER NOT NULL,
        verified INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, key, channel, source)) WITHOUT ROWID""",
    # Each source's newest word, from the events, as a rebuild would have it.
    """INSERT OR REPLACE INTO context_value
    SELECT stream, body ->> '$.key', coalesce(body ->> '$.channel', ''),
        CASE WHEN actor LIKE 'agent:%' THEN 'agent' WHEN actor LIKE 'system%' THEN 'system' ELSE 'customer' END,
        body -> '$.value', coalesce(body ->> '$.interaction', 0), actor, at_ms,
        coalesce(body ->> '$.sensitivity', 'normal'), coalesce(body ->> '$.version', 1), 0, position
    FROM event WHERE type = 'ContextSet' ORDER BY position, n""",
    """CREATE TABLE context_withheld (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        key TEXT NOT NULL,
        channel TEXT NOT NULL,
        rule TEXT NOT NULL,
        policy INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq, key)) WITHOUT ROWID""",
    """CREATE TABLE channel_switch (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        from_channel TEXT NOT NULL,
        to_channel TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        caused_by TEXT NOT NULL,
        actor TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        continuity TEXT NOT NULL,
        rule TEXT NOT NULL,
        policy INTEGER NOT NULL,
        required TEXT NOT NULL,
        missing TEXT NOT NULL,
        missing_count INTEGER NOT NULL,
        items_before INTEGER NOT NULL,
        items_after INTEGER NOT NULL,
        kept INTEGER NOT NULL,
        proof_before TEXT NOT NULL,
        proof_after TEXT NOT NULL,
        reason TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq)) WITHOUT ROWID""",
)

CARRIED = (
    # Which earlier conversation a value was said in; and what each new conversation took along, from its first event.
    "ALTER TABLE context_item ADD COLUMN came_from TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE context_value ADD COLUMN came_from TEXT NOT NULL DEFAULT ''",
    """CREATE VIEW carry_over AS SELECT
        stream AS conversation,
        json_extract(body, '$.carried.conversation') AS earlier,
        coalesce(json_extract(body, '$.carried.subject'), '') AS subject,
        coalesce(json_extract(body, '$.carried.topic'), '') AS topic,
        coalesce(json_extract(body, '$.carried.unresolved'), 0) AS unresolved,
        coalesce(json_extract(body, '$.carried.resolution_attempts'), 0) AS resolution_attempts,
        coalesce(json_extract(body, '$.carried.actions'), '[]') AS actions,
        coalesce(json_extract(body, '$.carried.items'), 0) AS items,
        coalesce(json_extract(body, '$.carried.left'), '[]') AS left_behind,
        coalesce(json_extract(body, '$.carried.crowded'), 0) AS crowded,
        coalesce(json_extract(body, '$.carried.rule'), '') AS rule,
        coalesce(json_extract(body, '$.policy'), 0) AS policy,
        at_ms,
        position
    FROM event WHERE seq = 1 AND type = 'ConversationOpened' AND json_extract(body, '$.carried') IS NOT NULL""",
)

ACCOUNTS = (
    # What was taken along from a conversation that an unmerge made another person's is no account of this one's past.
    "DROP VIEW carry_over",
    """CREATE VIEW carry_over AS SELECT
        stream AS conversation,
        json_extract(body, '$.carried.conversation') AS earlier,
        coalesce(json_extract(body, '$.carried.subject'), '') AS subject,
        coalesce(json_extract(body, '$.carried.topic'), '') AS topic,
        coalesce(json_extract(body, '$.carried.unresolved'), 0) AS unresolved,
        coalesce(json_extract(body, '$.carried.resolution_attempts'), 0) AS resolution_attempts,
        coalesce(json_extract(body, '$.carried.actions'), '[]') AS actions,
        coalesce(json_extract(body, '$.carried.items'), 0) AS items,
        coalesce(json_extract(body, '$.carried.left'), '[]') AS left_behind,
        coalesce(json_extract(body, '$.carried.crowded'), 0) AS crowded,
        coalesce(json_extract(body, '$.carried.rule'), '') AS rule,
        coalesce(json_extract(body, '$.policy'), 0) AS policy,
        at_ms,
        position
    FROM event WHERE seq = 1 AND type = 'ConversationOpened' AND json_extract(body, '$.carried') IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM correction WHERE correction.conversation = stream AND correction.kind = 'unmerge'
        AND correction.other = json_extract(body, '$.carried.conversation'))""",
)
