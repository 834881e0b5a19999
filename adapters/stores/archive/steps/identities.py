"""Identities: how sure a link is, what is to be reviewed, and whose a merged customer's affairs are."""

IDENTITY = (
    "ALTER TABLE identity ADD COLUMN confidence INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE identity_review (
        customer TEXT NOT NULL,
        identity TEXT NOT NULL,
        other TEXT NOT NULL,
        kind TEXT NOT NULL,
        evidence TEXT NOT NULL,
        verified INTEGER NOT NULL,
        confidence INTEGER NOT NULL,
        found_by TEXT NOT NULL,
        found_at_ms INTEGER NOT NULL,
        closed_by TEXT NOT NULL,
        closed_at_ms INTEGER,
        reason TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (customer, identity, other)) WITHOUT ROWID""",
    # From the events, as a rebuild would have it.
    """INSERT OR REPLACE INTO identity_review
    SELECT stream, body ->> '$.identity', body ->> '$.other', 'conflict', '', 0, 0, actor, at_ms, '', NULL, '', position
    FROM event WHERE type = 'IdentityConflictFound' ORDER BY position, n""",
    # How many customers claim an identity.
    "CREATE INDEX identity_review_by_identity ON identity_review (identity, customer)",
    "CREATE INDEX identity_review_open ON identity_review (found_at_ms) WHERE closed_at_ms IS NULL",
)

MERGES = (
    # Whose its affairs are, where they are not its own.
    "ALTER TABLE customer ADD COLUMN merged_into TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX customer_by_merge ON customer (merged_into) WHERE merged_into <> ''",
)
