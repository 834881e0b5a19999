"""Correlation: tags, keys, corrections and repeat contacts."""

RELATIONS = (
    *(
        f"ALTER TABLE interaction ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
        for name in ("reason", "topic", "intent", "product_line", "segment")
    ),
    *(
        f"ALTER TABLE interaction ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0"
        for name in ("prior_actions", "resolution_attempts", "unresolved_before")
    ),
    """CREATE TABLE interaction_key (
        conversation TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        key TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, interaction, key)) WITHOUT ROWID""",
    "CREATE INDEX interaction_key_by_key ON interaction_key (key)",
    # Of corrected interactions alone: where their messages are, and where they belong.
    """CREATE TABLE moved (
        origin TEXT NOT NULL,
        origin_interaction INTEGER NOT NULL,
        conversation TEXT NOT NULL,
        interaction INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (origin, origin_interaction)) WITHOUT ROWID""",
    "CREATE INDEX moved_by_conversation ON moved (conversation, interaction)",
    """CREATE TABLE correction (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        other TEXT NOT NULL,
        interactions TEXT NOT NULL,
        relation TEXT NOT NULL,
        previous_relation TEXT NOT NULL,
        earlier_channel TEXT NOT NULL,
        channel TEXT NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq)) WITHOUT ROWID""",
    """CREATE TABLE repeat_contact (
        conversation TEXT NOT NULL,
        seq INTEGER NOT NULL,
        interaction INTEGER NOT NULL,
        earlier TEXT NOT NULL,
        topic TEXT NOT NULL,
        channel TEXT NOT NULL,
        resolved_at_ms INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq)) WITHOUT ROWID""",
    """CREATE VIEW tag AS SELECT
        stream AS conversation,
        seq,
        json_extract(body, '$.interaction') AS interaction,
        dimension.key AS dimension,
        json_extract(dimension.value, '$.value') AS value,
        json_extract(dimension.value, '$.tagger') AS tagger,
        coalesce(json_extract(dimension.value, '$.matched'), '') AS matched,
        actor,
        at_ms,
        position
    FROM event, json_each(body) AS dimension
    WHERE event.type = 'InteractionTagged' AND dimension.key IN ('topic', 'intent', 'product_line', 'segment')""",
)
