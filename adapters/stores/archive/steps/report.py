"""The report's runs and findings, and what its measures look for in the widest tables."""

FINDINGS = (
    """CREATE TABLE report (
        report INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        policy INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        request TEXT NOT NULL,
        from_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        lines INTEGER NOT NULL,
        opened INTEGER NOT NULL,
        compared INTEGER NOT NULL,
        position INTEGER NOT NULL)""",
    """CREATE TABLE finding (
        finding TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        measure TEXT NOT NULL,
        channels TEXT NOT NULL,
        team TEXT NOT NULL,
        product TEXT NOT NULL,
        place TEXT NOT NULL,
        file TEXT NOT NULL,
        rule TEXT NOT NULL,
        opened_at_ms INTEGER NOT NULL,
        policy INTEGER NOT NULL,
        from_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        count INTEGER NOT NULL,
        occasions INTEGER NOT NULL,
        examples TEXT NOT NULL,
        earlier TEXT NOT NULL,
        changed_version INTEGER NOT NULL,
        changed_since_ms INTEGER,
        changed_by TEXT NOT NULL,
        changed_rules TEXT NOT NULL,
        compared_at_ms INTEGER,
        compared_version INTEGER NOT NULL,
        before_count INTEGER,
        before_occasions INTEGER,
        after_from_ms INTEGER,
        after_until_ms INTEGER,
        after_count INTEGER,
        after_occasions INTEGER,
        outcome TEXT NOT NULL,
        dismissed_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        closed_at_ms INTEGER,
        position INTEGER NOT NULL) WITHOUT ROWID""",
)

LOSSES = (
    "ALTER TABLE quarantine ADD COLUMN product_line TEXT NOT NULL DEFAULT ''",
    # `event` is by far the largest table, and few of its rows are these.
    "CREATE INDEX event_missing ON event (at_ms) WHERE type = 'FieldMissing'",
)

RETURNS = (
    # A customer's newest conversation, and what of theirs was done when: some customers have thousands.
    "DROP INDEX conversation_by_customer",
    "CREATE INDEX conversation_by_customer ON conversation (customer, opened_at_ms)",
    """CREATE INDEX conversation_by_done ON conversation (customer, coalesce(resolved_at_ms, closed_at_ms))
    WHERE coalesce(resolved_at_ms, closed_at_ms) IS NOT NULL""",
)
